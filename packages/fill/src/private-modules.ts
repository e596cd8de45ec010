import type { ModHash, ModulePath, ModuleVersion, Version, ZipHash } from '@modmesh/module'
import type { ModuleRecord, PeerId } from './peers.ts'

/** What a publisher of the mesh says of a private module version. Its signature and role were checked. */
export interface Published {
  readonly zip: ZipHash
  readonly mod: ModHash
  readonly publisher: Publisher
  /** The signed statement, as others can check it. */
  readonly statement: Uint8Array
}

/** Who signed a statement, and when. */
export interface Publisher {
  readonly peer: PeerId
  /** What it called itself then; no two publishers need have different names. */
  readonly name: string
  /** By its own clock, milliseconds since 1970. */
  readonly atMs: number
}

/** What a member says of a private module version: its statement was checked, its files were not. */
export interface PublishedRecord extends Omit<ModuleRecord, 'record'> {
  readonly published: Published
}

/**
 * The members that may have private modules (design, section 5). Nobody else is asked, told or given
 * anything of them, not even whether there are any.
 */
export interface PrivateMesh {
  /** Whether private modules are shared, this node may have them, and somebody may be there to ask. Memory only. */
  canAsk(): boolean
  /**
   * What members know of a version; ends when all have answered or the signal aborts. One whose statement
   * does not count is left out, and `onRefused` is told why.
   */
  findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal; readonly onRefused: (reason: string) => void },
  ): AsyncIterable<PublishedRecord>
  /** Versions of a private path that members say they have; each needs a statement before it is believed. */
  findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<{ readonly peer: PeerId; readonly versions: readonly Version[] }>
}
