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
  FillClosedError,
  HashMismatchError,
  ModuleNotFoundError,
  NoProofError,
  OfflineError,
  PeerError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from './errors.ts'
export type { FillComponents, FillInit } from './fill-context.ts'
export type { FillEvent, FillKind, Source } from './fill-event.ts'
export { ModuleFill } from './module-fill.ts'
export type { Answer, AskOptions, ModuleSource } from './module-source.ts'
export type { Holder, ModuleRecord, PeerId, Peers } from './peers.ts'
export type { Proof } from './proof.ts'
export { mayShare } from './share-policy.ts'
export type { MutableAsk, Upstream, UpstreamAnswer } from './upstream.ts'
export type {
  ByteRange,
  ByteSink,
  HeldZip,
  StagedZip,
  StoredRecord,
  ZipStore,
} from './zip-store.ts'
