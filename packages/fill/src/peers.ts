import type { ModulePath, ModuleVersion, Version, ZipDigest, ZipHash } from '@modmesh/module'
import type { RecordProof } from './checksum-db.ts'
import type { DeltaForm, DeltaQuestion, ToldManifest } from './zip-deltas.ts'
import type { ByteSink } from './zip-store.ts'

/** A libp2p peer id in its text form. */
export type PeerId = string

/** What a peer says of a module version. Nothing in it is believed before it is verified. */
export interface ModuleRecord {
  readonly peer: PeerId
  readonly module: ModuleVersion
  readonly info: Uint8Array | undefined
  readonly mod: Uint8Array | undefined
  readonly record: RecordProof | undefined
  /** Whether the peer says that it can serve the zip now. */
  readonly holdsZip: boolean
}

/** A peer that says it can serve a content. */
export interface Holder {
  readonly peer: PeerId
  /** How we know: a live inventory, an answer to a have-query, or a DHT record. */
  readonly via: 'inventory' | 'have' | 'dht'
  /** Measured round trip, or undefined when not connected. */
  readonly rttMs: number | undefined
  /** Set when it is of another site. */
  readonly far?: SiteLink
  /** What it gave of large zips lately, bytes per ms; absent when not measured. */
  readonly bytesPerMs?: number | undefined
  /** Nine of ten of its first bytes came within this time lately, ms; absent when not measured. */
  readonly usualFirstByteMs?: number | undefined
  /** Bodies of it that are on their way to us. */
  readonly load?: number
}

/** The link to another site, with what it costs: measured of late, undefined where nothing was. */
export interface SiteLink {
  readonly site: string
  /** Shortest round trip to a connected member. */
  readonly rttMs: number | undefined
  /** While something is being fetched over it. */
  readonly bytesPerSecond: number | undefined
  /** Since a word of any connected member came, ms; there is one every 15 s. Absent: not known. */
  readonly silentMs?: number
  /** Only what somebody asks for may cross. */
  readonly isMetered?: boolean
}

/** One concrete zip file. */
export interface ZipBytes {
  readonly zipDigest: ZipDigest
  readonly size: number
}

/** Bytes of it, from `start` up to and without `end`. */
export interface ZipRange extends ZipBytes {
  readonly start: number
  readonly end: number
}

/** What the owner of a key is asked, which asks upstream for all of its site. */
export type OwnerQuestion = PartQuestion | ChangingQuestion

/** A question whose answer is for ever. */
export interface PartQuestion {
  readonly what: 'zip' | 'mod' | 'info' | 'sums'
  readonly module: ModuleVersion
}

/** A question whose answer changes. */
export type ChangingQuestion =
  | { readonly what: 'list' | 'latest'; readonly path: ModulePath }
  | { readonly what: 'query'; readonly path: ModulePath; readonly query: string }

/** What an owner says. Nothing in it is believed before it is verified. */
export type OwnerAnswer =
  /** What it has of the module version by now, the part that was asked for included; `holdsZip`: the zip is there, come and fetch it. */
  | {
      readonly kind: 'record'
      readonly record: Omit<ModuleRecord, 'peer'>
      /** All bytes of a small zip, where that was asked for. */
      readonly zip?: Uint8Array
    }
  /** An answer that changes, as upstream gave it `ageMs` ago. */
  | {
      readonly kind: 'bytes'
      readonly bytes: Uint8Array
      readonly from: string
      readonly ageMs: number
    }
  /** It says that nobody has it: a hint, which the asker has to see for itself. */
  | { readonly kind: 'nothing' }
  /** `busy`: too many questions of ours; `declined`: not for this path; `failed`: it could not. */
  | { readonly kind: 'refused'; readonly why: 'busy' | 'declined' | 'failed' }

/** A sign of life of an owner that works on a question. */
export interface OwnerNotice {
  /** Bytes of the body so far. */
  readonly bytes: number
  /** Another number than before whenever something came that is no byte of it, or its turn came nearer. */
  readonly moves?: number | undefined
}

/** Which part of a zip that is on its way is asked for. */
export interface PartAsked {
  /** The body that the part before was of. */
  readonly body: number | undefined
  readonly offset: number
}

/** Bytes of a zip that is on its way, unverified. */
export interface ZipPart {
  /** Parts of different bodies are never mixed. */
  readonly body: number
  /** Bytes to come; none when there are no more yet. */
  readonly length: number
  /** Nothing comes after them. */
  readonly isLast: boolean
  readonly chunks: AsyncIterable<Uint8Array>
}

/** How far a zip has come whose holder was cut. Made by the mesh and of use to it alone. */
export interface ResumePoint {
  /** Of the whole zip, as that holder declared it. */
  readonly zipDigest: ZipDigest
  /** Bytes that went into the sink. */
  readonly size: number
}

/** Lets a zip go on where another holder, or the same one before, was cut. */
export interface ZipResume {
  /** What is in the sink by now. */
  readonly from: ResumePoint | undefined
  /** Called when a body begins, with what tells how far it has come by then, and with what the holder declares. */
  onBody(point: () => ResumePoint, whole: ZipBytes): void
  /**
   * Called to empty the sink before bytes come from the beginning. `mismatch`: joined bytes were not those
   * of the digest, and nobody knows whose fault that is.
   */
  onReset(why: 'other-bytes' | 'mismatch'): Promise<void>
}

