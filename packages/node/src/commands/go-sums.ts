import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { errorCode, errorText, UsageError } from '../errors.ts'

/** Reads go.sum files, or those in folders, as one text. Throws UsageError. */
export async function readGoSums(paths: readonly string[], cwd: string): Promise<string> {
  const texts = await Promise.all(paths.map((path) => readOne(resolve(cwd, path))))
  return texts.map((text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)).join('')
}

async function readOne(path: string): Promise<string> {
  try {
    const isFolder = (await stat(path)).isDirectory()
    return await readFile(isFolder ? join(path, 'go.sum') : path, 'utf8')
  } catch (error) {
    const reason = errorCode(error) === 'ENOENT' ? 'there is no go.sum' : errorText(error)
    throw new UsageError(`--for ${path}: ${reason}`, { cause: error })
  }
}
