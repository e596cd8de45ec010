import type { ModuleVersion, ZipHash } from '@modmesh/module'
import type { ByteSink, HeldZip } from './zip-store.ts'

/**
 * How missing files travel (design, section 5). `P`: each packed with the old file of its name as the
 * dictionary; `S`: all in one zstd frame; `F`: as they lie in the sender's zip.
 */
export type DeltaForm = 'P' | 'S' | 'F'

/** A content that the asker holds, which a manifest may be told against. */
export interface DeltaBase {
  readonly zipHash: ZipHash
  /** Its manifest in short, for who does not hold it. */
  readonly sketch?: Uint8Array | undefined
}

/** What is asked first. */
export interface DeltaQuestion {
  readonly zipHash: ZipHash
  /** The first one known is used. */
  readonly bases: readonly DeltaBase[]
  /** The asker has the manifest from before. */
  readonly hasManifest: boolean
}

/** A manifest as a peer tells it. Nothing in it is believed before it hashes to the h1. */
export interface ToldManifest {
  /** The number of the base it is told against. */
  readonly base: number | undefined
  /** Whether the sender holds that base, too. */
  readonly isBaseShared: boolean
  /** Empty when the asker has it. */
  readonly packed: Uint8Array
  /** Of the sender's zip, bytes: what it would have sent. */
  readonly zipBytes: number
  /** Of what the base does not have, as far as the sender knows: inflated, and as in its zip. */
  readonly newBytes: number
  readonly newPackedBytes: number
}

/** The zip that is asked for, ready to be told about. */
export interface DeltaOffer {
  readonly zip: HeldZip
  /** Throws InvalidFileError for a sketch that is none, UntellableError. */
  tell(
    question: Omit<DeltaQuestion, 'zipHash'>,
    options: { readonly signal: AbortSignal },
  ): Promise<ToldManifest>
  /**
   * Files of the zip, by their numbers in the manifest as `encodeIndices` writes them. Throws
   * InvalidFileError for numbers that are none, UntellableError.
   */
  files(
    asked: { readonly form: DeltaForm; readonly base?: ZipHash; readonly files: Uint8Array },
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>
}

/** Which files are still to come: those that the base has under another hash, and those it does not have. */
export interface MissingFiles {
  readonly changed: Uint8Array
  readonly added: Uint8Array
  readonly all: Uint8Array
  readonly changedCount: number
  readonly addedCount: number
  readonly allCount: number
}

/** A zip that is put together of files held and files that come. Outlives the fetch that began it. */
export interface ZipRebuild {
  /** What manifests may be told against. */
  readonly bases: readonly HeldZip[]
  readonly hasManifest: boolean
  /** A base's manifest in short; undefined where it is too long to be worth it. */
  sketch(base: HeldZip, options: { readonly signal: AbortSignal }): Promise<Uint8Array | undefined>
  /**
   * Takes a manifest. Throws DeltaRefusedError unless it hashes to the h1; `collision` when an honest
   * sender could have told it of a sketch.
   */
  takeManifest(told: ToldManifest, options: { readonly signal: AbortSignal }): Promise<void>
  missing(): MissingFiles
  /**
   * Takes files as `DeltaOffer.files` gives them; each is verified by itself and kept. Call `end` when
   * all has come. Both throw DeltaRefusedError for what does not verify.
   */
  receive(
    form: DeltaForm,
    files: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): ByteSink & { end(): Promise<void> }
  /** Writes the zip. Only when nothing is missing. Throws DeltaLostError when a base is gone. */
  writeTo(sink: ByteSink, options: { readonly signal: AbortSignal }): Promise<void>
  /** Lets go: `finished` throws away what came, else it is kept for a while. */
  release(finished: boolean): Promise<void>
}

/** What a store does for transfers of changes. */
export interface ZipDeltas {
  /** Begins, or goes on where an earlier one stopped; waits while another one is at it. */
  rebuild(
    module: ModuleVersion,
    zipHash: ZipHash,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipRebuild>
  /** What is told of a held zip. `mayUse`: whether a base of ours may be used for it. */
  offer(zip: HeldZip, options: { readonly mayUse: (base: HeldZip) => boolean }): DeltaOffer
}

/** What a peer told or sent does not verify. Found before anything of it is kept. */
export class DeltaRefusedError extends Error {
  readonly code = 'DELTA_REFUSED'
  /** `lie`: an honest sender would not; `codec`: it cannot be unpacked; `collision`: two lines look alike in a sketch. */
  readonly why: 'lie' | 'codec' | 'collision'
  constructor(why: DeltaRefusedError['why'], reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'DeltaRefusedError'
    this.why = why
  }
}

/** A held zip that can be given as a whole only, or not any more. */
export class UntellableError extends Error {
  readonly code = 'UNTELLABLE'
  constructor(reason: string) {
    super(reason)
    this.name = 'UntellableError'
  }
}

/** What a rebuild began with is not held any more. */
export class DeltaLostError extends Error {
  readonly code = 'DELTA_LOST'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'DeltaLostError'
  }
}