/** How a zip is fetched from a peer. */
export interface ZipFetchOptions {
  readonly signal: AbortSignal
  /** Called once when the body begins. */
  readonly onFirstByte?: () => void
  readonly resume?: ZipResume
}

/** Who may be an owner. */
export interface OwnerChoice {
  readonly isTrusted: (peer: PeerId) => boolean
  /**
   * Whom it asks: `upstream`, for those only who can ask one themselves, beside other sites; `sites`,
   * other sites alone, of those who have no upstream.
   */
  readonly reach: 'upstream' | 'sites'
}

/** The way to a peer with whom changes are worth their work. */
export interface DeltaLink {
  /** Measured, or what is usual. */
  readonly bytesPerSecond: number
}

/** One zip, as a peer tells it. Nothing in it is believed before it is verified. */
export interface DeltaTalk extends AsyncDisposable {
  /** `whole`: it sends the zip as it is; `elsewhere`: it is to be asked for with `fetchZip`. */
  readonly answer:
    | { readonly kind: 'whole' }
    | { readonly kind: 'elsewhere' }
    | { readonly kind: 'manifest'; readonly told: ToldManifest }
  /** Bytes that came, of all answers. */
  readonly receivedBytes: number
  /** Takes the zip. Throws PeerError, the sink's errors, the signal's reason. */
  zip(sink: ByteSink, options: { readonly signal: AbortSignal }): Promise<void>
  /** Takes files of it; `base` is the number of that of the question. Throws as `zip` does. */
  files(
    asked: {
      readonly form: DeltaForm
      readonly base: number | undefined
      readonly files: Uint8Array
    },
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
}

/** Transfers of changes from peers that can. */
export interface PeerDeltas {
  /** How changes would come from a peer, connecting where it is of another site; undefined where the whole zip is to be asked for. */
  link(peer: PeerId, options: { readonly signal: AbortSignal }): Promise<DeltaLink | undefined>
  /** Whether the peer says that it holds a content. Memory only. */
  holds(peer: PeerId, zipHash: ZipHash): boolean
  /** Counts bytes that a peer's site did not have to send. */
  saved(peer: PeerId, bytes: number): void
  /**
   * Asks for a zip. `onBytes` is told of what comes, and with 0 of signs of life before it. Throws PeerError,
   * the signal's reason. The result is to be disposed of.
   */
  talk(
    peer: PeerId,
    question: DeltaQuestion,
    options: { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
  ): Promise<DeltaTalk>
}

/** The mesh as a fill needs it. Hints and bytes, never trust. */
export interface Peers {
  /** Absent: whole zips only. */
  readonly deltas?: PeerDeltas
  /** Whether anybody could be asked at all: connected peers or a DHT with members. Memory only. */
  isAlone(): boolean
  /** Other sites with a connected member that may be asked now. Memory only. */
  sites(): readonly SiteLink[]
  /** The link to a peer's site; undefined when that is ours. Memory only. */
  siteOf(peer: PeerId): SiteLink | undefined
  /**
   * Asks connected peers, then providers of the path's name key, for what they know of a module
   * version; yields answers as they come and ends when all answered or the signal aborts. How long
   * is worth waiting is the caller's to decide: a far peer may be the only one.
   */
  findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<ModuleRecord>
  /** Versions of a path that peers say they hold. */
  findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<{ readonly peer: PeerId; readonly versions: readonly Version[] }>
  /** Holders by inventory, best first. Memory only. */
  holders(zipHash: ZipHash): readonly Holder[]
  /** Holders found by have-queries to peers without inventory and by the DHT; each peer once. */
  findHolders(zipHash: ZipHash, options: { readonly signal: AbortSignal }): AsyncIterable<Holder>
  /**
   * Brings a zip's bytes. Connects first where needed. Throws PeerError, `busy` not before it has waited
   * for some seconds: then the peer may be asked again at once. The bytes are unverified; those of two
   * peers are joined only when both declare one digest, and the joined bytes have it. Without a call of
   * `onBody` nothing is to be resumed.
   */
  fetchZip(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes>
  /**
   * Brings a part of one concrete zip, where the rest comes from others. Throws PeerError: `unable` also
   * when the peer has other bytes, `busy` at once. The bytes are unverified.
   */
  fetchRange(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    range: ZipRange,
    options: Omit<ZipFetchOptions, 'resume'>,
  ): Promise<void>
  /**
   * The live member of our site that asks others for a key: the first by rendezvous hashing of those
   * that can, are trusted, and ourselves. Undefined is ourselves. Memory only.
   */
  owner(key: string, options: OwnerChoice): PeerId | undefined
  /**
   * Asks an owner with one message and waits for its answer, however long it takes; `onNotice` is
   * called when it says that it works. Throws PeerError when it went away.
   */
  askOwner(
    peer: PeerId,
    question: OwnerQuestion,
    options: {
      readonly signal: AbortSignal
      readonly onNotice: (notice: OwnerNotice) => void
    },
  ): Promise<OwnerAnswer>
  /**
   * Brings the bytes of a zip that an owner is still receiving, as they come. Throws PeerError when it
   * receives none, or began anew.
   */
  fetchComing(
    peer: PeerId,
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
  /** Tells the mesh that a peer lied or broke the protocol: it is avoided, and shown with the reason. */
  blame(peer: PeerId, what: { readonly module: ModuleVersion; readonly reason: string }): void
}
