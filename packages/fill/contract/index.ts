/**
 * What every implementation of a port of `fill` promises, as vitest suites it must pass.
 * The twins in memory that pass them are behind a door of their own, `@modmesh/fill/twins`.
 */
export { checksumDbContract, type OpenChecksumDb } from './checksum-db.ts'
export { firstHashesContract, type OpenFirstHashes } from './first-hashes.ts'
export { type OpenPeers, peersContract } from './peers.ts'
export { type OpenRemote, remoteStoreContract } from './remote-store.ts'
export { type OpenUpstream, upstreamContract } from './upstream.ts'
export { type OpenStore, type ZipMaker, zipStoreContract } from './zip-store.ts'
