import type { DiskFile } from './disk.ts'

/** One open file that several use by position: whoever lets go last closes it. */
export class SharedFile {
  readonly file: DiskFile
  #users = 1

  constructor(file: DiskFile) {
    this.file = file
  }

  /** Adds a user, who must let go in the end. */
  retain(): void {
    this.#users += 1
  }

  /** Ends one use. */
  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users === 0) await this.file.close()
  }
}
