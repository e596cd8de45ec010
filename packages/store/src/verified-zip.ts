import type { BodyChunks, ByteRange, HeldZip, Proof } from '@modmesh/fill'
import type { ModuleVersion, ZipDigest, ZipHash } from '@modmesh/module'
import type { ChunkLease, ChunkPool } from './chunk-pool.ts'
import { StoreDamagedError } from './errors.ts'
import { idleReadMs } from './limits.ts'
import type { SharedFile } from './shared-file.ts'
import type { VerifiedFile } from './staged-zip.ts'

/**
 * A verified zip on its way to the store. It is read from its staged file, which a commit renames
 * under its readers, and from the store once it is there. When it cannot be kept, those who were
 * given it still have it for a while.
 */
export class VerifiedZipFile implements HeldZip {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  readonly size: number
  readonly proof: Proof
  readonly #file: SharedFile
  readonly #pool: ChunkPool
  #kept: HeldZip | undefined
  #isClosed = false
  #ending: NodeJS.Timeout | undefined

  constructor(pool: ChunkPool, verified: VerifiedFile, proof: Proof) {
    this.module = verified.module
    this.zipHash = verified.zipHash
    this.zipDigest = verified.zipDigest
    this.size = verified.size
    this.proof = proof
    this.#file = verified.file
    this.#pool = pool
    this.#file.retain()
  }

  /** Throws RangeError for a range outside the zip, StoreDamagedError when it was not kept and nobody asked for long. */
  read(range: ByteRange = { start: 0, end: this.size }): BodyChunks {
    if (this.#kept !== undefined) return this.#kept.read(range)
    const { start, end } = range
    if (!(start >= 0 && start <= end && end <= this.size)) throw new RangeError('outside the zip')
    if (this.#isClosed) throw new StoreDamagedError(this.zipDigest, 'could not be kept')
    this.#file.retain()
    const idle = setTimeout(() => void this.#file.release(), idleReadMs)
    idle.unref()
    const lease = this.#pool.lease()
    return {
      recycle: (chunk) => lease.recycle(chunk),
      [Symbol.asyncIterator]: () => this.#chunks(range, lease, idle),
    }
  }

  /** Reads from the store from now on. */
  becomes(kept: HeldZip): void {
    this.#kept = kept
    this.close()
  }

  /** The commit failed: it can be read for as long as an answer may take to begin; `ended` is called then. */
  fails(ended?: () => void): void {
    this.#ending = setTimeout(() => {
      this.close()
      ended?.()
    }, idleReadMs)
    this.#ending.unref()
  }

  /** Begins no more reads of the staged file; those under way go on. */
  close(): void {
    clearTimeout(this.#ending)
    if (this.#isClosed) return
    this.#isClosed = true
    void this.#file.release()
  }

  /** The timer goes on until the first chunk is asked for: an iterator that never starts never ends. */
  async *#chunks(
    { start, end }: ByteRange,
    lease: ChunkLease,
    idle: NodeJS.Timeout,
  ): AsyncGenerator<Uint8Array> {
    clearTimeout(idle)
    try {
      for (let at = start; at < end; ) {
        const chunk = lease.take(end - at)
        const bytesRead = await this.#file.file.read(chunk, at)
        if (bytesRead === 0) throw new StoreDamagedError(this.zipDigest, 'the file became shorter')
        at += bytesRead
        yield chunk.subarray(0, bytesRead)
      }
    } finally {
      lease.end()
      await this.#file.release()
    }
  }
}
