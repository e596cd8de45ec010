import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import type { FillKind, Source } from './fill-event.ts'
import type { PeerId } from './peers.ts'
import type { HeldZip } from './zip-store.ts'

/** A verified answer and where it came from. */
export interface Answer<T> {
  readonly value: T
  readonly source: Source
  /** How long ago upstream said so, ms; absent where it does not age, or nobody knows. */
  readonly ageMs?: number
}

/** Who wants to know, for the audit log. */
export type Asker =
  /** A program over HTTP: its address, or `unix` for a socket. */
  | { readonly kind: 'client'; readonly address: string }
  | { readonly kind: 'peer'; readonly peer: PeerId }
  | { readonly kind: 'prefetch' }

/** How one request may be answered. */
export interface AskOptions {
  readonly asker?: Asker
  /** The client's own patience; never cancels the fill for others. */
  readonly signal: AbortSignal
  /** Answer from the store alone (`/cached-only`, `Disable-Module-Fetch`): else ModuleNotFoundError. */
  readonly cachedOnly?: boolean
  /** Asked by a peer for its site: no further peer is asked to ask (hop limit 1). */
  readonly isForwarded?: boolean
}

/** What the HTTP edge (and commands) ask. Implemented by ModuleFill; the server knows only this. */
export interface ModuleSource {
  /** What can be answered at once; undefined sends the request the usual way. Counts as asked. */
  peek?(
    what: Exclude<FillKind, 'zip'>,
    path: ModulePath,
    version: string | undefined,
  ): Answer<Uint8Array> | undefined
  zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>>
  mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>>
  info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>>
  /** One version per line, LF-ended. */
  list(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>>
  latest(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>>
  /** `.info` of a branch, tag or commit. */
  query(path: ModulePath, query: string, options: AskOptions): Promise<Answer<Uint8Array>>
  /** Makes the hashes of a module version known and proven, from peers or the database. */
  sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums>
}
