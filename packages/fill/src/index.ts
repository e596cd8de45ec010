/**
 * The decision: how a miss is answered. Store, single flight, expected hash, peers, upstream,
 * budgets, verify, commit. Pure: clock, randomness and every effect come in through the ports.
 * Invariant: nothing unverified ever leaves `ModuleFill`.
 */
export type { AnswerStore, StoredAnswer } from './answer-store.ts'
export type { Budgets } from './budgets.ts'
export { defaultBudgets } from './budgets.ts'
export { ByteLru } from './byte-lru.ts'
export type { ChecksumDb, ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
export type { Clock } from './clock.ts'
export { isWholeCheaper, type WholeQuestion } from './delta-rule.ts'
export {
  FillClosedError,
  HashChangedError,
  HashMismatchError,
  ModuleNotFoundError,
  NoProofError,
  OfflineError,
  PeerError,
  PublishersDisagreeError,
  RemoteError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from './errors.ts'
export type { FillComponents, FillInit } from './fill-context.ts'
export type { Asked, FillEvent, FillKind, OwnerOutcome, Source } from './fill-event.ts'
export { acceptChange, type FirstHash, type FirstHashes, type PartHashes } from './first-hashes.ts'
export { LinkMeter } from './link-meter.ts'
export { ModuleFill } from './module-fill.ts'
export type { Answer, Asker, AskOptions, ModuleSource } from './module-source.ts'
export { ownerKey, pickOwner, rankOwners } from './owner.ts'
export { findInfoFault, findStrangersInfoFault, infoForStrangers } from './peer-facts.ts'
export type {
  DeltaLink,
  DeltaTalk,
  Holder,
  ModuleRecord,
  OwnerAnswer,
  OwnerChoice,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  PeerDeltas,
  PeerId,
  Peers,
  ResumePoint,
  SiteLink,
  ZipBytes,
  ZipFetchOptions,
  ZipPart,
  ZipRange,
  ZipResume,
} from './peers.ts'
export { formatAge, parseAge } from './policy/age.ts'
export type { Policy } from './policy/policy.ts'
export {
  InvalidPolicyRuleError,
  PolicyDeniedError,
  ValidatorUnavailableError,
} from './policy/policy-errors.ts'
export { type PolicyRule, parsePolicyRule } from './policy/policy-rule.ts'
export { PolicySource, type PolicySourceComponents } from './policy/policy-source.ts'
export { CachedValidator, type Validator, type ValidatorVerdict } from './policy/validator.ts'
export {
  type FirstSeen,
  VersionTimes,
  type VersionTimesComponents,
} from './policy/version-times.ts'
export type { PrivateMesh, Published, PublishedRecord, Publisher } from './private-modules.ts'
export {
  type FilledFile,
  type FillListener,
  filesOf,
  fillFiles,
  type NeededFile,
} from './project/fill-files.ts'
export { namedFiles } from './project/named-files.ts'
export {
  brokenPins,
  type NeededInfo,
  type NeededMod,
  type NeededZip,
  type SumPin,
  type UnreadPart,
} from './project/needs.ts'
export {
  type ClosurePorts,
  closeProject,
  type ProjectClosure,
} from './project/project-closure.ts'
export {
  kindOfName,
  kindOfText,
  type ProjectFile,
  type ProjectFileKind,
} from './project/project-file.ts'
export type { Proof } from './proof.ts'
export type { RemoteObject, RemotePart, RemoteStore } from './remote-store.ts'
export { mayShare, mayShareAsPublished } from './share-policy.ts'
export { Turns } from './turns.ts'
export type { MutableAsk, Upstream, UpstreamAnswer } from './upstream.ts'
export type { UpstreamReason } from './why-upstream.ts'
export {
  type DeltaBase,
  type DeltaForm,
  DeltaLostError,
  type DeltaOffer,
  type DeltaQuestion,
  DeltaRefusedError,
  type MissingFiles,
  type ToldManifest,
  UntellableError,
  type ZipDeltas,
  type ZipRebuild,
} from './zip-deltas.ts'
export type {
  BodyChunks,
  ByteRange,
  ByteSink,
  HeldZip,
  StagedZip,
  StoredRecord,
  ZipStore,
} from './zip-store.ts'
