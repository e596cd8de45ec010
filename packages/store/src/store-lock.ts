import { Level } from 'level'
import type { Disk } from './disk.ts'
import { asError, errnoOf, helpFor, StoreAccessError, StoreLockedError } from './errors.ts'
import type { Layout } from './layout.ts'
import type { ReportEvent } from './store-event.ts'
import { tryWrite } from './try-write.ts'

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
  static async take(
    { disk, report }: { readonly disk: Disk; readonly report: ReportEvent },
    layout: Layout,
  ): Promise<StoreLock> {
    const lock = new StoreLock(disk, layout, await openLock(disk, layout))
    try {
      await writePid(disk, layout)
    } catch (error) {
      // The id only makes another process's message better; a full disk is still worth reading.
      report({ kind: 'tidy-failed', path: layout.pid, error: asError(error) })
    }
    return lock
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#disk.remove(this.#layout.pid)
    } finally {
      await this.#db.close()
    }
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
      if (isLastTry) throw await lockError(disk, layout, error)
      // Its files are damaged; nothing was in them.
      await disk.remove(layout.lock)
    }
  }
  throw new StoreAccessError(layout.lock, 'cannot be locked')
}

/** Level tells of a full disk in words only: whether a file can be written there says it by code. */
async function lockError(disk: Disk, layout: Layout, cause: unknown): Promise<StoreAccessError> {
  const trouble = await tryWrite(disk, `${layout.lock}.try`)
  const why = trouble && (helpFor(trouble) ?? trouble.message)
  const reason = why === undefined ? 'cannot be locked' : `cannot be locked: ${why}`
  return new StoreAccessError(layout.lock, reason, { cause })
}

async function writePid(disk: Disk, layout: Layout): Promise<void> {
  const file = await disk.open(layout.pid, 'write')
  try {
    await file.truncate(0)
    await file.write(Buffer.from(`${process.pid}\n`), 0)
  } finally {
    await file.close()
  }
}

async function readPid(disk: Disk, layout: Layout): Promise<number | undefined> {
  const bytes = await disk.readFile(layout.pid, 100)
  const pid = Number.parseInt(Buffer.from(bytes ?? []).toString('latin1'), 10)
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}
