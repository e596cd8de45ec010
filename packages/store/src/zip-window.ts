import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { ZipRulesError } from '@modmesh/module'
import { freeBuffer } from './free-buffer.ts'
import { readWindowBytes } from './limits.ts'

/**
 * A zip opened for verification: a window of it is in memory, so that one read serves many small
 * entries. Synchronous, because it runs in a worker, or on files of a few hundred KiB.
 */
export class ZipWindow {
  readonly size: number
  readonly #fd: number
  #bytes: Buffer = Buffer.alloc(0)
  #start = 0

  constructor(path: string) {
    this.#fd = openSync(path, 'r')
    this.size = fstatSync(this.#fd).size
  }

  /** Bytes from `start` up to `end`, valid until the next call. Throws ZipRulesError outside the file. */
  read(start: number, end: number): Buffer {
    if (start < 0 || end < start || end > this.size) {
      throw new ZipRulesError('points outside the file')
    }
    if (start < this.#start || end > this.#start + this.#bytes.length) this.#fill(start, end)
    return this.#bytes.subarray(start - this.#start, end - this.#start)
  }

  /** As `read`, but around the window: for large pieces. */
  readInto(into: Buffer, start: number): void {
    for (let done = 0; done < into.length; ) {
      const bytesRead = readSync(this.#fd, into, done, into.length - done, start + done)
      if (bytesRead === 0) throw new ZipRulesError('the file became shorter')
      done += bytesRead
    }
  }

  close(): void {
    closeSync(this.#fd)
    freeBuffer(this.#bytes)
  }

  #fill(start: number, end: number): void {
    const length = Math.min(Math.max(end - start, readWindowBytes), this.size - start)
    freeBuffer(this.#bytes)
    this.#bytes = Buffer.allocUnsafeSlow(length)
    this.#start = start
    this.readInto(this.#bytes, start)
  }
}
