import { createHash, type Hash } from 'node:crypto'
import type { ByteRange, HeldZip, Proof } from '@modmesh/fill'
import type { ModuleVersion, ZipDigest, ZipHash } from '@modmesh/module'
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
  read(range: ByteRange = { start: 0, end: this.size }): AsyncIterable<Uint8Array> {
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
    return {
      [Symbol.asyncIterator]: () => {
        // The timer goes on until the first chunk is asked for: what never starts never ends.
        const begin = (): Promise<OpenedZip> => {
          clearTimeout(idle)
          return opened
        }
        return this.#chunks(begin, range, isWhole)
      },
    }
  }

  async *#chunks(
    begin: () => Promise<OpenedZip>,
    { start, end }: ByteRange,
    isWhole: boolean,
  ): AsyncGenerator<Uint8Array> {
    const { file, hash, close } = await begin()
    const sha = hash ? createHash('sha256') : undefined
    const { memory } = this.#vault
    const seen: Uint8Array[] = []
    const keeps = isWhole && memory.isWorthKeeping(this.zipDigest, this.size)
    try {
      for (let at = start; at < end; ) {
        const chunk = await this.#readChunk(file, at, end)
        at += chunk.length
        if (keeps) seen.push(chunk)
        sha?.update(chunk)
        // The last chunk is held back until the whole proved right.
        if (at === end && sha !== undefined) await this.#checkDigest(sha)
        if (at === end && keeps) this.#remember(seen)
        yield chunk
      }
    } finally {
      await close()
    }
  }

  /** A file whose state was right when it was opened may still change while it is read. */
  #remember(chunks: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(chunks)
    const isRight = createHash('sha256').update(bytes).digest('hex') === this.zipDigest
    if (isRight) this.#vault.memory.keep(this.zipDigest, bytes)
  }

  async #readChunk(file: DiskFile, at: number, end: number): Promise<Uint8Array> {
    const chunk = Buffer.allocUnsafeSlow(Math.min(serveChunkBytes, end - at))
    const bytesRead = await this.#tryRead(file, chunk, at)
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
