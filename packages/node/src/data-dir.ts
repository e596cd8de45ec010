import { lstat, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CommandError, errorCode, errorText } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { pathExists } from './path-exists.ts'

/**
 * Makes the data directory, or checks that an existing one is safe to use: ours, and writable by
 * nobody else. Throws CommandError with what to do.
 */
export async function prepareDataDir(dir: string): Promise<void> {
  try {
    await makeDirs(dir)
    const found = await stat(dir)
    if (!found.isDirectory()) throw refused(`${dir} is not a directory; choose another --dir`)
    checkOwner(dir, found)
    if ((found.mode & 0o022) !== 0 && process.platform !== 'win32') {
      throw refused(`${dir} can be written by other users; run: chmod go-w ${dir}`)
    }
    await checkUsable(dir)
  } catch (error) {
    throw error instanceof CommandError ? error : cannotUse(dir, error)
  }
}

/** Not Node's own recursive form: below /proc that one tries for ever. */
async function makeDirs(dir: string): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    const parent = dirname(dir)
    if (errorCode(error) !== 'ENOENT' || (await pathExists(parent))) throw error
    await makeDirs(parent)
    await mkdir(dir, { mode: 0o700 })
  }
}

/** Root may use what it was given, as in a container with a mounted folder. */
function checkOwner(path: string, found: { readonly uid: number }): void {
  const self = process.geteuid?.() ?? 0
  if (self !== 0 && found.uid !== self) {
    throw refused(`${path} belongs to another user (uid ${found.uid}); choose another --dir`)
  }
}

/** Permission trouble shows here, with one name, and not later in some package's depths. */
async function checkUsable(dir: string): Promise<void> {
  for (const folder of ['mesh', 'run']) {
    const path = join(dir, folder)
    await makeDirs(path)
    const found = await lstat(path)
    if (!found.isDirectory()) throw refused(`${path} is not a directory`)
    checkOwner(path, found)
  }
}

function cannotUse(dir: string, error: unknown): CommandError {
  const code = errorCode(error)
  const why: Readonly<Record<string, string>> = {
    EACCES: `no permission to use ${dir}; choose another --dir, or change its owner`,
    EPERM: `no permission to use ${dir}; choose another --dir, or change its owner`,
    ENOENT: `${dir} cannot be made there; choose another --dir`,
    EROFS: `${dir} is on a read-only file system; choose another --dir`,
    ENOTDIR: `${dirname(dir)} is not a directory; choose another --dir`,
    EEXIST: `${dir} is not a directory; choose another --dir`,
    ENOSPC: `no space left for ${dir}`,
  }
  const text = (code !== undefined && why[code]) || `${dir} cannot be used: ${errorText(error)}`
  return refused(text, { cause: error })
}

function refused(message: string, options: ErrorOptions = {}): CommandError {
  return new CommandError(message, { ...options, exitCode: exitCodes.failed })
}
