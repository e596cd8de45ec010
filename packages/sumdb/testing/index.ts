/** Working stand-ins for tests: a checksum database with a key of its own, and a client's effects in memory. */
export { type FakeRecord, FakeSumdb, fakeLines, type Misbehaviour } from './fake-sumdb.ts'
export { type MemoryOps, memoryOps } from './memory-ops.ts'
