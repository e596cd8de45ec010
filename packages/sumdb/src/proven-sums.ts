import type { ModHash, ZipHash } from '@modmesh/module'

/** A record that proves itself: inclusion under a signed tree head (RFC 6962 §2.1.1). Under 2 KiB. */
export interface RecordProof {
  /** The database's name, e.g. `sum.golang.org`. */
  readonly database: string
  readonly id: number
  /** The record text: go.sum lines, each ending in LF. */
  readonly text: string
  /** Audit path from the leaf to the root of `head`, 32 bytes each. */
  readonly hashes: readonly Uint8Array[]
  /** The signed note of the tree head. */
  readonly head: string
}

/** Hashes of a module version, proven by a record of a checksum database. */
export interface ProvenSums {
  /** Absent when the record has a `/go.mod` line alone: then no zip is acceptable. */
  readonly zip: ZipHash | undefined
  /** Absent when the record has no `/go.mod` line. */
  readonly mod: ModHash | undefined
  readonly proof: {
    readonly kind: 'checksum-db'
    readonly database: string
    readonly record: number
  }
  readonly record: RecordProof
}
