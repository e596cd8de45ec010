/**
 * Real nodes for tests: members, and one that misbehaves. They talk over loopback and clean up
 * after themselves. Never published.
 */
export { receiveInto, sendChunks } from '../src/network/stream-io.ts'
export { giveBare, openBare } from './bare-stream.ts'
export { endlessProtocol } from './endless.ts'
export { MemoryMembershipStore } from './memory-membership-store.ts'
export type { RogueMember } from './rogue-member.ts'
export { rogueMember } from './rogue-member.ts'
export type { MemberProcess } from './start-member-process.ts'
export { startMemberProcess } from './start-member-process.ts'
export type { Stranger, StrangerSpeech } from './stranger.ts'
export { startStranger } from './stranger.ts'
export type { TestIdentity } from './test-identity.ts'
export { newTestIdentity } from './test-identity.ts'
export type { TestNetworkInit } from './test-network.ts'
export { startTestMesh, startTestNetwork, TestNetwork } from './test-network.ts'
