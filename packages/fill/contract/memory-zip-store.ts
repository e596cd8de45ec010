import { createHash } from 'node:crypto'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  maxZipBytes,
  parseZipDigest,
  type Version,
  type ZipDigest,
  type ZipHash,
  ZipRulesError,
  zipHashFromBytes,
} from '@modmesh/module'
import { HashMismatchError } from '../src/errors.ts'
import type { Proof } from '../src/proof.ts'
import type { ByteRange, HeldZip, StagedZip, StoredRecord, ZipStore } from '../src/zip-store.ts'

/** What happens between "verified" and "committed", in this order. */
export const commitSteps = ['fsync-file', 'rename', 'fsync-folder', 'index'] as const
export type CommitStep = (typeof commitSteps)[number]
/** Where a test can get in between: the commit, a chunk of a staged zip, a record. */
export type MemoryStep = CommitStep | 'write' | 'record'

/** Where a twin of the store differs from a real one: what a zip is, and what its disk does. */
export interface MemoryStoreInit {
  /** Hashes what a test calls a zip; throws ZipRulesError for what is none. */
  readonly hashZip?: (module: ModuleVersion, bytes: Uint8Array) => ZipHash
  readonly digestZip?: (bytes: Uint8Array) => ZipDigest
  /** Called before each write and each step of a commit. May wait, throw, or pull the plug. */
  readonly onStep?: (step: MemoryStep, module: ModuleVersion) => Promise<void> | void
  readonly maxZipBytes?: number
}

interface ZipFile {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  readonly proof: Proof
  readonly bytes: Uint8Array
  isDataSynced: boolean
  isNameSynced: boolean
  /** Set when its commit is done: until then nobody finds it. */
  isIndexed: boolean
}

/** What survives a store: the files, and which of them a power cut would take. */
export class MemoryDisk {
  readonly zips: Map<string, ZipFile> = new Map()
  readonly records: Map<string, StoredRecord> = new Map()
  /** Counts power cuts: a store opened before one is dead. */
  generation = 0

  /** Cuts the power: a name that was not synced is gone, data that was not synced is empty. */
  crash(): void {
    this.generation++
    for (const [key, file] of this.zips) {
      if (!file.isNameSynced || !file.isDataSynced) this.zips.delete(key)
      // The next start finds it in its folder.
      else file.isIndexed = true
    }
  }
}

/** A disk whose power was cut under the store. */
export class DiskGoneError extends Error {
  readonly code = 'DISK_GONE'
  constructor() {
    super('the power was cut')
    this.name = 'DiskGoneError'
  }
}

/** A store in memory, true to its port, whose disk can lose power between any two steps. */
export class MemoryZipStore implements ZipStore {
  readonly disk: MemoryDisk
  readonly #init: MemoryStoreInit
  readonly #generation: number
  readonly #staged = new Set<StagedZip>()

  constructor(init: MemoryStoreInit = {}, disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk
    this.#init = init
    this.#generation = disk.generation
  }

  /** Staged zips that were neither committed nor discarded. */
  get staged(): number {
    return this.#staged.size
  }

  async findZip(module: ModuleVersion): Promise<HeldZip | undefined> {
    this.#throwIfGone()
    const file = this.disk.zips.get(formatModuleVersion(module))
    return file?.isIndexed === true ? held(file) : undefined
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    this.#throwIfGone()
    const file = this.#indexed().find((each) => each.zipHash === zipHash)
    return file === undefined ? undefined : held(file)
  }

  async findRecord(module: ModuleVersion): Promise<StoredRecord | undefined> {
    this.#throwIfGone()
    return this.disk.records.get(formatModuleVersion(module))
  }

  async putRecord(record: StoredRecord): Promise<void> {
    await this.#step('record', record.module)
    const key = formatModuleVersion(record.module)
    this.disk.records.set(key, { ...this.disk.records.get(key), ...record })
  }

  async stageZip(module: ModuleVersion): Promise<StagedZip> {
    this.#throwIfGone()
    const staged = new MemoryStagedZip(module, {
      init: this.#init,
      keep: (file) => this.#keep(file),
      onWrite: () => this.#step('write', module),
      close: () => this.#staged.delete(staged),
    })
    this.#staged.add(staged)
    return staged
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    this.#throwIfGone()
    const found = new Set<Version>()
    for (const { module } of this.#indexed()) {
      if (module.path === path) found.add(module.version)
    }
    for (const { module, mod } of this.disk.records.values()) {
      if (module.path === path && mod !== undefined) found.add(module.version)
    }
    return [...found]
  }

  async *contents(): AsyncGenerator<{
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly proof: Proof
  }> {
    for (const { module, zipHash, proof } of this.#indexed()) yield { module, zipHash, proof }
  }

  #indexed(): ZipFile[] {
    return [...this.disk.zips.values()].filter((file) => file.isIndexed)
  }

  async #keep(file: ZipFile): Promise<HeldZip> {
    const key = formatModuleVersion(file.module)
    await this.#step('fsync-file', file.module)
    file.isDataSynced = true
    await this.#step('rename', file.module)
    const before = this.disk.zips.get(key)
    if (before?.zipHash === file.zipHash && before.isIndexed) return held(before)
    this.disk.zips.set(key, file)
    await this.#step('fsync-folder', file.module)
    file.isNameSynced = true
    await this.#step('index', file.module)
    file.isIndexed = true
    return held(file)
  }

  async #step(step: MemoryStep, module: ModuleVersion): Promise<void> {
    this.#throwIfGone()
    await this.#init.onStep?.(step, module)
    this.#throwIfGone()
  }

  #throwIfGone(): void {
    if (this.disk.generation !== this.#generation) throw new DiskGoneError()
  }
}

