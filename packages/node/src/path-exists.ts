import { stat } from 'node:fs/promises'
import { errorCode } from './errors.ts'

/** Whether there is anything at a path. Throws what the system says when it does not say that. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
