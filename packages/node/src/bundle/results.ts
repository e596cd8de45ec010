import type { BundleFault, PartCount, PartKind } from '@modmesh/store'
import type { MismatchLine } from '../prefetch/prefetch-report.ts'

/** What became of an import. */
export interface ImportResult {
  /** Id of the bundle; null where it was not readable so far. */
  readonly bundle: string | null
  /** Peer id of the node that made it. */
  readonly signer: string | null
  /** Of the whole bundle, as it says itself; null where it was not readable so far. Bytes. */
  readonly bytes: number | null
  /** Id of the bundle on top of which it was made. */
  readonly since: string | null
  readonly tree: { readonly database: string; readonly size: number } | null
  readonly counts: Readonly<Record<PartKind, Readonly<PartCount>>>
  /** Bytes of zips that came in. */
  readonly addedBytes: number
  /** The first of what was refused. */
  readonly refused: readonly {
    readonly name: string
    readonly fault: BundleFault
    readonly reason: string
  }[]
  readonly refusedCount: number
  /** Set when the bundle's tree could not be shown to continue ours: sizes of both. */
  readonly treeGap: { readonly own: number; readonly bundle: number } | null
  /** Why nothing, or nothing more, was taken. */
  readonly fault: { readonly code: BundleFault; readonly message: string } | null
}

/** Something that was asked for and is not in the bundle. */
export interface MissingLine {
  readonly what: 'zip' | 'mod' | 'info' | 'record' | 'tile' | 'file'
  /** PATH@VERSION, or the path of a tile or file. */
  readonly name: string
  readonly reason: string
}

/** What an export wrote, or would write. Bytes. */
export interface ExportResult {
  /** Id of the bundle; null for a plan. */
  readonly bundle: string | null
  readonly signer: string
  /** Id of the bundle on top of which it is made. */
  readonly since: string | null
  readonly tree: { readonly database: string; readonly size: number } | null
  readonly zips: number
  readonly mods: number
  readonly infos: number
  readonly records: number
  readonly tiles: number
  /** Module versions in it that nobody but the signer vouches for. */
  readonly unproven: number
  /** Of the whole bundle. */
  readonly bytes: number
  /** What is in the earlier bundles and left out. */
  readonly leftOut: number
  readonly missing: readonly MissingLine[]
  /** What is not as a go.sum says. */
  readonly mismatched: readonly MismatchLine[]
}
