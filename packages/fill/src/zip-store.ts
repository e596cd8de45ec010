import type {
  ModHash,
  ModulePath,
  ModuleVersion,
  Version,
  ZipDigest,
  ZipHash,
} from '@modmesh/module'
import type { Proof } from './proof.ts'
import type { ZipDeltas } from './zip-deltas.ts'

/** Bytes from `start` up to and without `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * Where a body goes while it arrives. Resolves when it is ready for more (back-pressure), and has no
 * use for the chunk's memory then: the source may fill it again.
 */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>
}

/** A body in pieces, in order. */
export interface BodyChunks extends AsyncIterable<Uint8Array> {
  /** Takes the memory of a chunk back, whose bytes may change from then on. Nobody has to give it back. */
  recycle?(chunk: Uint8Array): void
}

/** A verified zip: committed, or on its way there. */
export interface HeldZip {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  /** Size of the zip file, bytes. */
  readonly size: number
  readonly proof: Proof
  /** The file's bytes; opened when called, so a later eviction does not cut a running read. */
  read(range?: ByteRange): BodyChunks
}

/** A zip on its way in: private to its fill, never visible to readers. */
export interface StagedZip extends ByteSink {
  /** Bytes written so far. */
  readonly size: number
  /** Appends; throws ZipRulesError beyond maxZipBytes. */
  write(chunk: Uint8Array): Promise<void>
  /**
   * Writes beyond what was appended: a part whose beginning is still missing. It does not count in `size`
   * before `join`. Throws ZipRulesError beyond maxZipBytes.
   */
  writeAhead(chunk: Uint8Array, position: number): Promise<void>
  /** Takes up what was written ahead, all of it up to `end`, as if it had been appended. */
  join(end: number): Promise<void>
  /** The digest of what was appended and joined so far. */
  digest(): Promise<ZipDigest>
  /**
   * Reads what was written so far, for those who do not wait for the whole: unverified. Throws after
   * `commit` and `discard`, and once it was brought into another form.
   */
  readSoFar(range: ByteRange): Promise<Uint8Array>
  /** Empties it, so that the next source starts over. */
  reset(): Promise<void>
  /**
   * Checks zip rules and h1 of what was written. Returns the h1 seen.
   * Throws ZipRulesError, or HashMismatchError when `expected` is given and differs.
   */
  verify(expected: ZipHash | undefined, options: { readonly signal: AbortSignal }): Promise<ZipHash>
  /**
   * What was verified, as its readers see it: readable at once and as long as a reader goes on,
   * whatever becomes of the commit. Only after `verify` and before `commit`.
   */
  readable(proof: Proof): HeldZip
  /**
   * Makes it durable and visible; resolves when it is both, and until then nobody finds it. Only
   * after `verify`. Idempotent for equal content.
   */
  commit(proof: Proof): Promise<HeldZip>
  /** Removes it; does nothing after commit. */
  discard(): Promise<void>
}

/** What is held of a module version beside its zip. Each part may be absent. */
export interface StoredRecord {
  readonly module: ModuleVersion
  /** Bytes of the .info, as its source gave them. Not provable. */
  readonly info?: { readonly bytes: Uint8Array; readonly from: 'upstream' | 'peer' }
  /** Bytes of the go.mod, verified against modHash. */
  readonly mod?: { readonly bytes: Uint8Array; readonly hash: ModHash; readonly proof: Proof }
}

/** The disk, or its memory twin. Files are the truth; everything found here was verified before it came in. */
export interface ZipStore {
  /** Transfers of changes; absent: zips come and go as a whole. */
  readonly deltas?: ZipDeltas
  findZip(module: ModuleVersion): Promise<HeldZip | undefined>
  /** Any held zip with this content. */
  findContent(zipHash: ZipHash): Promise<HeldZip | undefined>
  findRecord(module: ModuleVersion): Promise<StoredRecord | undefined>
  /** Merges the parts given into what is held; resolves when durable (group commit). */
  putRecord(record: StoredRecord): Promise<void>
  stageZip(module: ModuleVersion): Promise<StagedZip>
  /** Versions of a path of which a verified go.mod or zip is held, in no order. */
  versions(path: ModulePath): Promise<readonly Version[]>
  /** Every committed zip's module and content, for inventories and announcements. */
  contents(): AsyncIterable<{
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly proof: Proof
  }>
}
