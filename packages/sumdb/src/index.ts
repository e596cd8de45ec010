/**
 * The trust: Go's checksum database as a client and as a server from verified knowledge.
 * Pure: signed notes, tiles and RFC 6962 proofs over injected operations.
 * Invariant: nothing is cached, returned or passed on that was not verified against a signed head,
 * and the head only moves forward.
 * Follows golang.org/design/25530-sumdb and golang.org/x/mod/sumdb with the fixes of 2026.
 */
export {
  HeadConflictError,
  SumdbForkError,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
} from './errors.ts'
export type { SumdbOps } from './sumdb-ops.ts'
