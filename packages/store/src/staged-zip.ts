import { createHash, type Hash } from 'node:crypto'
import {
  type ByteRange,
  HashMismatchError,
  type HeldZip,
  type Proof,
  type StagedZip,
} from '@modmesh/fill'
import {
  type ModuleVersion,
  parseZipDigest,
  type ZipDigest,
  type ZipHash,
  ZipRulesError,
} from '@modmesh/module'
import type { ChunkPool } from './chunk-pool.ts'
import type { Disk, DiskFile } from './disk.ts'
import { StoreWriteError } from './errors.ts'
import { pieceBytes } from './limits.ts'
import { readFully, writePlainForm } from './plain-form.ts'
import { SharedFile } from './shared-file.ts'
import type { ReportEvent } from './store-event.ts'
import { VerifiedZipFile } from './verified-zip.ts'
import type { VerifyPool } from './verify-pool.ts'
import type { CommitHooks } from './zip-commit.ts'
import type { VerifiedZip } from './zip-verify.ts'

/** A verified file that may be committed. */
export interface VerifiedFile {
  readonly module: ModuleVersion
  readonly path: string
  readonly file: SharedFile
  readonly size: number
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  /** Somebody else has its inode, too, and may have written to it since it was verified. */
  readonly isShared: boolean
}

export interface StagedComponents {
  readonly disk: Disk
  readonly pool: VerifyPool
  /** Memory of what is being read. */
  readonly chunks: ChunkPool
  readonly report: ReportEvent
  readonly hooks: CommitHooks
  readonly maxZipBytes: number
  /** Called once, when the file is committed or discarded. */
  readonly onDone: (staged: StagedFile) => void
  /** Takes the file over: it is renamed or removed when this settles. */
  readonly commit: (
    verified: VerifiedFile,
    proof: Proof,
    readers: readonly VerifiedZipFile[],
  ) => Promise<HeldZip>
}

/** A file in staging. Its digest is computed while it is written. */
export class StagedFile implements StagedZip {
  readonly #components: StagedComponents
  readonly #module: ModuleVersion
  #path: string
  #file: SharedFile
  #sha: Hash = createHash('sha256')
  #size = 0
  #verified: VerifiedFile | undefined
  readonly #readers: VerifiedZipFile[] = []
  #tail: Promise<void> = Promise.resolve()
  #isDone = false
  #isRewritten = false

  constructor(
    components: StagedComponents,
    init: { readonly module: ModuleVersion; readonly path: string; readonly file: DiskFile },
  ) {
    this.#components = components
    this.#module = init.module
    this.#path = init.path
    this.#file = new SharedFile(init.file)
  }

