/**
 * For each port of `fill` a twin in memory that passes the port's suite and can misbehave on demand,
 * and a clock that moves only when told to. For tests and the simulator; needs no test runner.
 */
export { FakeClock } from './fake-clock.ts'
export { MemoryAnswers } from './memory-answers.ts'
export { FakeDbError, MemoryChecksumDb, MemoryLog, untilAborted } from './memory-checksum-db.ts'
export { MemoryFirstHashes } from './memory-first-hashes.ts'
export { FakePeer, type HeldFiles, MemoryPeers, type PeerFault } from './memory-peers.ts'
export { MemoryBucket, MemoryRemoteStore, type RemoteFault } from './memory-remote-store.ts'
export { MemoryUpstream, type PublishedModule } from './memory-upstream.ts'
export {
  brokenZip,
  type CommitStep,
  commitSteps,
  DiskGoneError,
  hashAnything,
  MemoryDisk,
  type MemoryStoreInit,
  MemoryZipStore,
} from './memory-zip-store.ts'
