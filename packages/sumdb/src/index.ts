/**
 * The trust: Go's checksum database as a client and as a server from verified knowledge.
 * Pure: signed notes, tiles and RFC 6962 proofs over injected operations.
 * Invariant: nothing is cached, returned or passed on that was not verified against a signed head,
 * and the head only moves forward.
 * Follows golang.org/design/25530-sumdb and golang.org/x/mod/sumdb with the fixes of 2026.
 */
export {
  HeadConflictError,
  InvalidGosumdbError,
  InvalidVerifierKeyError,
  SumdbForkError,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
} from './errors.ts'
export { type Gosumdb, parseGosumdb } from './gosumdb.ts'
export { maxNoteBytes, maxProofHashes, maxRecordBytes } from './limits.ts'
export { type OpenedNote, openNote, parseVerifierKey, type VerifierKey } from './note.ts'
export type { ProvenSums, RecordProof } from './proven-sums.ts'
export { formatLookup, type LookupAnswer, parseLookup } from './record.ts'
export { formatStoredRecord, parseStoredRecord } from './stored-record.ts'
export { SumdbClient } from './sumdb-client.ts'
export type { ForkNotes, RefusedAnswer, SumdbOps } from './sumdb-ops.ts'
export { formatTilePath, parseTilePath, type Tile } from './tile.ts'
export { checkRecord, checkTree, hashLeaf, proveRecord, proveTree, treeRoot } from './tlog.ts'
export { formatTreeHead, openTreeHead, type SignedHead, type TreeHead } from './tree-head.ts'
export type { TreeSnapshot } from './tree-snapshot.ts'
