import type { Stats } from 'node:fs'
import { chmod, lstat, mkdir, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Disk } from './disk.ts'
import { errnoOf, helpFor, StoreAccessError } from './errors.ts'
import type { Layout } from './layout.ts'

/** Makes a folder and its parents, mode 0700, durable when this resolves. */
export async function makeFolder(disk: Disk, path: string): Promise<void> {
  try {
    if (await disk.mkdir(path)) await disk.fsyncFolder(dirname(path))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(disk, dirname(path))
    await makeFolder(disk, path)
  }
}

/**
 * Makes the data directory and its folders, mode 0700. Throws StoreAccessError when one of them is
 * a link, is no folder, belongs to somebody else, or could have been prepared by another user.
 */
export async function prepareFolders(disk: Disk, layout: Layout): Promise<void> {
  await claimRoot(layout.dir)
  const folders = [layout.zips, layout.meta, layout.staging, layout.quarantine]
  for (const folder of [...folders, layout.lock, layout.sumdb]) {
    await claimFolder(disk, layout.dir, folder)
  }
}

/** From the top down: nothing is made behind a link. */
async function claimFolder(disk: Disk, dir: string, folder: string): Promise<void> {
  if (dirname(folder) !== dir) await claimFolder(disk, dir, dirname(folder))
  try {
    await makeFolder(disk, folder)
  } catch (error) {
    throw cannotBeMade(folder, error)
  }
  await checkFolder(folder)
}

async function claimRoot(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') {
      throw cannotBeMade(dir, error)
    }
  }
  const stats = await checkFolder(dir)
  if ((stats.mode & 0o077) === 0) return
  // Others could have put links or files in: only an empty folder can be taken over.
  if ((stats.mode & 0o022) !== 0 && (await readdir(dir)).length > 0) {
    throw new StoreAccessError(dir, 'others may write here; run chmod 700 on it')
  }
  await chmod(dir, 0o700)
}

function cannotBeMade(path: string, cause: unknown): StoreAccessError {
  const why = helpFor(cause)
  return new StoreAccessError(
    path,
    why === undefined ? 'cannot be made' : `cannot be made: ${why}`,
    {
      cause,
    },
  )
}

async function checkFolder(path: string): Promise<Stats> {
  const stats = await lstat(path)
  if (stats.isSymbolicLink()) throw new StoreAccessError(path, 'is a symbolic link')
  if (!stats.isDirectory()) throw new StoreAccessError(path, 'is not a folder')
  const user = process.getuid?.()
  if (user !== undefined && stats.uid !== user) {
    throw new StoreAccessError(path, `belongs to user ${stats.uid}, not to us (${user})`)
  }
  return stats
}
