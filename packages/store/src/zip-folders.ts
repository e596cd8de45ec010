import { dirname } from 'node:path'
import { concurrently } from './concurrently.ts'
import type { Disk } from './disk.ts'
import { errnoOf } from './errors.ts'
import { commitConcurrency } from './limits.ts'

/** The folders of committed zips: each is made once, and each sync is shared by all who need it. */
export class ZipFolders {
  readonly #disk: Disk
  readonly #known = new Set<string>()
  /** Folders in which a new one was made that is not durable yet. */
  readonly #unsynced = new Set<string>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Makes a folder and its parents; they are durable after `sync` of it. */
  async make(folder: string): Promise<void> {
    if (this.#known.has(folder)) return
    try {
      if (await this.#disk.mkdir(folder)) this.#unsynced.add(dirname(folder))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error
      await this.make(dirname(folder))
      await this.make(folder)
    }
    this.#known.add(folder)
  }

  /** Makes what was renamed into the folders durable. Returns which could not be, and why. */
  async sync(folders: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
    const parents = [...this.#unsynced]
    const failed = new Map<string, unknown>()
    await concurrently(new Set([...folders, ...parents]), commitConcurrency, async (folder) => {
      try {
        await this.#disk.fsyncFolder(folder)
        this.#unsynced.delete(folder)
      } catch (error) {
        failed.set(folder, error)
        if (errnoOf(error) === 'ENOENT') this.#unsynced.delete(folder)
      }
    })
    return failed
  }

  /** Whoever removed a folder did it behind our back: it is made again when it is needed. */
  forget(folder: string): void {
    this.#known.delete(folder)
    this.#known.delete(dirname(folder))
  }
}
