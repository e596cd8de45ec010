import type { ModHash, ModulePath, ModuleVersion, ZipHash } from '@modmesh/module'
import type { Proof } from './proof.ts'

/** Hashes of a module version and why they are believed. */
export interface ProvenSums {
  /** Absent when the record has only a `/go.mod` line. */
  readonly zip: ZipHash | undefined
  readonly mod: ModHash | undefined
  readonly proof: Proof
  readonly record?: RecordProof
}

/** A checksum-database record that proves itself: inclusion under a signed tree head (RFC 6962 §2.1.1). */
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

/**
 * The `code` of the errors a ChecksumDb throws. They are decided by code, not by class, because the
 * classes belong to the package that implements the port.
 */
export type ChecksumDbErrorCode =
  /** The database has no such record (404, 410). */
  | 'SUMDB_NOT_FOUND'
  /** It could not be asked, or answered with an error of its own. */
  | 'SUMDB_UNAVAILABLE'
  /** Two signed heads that cannot be one log's. */
  | 'SUMDB_FORK'
  /** Record, proof or note does not verify: its sender is to blame. */
  | 'SUMDB_UNTRUSTED'

/** Go's checksum database as a fill needs it. Every answer is verified; failures are exceptions. */
export interface ChecksumDb {
  /** False when the database is off or the path is private: then upstream's word is all there is. */
  covers(path: ModulePath): boolean
  /** What is already proven, without asking anybody. */
  known(module: ModuleVersion): Promise<ProvenSums | undefined>
  /** Asks the database. Throws errors with a ChecksumDbErrorCode. */
  lookup(module: ModuleVersion, options: { readonly signal: AbortSignal }): Promise<ProvenSums>
  /** Checks what a peer sent. Throws errors with a ChecksumDbErrorCode. */
  verifyRecord(
    module: ModuleVersion,
    record: RecordProof,
    options: { readonly signal: AbortSignal },
  ): Promise<ProvenSums>
}