  get size(): number {
    return this.#size
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#refuseWhenFixed()
    const { maxZipBytes } = this.#components
    if (this.#size + chunk.length > maxZipBytes) {
      throw new ZipRulesError(`larger than ${maxZipBytes} bytes`)
    }
    const position = this.#size
    this.#size += chunk.length
    this.#verified = undefined
    await this.#inOrder(async () => {
      await this.#components.hooks.onStep?.('write', 'before')
      this.#sha.update(chunk)
      await this.#file.file.write(chunk, position)
      await this.#components.hooks.onStep?.('write', 'after')
    })
  }

  async writeAhead(chunk: Uint8Array, position: number): Promise<void> {
    this.#refuseWhenFixed()
    const { maxZipBytes } = this.#components
    if (position + chunk.length > maxZipBytes) {
      throw new ZipRulesError(`larger than ${maxZipBytes} bytes`)
    }
    this.#verified = undefined
    await this.#inOrder(async () => {
      await this.#components.hooks.onStep?.('write', 'before')
      await this.#file.file.write(chunk, position)
      await this.#components.hooks.onStep?.('write', 'after')
    })
  }

  async join(end: number): Promise<void> {
    this.#refuseWhenFixed()
    const start = this.#size
    this.#size = end
    this.#verified = undefined
    await this.#inOrder(async () => {
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, end - start))
      for (let at = start; at < end; at += piece.length) {
        const part = piece.subarray(0, Math.min(piece.length, end - at))
        await readFully(this.#file.file, part, at)
        this.#sha.update(part)
      }
    })
  }

  async digest(): Promise<ZipDigest> {
    this.#refuseWhenDone()
    await this.#tail
    return parseZipDigest(this.#sha.copy().digest('hex'))
  }

  async readSoFar({ start, end }: ByteRange): Promise<Uint8Array> {
    this.#refuseWhenDone()
    if (this.#isRewritten || end > this.#size) throw new Error('not what was written')
    const file = this.#file
    const bytes = Buffer.allocUnsafeSlow(end - start)
    file.retain()
    try {
      await readFully(file.file, bytes, start)
      return bytes
    } finally {
      await file.release()
    }
  }

  async reset(): Promise<void> {
    this.#refuseWhenFixed()
    this.#size = 0
    this.#verified = undefined
    await this.#inOrder(async () => {
      this.#sha = createHash('sha256')
      await this.#file.file.truncate(0)
    })
  }

  async verify(
    expected: ZipHash | undefined,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ZipHash> {
    this.#refuseWhenDone()
    await this.#tail
    const zip = await this.#components.pool.verify(this.#path, this.#module, { signal })
    if (expected !== undefined && zip.zipHash !== expected) {
      throw new HashMismatchError(this.#module, { expected, actual: zip.zipHash })
    }
    if (zip.rewrite !== undefined) await this.#keepPlainForm(zip, zip.rewrite, signal)
    this.#verified = {
      module: this.#module,
      path: this.#path,
      file: this.#file,
      size: this.#size,
      zipHash: zip.zipHash,
      zipDigest: parseZipDigest(this.#sha.copy().digest('hex')),
      isShared: false,
    }
    return zip.zipHash
  }

  readable(proof: Proof): HeldZip {
    this.#refuseWhenDone()
    const reader = new VerifiedZipFile(this.#components.chunks, this.#verifiedOrThrow(), proof)
    this.#readers.push(reader)
    return reader
  }

  async commit(proof: Proof): Promise<HeldZip> {
    this.#refuseWhenDone()
    const verified = this.#verifiedOrThrow()
    this.#end()
    return await this.#components.commit(verified, proof, this.#readers)
  }

  async discard(): Promise<void> {
    if (this.#isDone) return
    this.#end()
    // A write that failed was already told to its caller.
    await this.#tail.catch(() => {})
    for (const reader of this.#readers) reader.fails()
    await this.#file.release()
    await this.#components.disk.remove(this.#path)
  }

  #end(): void {
    this.#isDone = true
    this.#components.onDone(this)
  }

  #verifiedOrThrow(): VerifiedFile {
    if (this.#verified === undefined) throw new Error('the staged zip is not verified')
    return this.#verified
  }

  #refuseWhenDone(): void {
    if (this.#isDone) throw new Error('the staged zip was committed or discarded')
  }

  /** What somebody may be reading must not change. */
  #refuseWhenFixed(): void {
    this.#refuseWhenDone()
    if (this.#readers.length > 0) throw new Error('the staged zip is being read')
  }

  /** One call at a time, so that file and digest always agree; after a failure all fail. */
  #inOrder(work: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(work).catch((error: unknown) => {
      throw error instanceof StoreWriteError ? error : new StoreWriteError('a zip', error)
    })
    this.#tail = result
    // Whoever waits for `result` gets the error.
    result.catch(() => {})
    return result
  }

  /** Replaces what was received by the form that every parser reads alike, and verifies that. */
  async #keepPlainForm(
    zip: VerifiedZip,
    rewrite: NonNullable<VerifiedZip['rewrite']>,
    signal: AbortSignal,
  ): Promise<void> {
    this.#isRewritten = true
    const old = { file: this.#file, path: this.#path }
    const staged = { file: old.file.file, path: old.path }
    const plain = await writePlainForm(this.#components.disk, staged, rewrite.parts)
    this.#file = new SharedFile(plain.file)
    this.#path = plain.path
    this.#sha = plain.sha
    this.#size = plain.size
    await old.file.release()
    await this.#components.disk.remove(old.path)
    const again = await this.#components.pool.verify(this.#path, this.#module, { signal })
    if (again.zipHash !== zip.zipHash || again.rewrite !== undefined) {
      throw new ZipRulesError(`cannot be brought into plain form (${rewrite.reason})`)
    }
    const { reason } = rewrite
    this.#components.report({ kind: 'rewritten', module: this.#module, reason })
  }
}