interface StagedParts {
  readonly init: MemoryStoreInit
  readonly keep: (file: ZipFile) => Promise<HeldZip>
  readonly onWrite: () => Promise<void>
  readonly close: () => void
}

class MemoryStagedZip implements StagedZip {
  readonly #module: ModuleVersion
  readonly #parts: StagedParts
  #chunks: Uint8Array[] = []
  #ahead: { readonly start: number; readonly bytes: Uint8Array }[] = []
  #size = 0
  #verified: ZipHash | undefined
  #isClosed = false

  constructor(module: ModuleVersion, parts: StagedParts) {
    this.#module = module
    this.#parts = parts
  }

  get size(): number {
    return this.#size
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#throwIfClosed()
    if (this.#size + chunk.length > (this.#parts.init.maxZipBytes ?? maxZipBytes)) {
      throw new ZipRulesError('larger than the size limit')
    }
    this.#verified = undefined
    this.#chunks.push(chunk.slice())
    this.#size += chunk.length
    await this.#parts.onWrite()
  }

  async writeAhead(chunk: Uint8Array, position: number): Promise<void> {
    this.#throwIfClosed()
    if (position + chunk.length > (this.#parts.init.maxZipBytes ?? maxZipBytes)) {
      throw new ZipRulesError('larger than the size limit')
    }
    this.#ahead.push({ start: position, bytes: chunk.slice() })
    await this.#parts.onWrite()
  }

  async join(end: number): Promise<void> {
    this.#throwIfClosed()
    const start = this.#size
    const joined = new Uint8Array(end - start)
    let filled = 0
    for (const part of this.#ahead) {
      const from = Math.max(part.start, start)
      const to = Math.min(part.start + part.bytes.length, end)
      if (to <= from) continue
      joined.set(part.bytes.subarray(from - part.start, to - part.start), from - start)
      filled += to - from
    }
    if (filled < joined.length) throw new Error('joined bytes that are missing')
    this.#verified = undefined
    this.#chunks.push(joined)
    this.#size = end
  }

  async digest(): Promise<ZipDigest> {
    this.#throwIfClosed()
    return (this.#parts.init.digestZip ?? digest)(this.#bytes())
  }

  async readSoFar({ start, end }: ByteRange): Promise<Uint8Array> {
    this.#throwIfClosed()
    if (end > this.#size) throw new Error('not what was written')
    return this.#bytes().slice(start, end)
  }

  async reset(): Promise<void> {
    this.#throwIfClosed()
    this.#verified = undefined
    this.#chunks = []
    this.#ahead = []
    this.#size = 0
  }

  async verify(
    expected: ZipHash | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipHash> {
    this.#throwIfClosed()
    options.signal.throwIfAborted()
    const actual = (this.#parts.init.hashZip ?? hashAnything)(this.#module, this.#bytes())
    if (expected !== undefined && expected !== actual) {
      throw new HashMismatchError(this.#module, { expected, actual })
    }
    this.#verified = actual
    return actual
  }

  readable(proof: Proof): HeldZip {
    this.#throwIfClosed()
    return held(this.#file(proof))
  }

  async commit(proof: Proof): Promise<HeldZip> {
    this.#throwIfClosed()
    const kept = await this.#parts.keep(this.#file(proof))
    this.#close()
    return kept
  }

  async discard(): Promise<void> {
    this.#close()
  }

  #file(proof: Proof): ZipFile {
    const zipHash = this.#verified
    if (zipHash === undefined) throw new Error('not verified')
    const bytes = this.#bytes()
    const zipDigest = (this.#parts.init.digestZip ?? digest)(bytes)
    const synced = { isDataSynced: false, isNameSynced: false, isIndexed: false }
    return { module: this.#module, zipHash, zipDigest, proof, bytes, ...synced }
  }

  #bytes(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }

  #close(): void {
    this.#isClosed = true
    this.#parts.close()
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new Error('this staged zip is closed')
  }
}

function held(file: ZipFile): HeldZip {
  const { module, zipHash, zipDigest, proof, bytes } = file
  return {
    module,
    zipHash,
    zipDigest,
    proof,
    size: bytes.length,
    async *read(range?: ByteRange) {
      yield bytes.subarray(range?.start ?? 0, range?.end ?? bytes.length)
    },
  }
}

/** The twin's idea of a zip: any bytes but these. */
export const brokenZip: Uint8Array = new TextEncoder().encode('not a zip')

/** The twin's h1 of any bytes. Throws ZipRulesError for `brokenZip`. */
export function hashAnything(_module: ModuleVersion, bytes: Uint8Array): ZipHash {
  if (Buffer.compare(bytes, brokenZip) === 0) throw new ZipRulesError('not a zip')
  return zipHashFromBytes(createHash('sha256').update('h1').update(bytes).digest())
}

function digest(bytes: Uint8Array): ZipDigest {
  return parseZipDigest(createHash('sha256').update(bytes).digest('hex'))
}
