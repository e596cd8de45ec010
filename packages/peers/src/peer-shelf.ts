import type {
  DeltaOffer,
  HeldZip,
  ModuleRecord,
  OwnerAnswer,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  PeerId,
  ZipPart,
} from '@modmesh/fill'
import type { ModulePath, ModuleVersion, Version, ZipHash } from '@modmesh/module'

/** A module version whose zip can be given. */
export interface ShelfItem {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
}

/**
 * What this node gives to members. The sharing policy is applied behind it: what may not leave the
 * host is not on the shelf. Every question is answered in constant time.
 */
export interface PeerShelf {
  contents(): AsyncIterable<ShelfItem>
  /** Module versions whose go.mod can be given, in no order. */
  mods(): AsyncIterable<ModuleVersion>
  /** Calls the listener with each zip that became durable; returns a function that stops it. */
  onAdded(listener: (item: ShelfItem) => void): () => void
  findContent(zipHash: ZipHash): Promise<HeldZip | undefined>
  /** A zip that can be told in parts; absent: none can. */
  offer?(zipHash: ZipHash): Promise<DeltaOffer | undefined>
  record(module: ModuleVersion): Promise<Omit<ModuleRecord, 'peer'> | undefined>
  versions(path: ModulePath): Promise<readonly Version[]>
  /** A tile of a checksum database that this node has verified. */
  tile(database: string, path: string): Promise<Uint8Array | undefined>
}

/** A private module version as a publisher signed it. */
export interface PrivateRecord {
  readonly info: Uint8Array | undefined
  readonly mod: Uint8Array | undefined
  readonly statement: Uint8Array
  readonly holdsZip: boolean
}

/**
 * What this node gives to members that may have private modules: what a publisher signed, as it is signed.
 * Nobody else is answered from here.
 */
export interface PrivateShelf {
  /** Paths of which there is something; one may come several times. */
  paths(): AsyncIterable<ModulePath>
  /** Calls the listener when there is something more of a path; returns a function that stops it. */
  onAdded(listener: (path: ModulePath) => void): () => void
  record(module: ModuleVersion): Promise<PrivateRecord | undefined>
  versions(path: ModulePath): Promise<readonly Version[]>
  findContent(zipHash: ZipHash): Promise<HeldZip | undefined>
}

/** Fetches for members of our site that take us for the owner. */
export interface SiteFetcher {
  /** Whether there is an upstream to ask: said in the hello. */
  canFetch(): boolean
  /** Whether what members of other sites send can be proven, so that they can be asked: said in the hello. */
  canRelay(): boolean
  /** Never asks another owner; goes on when the asker goes away. */
  answer(
    question: OwnerQuestion,
    asker: { readonly peer: PeerId; readonly signal: AbortSignal },
  ): Promise<OwnerAnswer>
  /** The next part of a zip that is being fetched; undefined when there is none. */
  part(
    module: ModuleVersion,
    asked: PartAsked,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipPart | undefined>
  /** A tile of a checksum database, from upstream if need be; undefined when it does not come soon. Unverified. */
  tile?(database: string, path: string): Promise<Uint8Array | undefined>
  /** How far the answer to a question has come. */
  notice(question: OwnerQuestion): OwnerNotice
}

/** Reads a tile from the peer that showed a head; undefined when it has none. Unverified. */
export type ReadTile = (
  path: string,
  options: { readonly signal: AbortSignal },
) => Promise<Uint8Array | undefined>

/** Our heads of checksum databases, and where peers' heads go. */
export interface HeadExchange {
  heads(): Promise<readonly { readonly database: string; readonly note: string }[]>
  /** Calls the listener after a head moved on; returns a function that stops it. */
  onHead(listener: () => void): () => void
  /** Takes a head that a peer showed. Nothing in it is believed yet. Must not throw. */
  received(peer: PeerId, database: string, note: string, readTile: ReadTile): void
}
