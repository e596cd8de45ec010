/**
 * The decision: how a miss is answered. Store, single flight, expected hash, peers, upstream,
 * budgets, verify, commit. Pure: clock, randomness and every effect come in through the ports.
 * Invariant: nothing unverified ever leaves `ModuleFill`.
 */
export type { Budgets } from './budgets.ts'
export { defaultBudgets } from './budgets.ts'
export type { ChecksumDb, ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
export type { Clock } from './clock.ts'
export {
  HashMismatchError,
  ModuleNotFoundError,
  NoProofError,
  OfflineError,
  PeerError,
  UpstreamUnavailableError,
} from './errors.ts'
export type { FillEvent, FillKind, Source } from './fill-event.ts'
export type { Answer, AskOptions, ModuleSource } from './module-fill.ts'
export type { Holder, ModuleRecord, PeerId, Peers } from './peers.ts'
export type { Proof } from './proof.ts'
export type { Upstream, UpstreamAnswer } from './upstream.ts'
export type {
  ByteRange,
  ByteSink,
  HeldZip,
  StagedZip,
  StoredRecord,
  ZipStore,
} from './zip-store.ts'
