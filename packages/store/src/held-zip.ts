import { createHash, type Hash, hash } from 'node:crypto'
import type { BodyChunks, ByteRange, HeldZip, Proof } from '@modmesh/fill'
import type { ModuleVersion, ZipDigest, ZipHash } from '@modmesh/module'
import type { ChunkLease } from './chunk-pool.ts'
import type { DiskFile } from './disk.ts'
import { StoreDamagedError } from './errors.ts'
import { idleReadMs, serveChunkBytes } from './limits.ts'
import type { ShelvedZip } from './zip-shelf.ts'
import type { OpenedZip, ZipVault } from './zip-vault.ts'

/** A committed zip as readers see it. */
export class HeldFile implements HeldZip {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  readonly size: number
  readonly proof: Proof
  readonly #vault: ZipVault
  readonly #zip: ShelvedZip

  constructor(vault: ZipVault, zip: ShelvedZip) {
    this.#vault = vault
    this.#zip = zip
    this.module = zip.record.module
    this.zipHash = zip.record.zipHash
    this.zipDigest = zip.record.zipDigest
    this.size = zip.record.size
    this.proof = zip.record.proof
    zip.heldMs = performance.now()
  }

  /** Throws RangeError for a range outside the zip; the iteration throws StoreDamagedError before a bad end. */
  read(range: ByteRange = { start: 0, end: this.size }): BodyChunks {
    const { start, end } = range
    if (!(start >= 0 && start <= end && end <= this.size)) throw new RangeError('outside the zip')
    const hot = this.#vault.memory.get(this.zipDigest)
    if (hot !== undefined) {
      this.#vault.noteUsed(this.#zip)
      return pieces(hot.subarray(start, end))
    }
    const isWhole = start === 0 && end === this.size
    const opened = this.#vault.open(this.#zip, isWhole)
    // Whoever iterates gets the error; nobody else has to.
    opened.catch(() => {})
    const idle = setTimeout(() => void closeQuietly(opened), idleReadMs)
    idle.unref()
    const lease = this.#vault.chunks.lease()
    return {
      recycle: (chunk) => lease.recycle(chunk),
      [Symbol.asyncIterator]: () => {
        // The timer goes on until the first chunk is asked for: what never starts never ends.
        const begin = (): Promise<OpenedZip> => {
          clearTimeout(idle)
          return opened
        }
        return this.#chunks(begin, lease, range)
      },
    }
  }

  async *#chunks(
    begin: () => Promise<OpenedZip>,
    lease: ChunkLease,
    { start, end }: ByteRange,
  ): AsyncGenerator<Uint8Array> {
    const opened = await begin()
    const { file, close } = opened
    const sha = opened.hash ? createHash('sha256') : undefined
    const copy = end - start === this.size ? this.#copyToKeep() : undefined
    try {
      for (let at = start; at < end; ) {
        const chunk = await this.#readChunk(file, lease, { start: at, end })
        copy?.set(chunk, at)
        at += chunk.length
        sha?.update(chunk)
        // The last chunk is held back until the whole proved right.
        if (at === end && sha !== undefined) await this.#checkDigest(sha)
        else if (at === end && opened.isShared) {
          await this.#vault.refuseWhenChanged(this.#zip, file)
        }
        if (at === end && copy !== undefined) this.#remember(copy, sha !== undefined)
        yield chunk
      }
    } finally {
      lease.end()
      await close()
    }
  }

  /** Room for a zip that is read often. */
  #copyToKeep(): Uint8Array | undefined {
    const isWorthIt = this.#vault.memory.isWorthKeeping(this.zipDigest, this.size)
    return isWorthIt ? Buffer.allocUnsafeSlow(this.size) : undefined
  }

  /** A file whose state was right when it was opened may still change while it is read: its hash must have been seen. */
  #remember(bytes: Uint8Array, isChecked: boolean): void {
    const isRight = isChecked || hash('sha256', bytes, 'hex') === this.zipDigest
    if (isRight) this.#vault.memory.keep(this.zipDigest, bytes)
  }

  async #readChunk(
    file: DiskFile,
    lease: ChunkLease,
    { start, end }: ByteRange,
  ): Promise<Uint8Array> {
    const chunk = lease.take(end - start)
    const bytesRead = await this.#tryRead(file, chunk, start)
    if (bytesRead > 0) return chunk.subarray(0, bytesRead)
    await this.#vault.quarantine(this.#zip, 'the file became shorter')
    throw new StoreDamagedError(this.zipDigest, 'the file became shorter')
  }

  async #tryRead(file: DiskFile, chunk: Buffer, at: number): Promise<number> {
    try {
      return await file.read(chunk, at)
    } catch (error) {
      throw await this.#vault.readFailed(this.#zip, error)
    }
  }

  async #checkDigest(sha: Hash): Promise<void> {
    if (sha.digest('hex') === this.zipDigest) {
      this.#vault.noteHashed(this.#zip)
      return
    }
    await this.#vault.quarantine(this.#zip, 'its bytes changed')
    throw new StoreDamagedError(this.zipDigest, 'its bytes changed')
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += serveChunkBytes) {
    yield bytes.subarray(at, at + serveChunkBytes)
  }
}

async function closeQuietly(opened: Promise<OpenedZip>): Promise<void> {
  try {
    await (await opened).close()
  } catch {
    // It never opened, or is closed: that is what we want.
  }
}
