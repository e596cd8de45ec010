import { Level } from 'level'
import type { Disk } from './disk.ts'
import { errnoOf, StoreAccessError, StoreLockedError } from './errors.ts'
import type { Layout } from './layout.ts'

/**
 * One process per directory. Node has no file locks, level has: a database that never holds
 * anything is our lock, and the kernel frees it when the process dies in any way.
 */
export class StoreLock implements AsyncDisposable {
  readonly #disk: Disk
  readonly #layout: Layout
  readonly #db: Level

  private constructor(disk: Disk, layout: Layout, db: Level) {
    this.#disk = disk
    this.#layout = layout
    this.#db = db
  }

  /** Takes the lock. Throws StoreLockedError with the holder's process id where it is known. */
  static async take(disk: Disk, layout: Layout): Promise<StoreLock> {
    const db = await openLock(disk, layout)
    const file = await disk.open(layout.pid, 'write')
    try {
      await file.truncate(0)
      await file.write(Buffer.from(`${process.pid}\n`), 0)
    } finally {
      await file.close()
    }
    return new StoreLock(disk, layout, db)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.remove(this.#layout.pid)
    await this.#db.close()
  }
}

async function openLock(disk: Disk, layout: Layout): Promise<Level> {
  for (const isLastTry of [false, true]) {
    const db = new Level(layout.lock)
    try {
      await db.open()
      return db
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (errnoOf(cause) === 'LEVEL_LOCKED') {
        throw new StoreLockedError(layout.dir, await readPid(disk, layout), { cause: error })
      }
      if (isLastTry) throw new StoreAccessError(layout.lock, 'cannot be locked', { cause: error })
      // Its files are damaged; nothing was in them.
      await disk.remove(layout.lock)
    }
  }
  throw new StoreAccessError(layout.lock, 'cannot be locked')
}

async function readPid(disk: Disk, layout: Layout): Promise<number | undefined> {
  const bytes = await disk.readFile(layout.pid, 100)
  const pid = Number.parseInt(Buffer.from(bytes ?? []).toString('latin1'), 10)
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}
