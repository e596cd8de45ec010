import { join } from 'node:path'
import { CommandError, errorCode, errorText } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { pathExists } from './path-exists.ts'

/** Demands that a data directory has a store. Throws CommandError. */
export async function demandStore(dir: string): Promise<void> {
  if (await pathExists(join(dir, 'store'))) return
  throw new CommandError(`there is no store in ${dir}; is it the right --dir?`, {
    exitCode: exitCodes.failed,
  })
}

/** Tells what went wrong with the files of a store: 22 when another process has it, else 1. */
export function asStoreTrouble(error: unknown): CommandError {
  if (error instanceof CommandError) return error
  const isLocked = errorCode(error) === 'STORE_LOCKED'
  return new CommandError(errorText(error), {
    exitCode: isLocked ? exitCodes.storeHeld : exitCodes.failed,
    cause: error,
  })
}
