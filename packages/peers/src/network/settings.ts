import { noise } from '@chainsafe/libp2p-noise'
import type { Identify } from '@libp2p/identify'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import type { KadDHT, KadDHTInit } from '@libp2p/kad-dht'
import { passthroughMapper } from '@libp2p/kad-dht'
import type { Ping } from '@libp2p/ping'
import { ping } from '@libp2p/ping'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Datastore } from 'interface-datastore'
import type { Libp2pOptions } from 'libp2p'
import { untaggedDht } from '../dht/untagged-dht.ts'
import type { Gate } from '../gate/gate.ts'
import { type TakePipe, tcpWithPipes } from '../pipe/shared-port.ts'
import * as limits from './limits.ts'
import { withoutLoopback } from './peer-address.ts'

/** The libp2p services of a node; `dht` is undefined on one that runs without. */
export interface MeshServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly ping: Ping
  readonly dht?: KadDHT
}

/** The DHT's protocol name: no node of another network answers to it. */
export const dhtProtocol = '/modmesh/kad/1'

/** What settings depend on. */
export interface SettingsInit {
  readonly privateKey: PrivateKey
  readonly datastore: Datastore
  readonly gate: Gate
  readonly listen: Multiaddr
  readonly takePipe: TakePipe
  readonly maxConnections: number
  readonly dht: boolean
  /** For tests of many nodes in one process: the DHT's message timeout, milliseconds. */
  readonly dhtTimeoutMs?: number | undefined
}

/** Builds libp2p's options. Each fence answers a measured failure of its defaults. */
export function libp2pOptions(init: SettingsInit): Libp2pOptions<MeshServices> {
  return {
    start: false,
    privateKey: init.privateKey,
    datastore: init.datastore,
    nodeInfo: { name: 'modmesh' },
    addresses: {
      listen: [init.listen.toString()],
      announceFilter: (addresses) => withoutLoopback(addresses),
    },
    transports: [tcpWithPipes(init.takePipe)],
    // TLS first: about 30 % less CPU than noise. Names of our own, since a gate follows.
    connectionEncrypters: [
      init.gate.wrap(tls(), '/modmesh/gate/1/tls'),
      init.gate.wrap(noise(), '/modmesh/gate/1/noise'),
    ],
    streamMuxers: [yamux({ streamOptions })],
    connectionMonitor,
    connectionManager: { ...connectionManager, maxConnections: init.maxConnections },
    peerStore,
    services: init.dht ? { ...basicServices, dht: untaggedDht(dhtOptions(init)) } : basicServices,
  }
}

/** Bounds a paused stream: with the default buffer `pause()` cuts it (4 MiB under a 16 MiB window). */
export const streamOptions: {
  readonly maxStreamWindowSize: number
  readonly maxReadBufferLength: number
} = {
  maxStreamWindowSize: limits.maxStreamWindowBytes,
  maxReadBufferLength: limits.maxReadBufferBytes,
}

/** Keeps busy links alive: a ping that waits behind a large body must not cut it. */
export const connectionMonitor: {
  readonly abortConnectionOnPingFailure: false
  readonly pingInterval: number
} = {
  abortConnectionOnPingFailure: false,
  pingInterval: limits.pingEveryMs,
}

const connectionManager = {
  inboundConnectionThreshold: limits.inboundPerSecond,
  maxIncomingPendingConnections: limits.maxPendingInbound,
  inboundUpgradeTimeout: limits.inboundUpgradeTimeoutMs,
  addressDialTimeout: limits.addressDialTimeoutMs,
  dialTimeout: limits.dialTimeoutMs,
  // The dial loop redials; libp2p's own queue gives up and forgets.
  reconnectRetries: 1e6,
  reconnectBackoffFactor: 1,
  reconnectRetryInterval: limits.firstRedialMs * 20,
}

// By default addresses expire after an hour even while connected, and the peer cannot be dialled.
const peerStore = { maxAddressAge: Infinity, maxPeerAge: Infinity }

/** How the DHT runs in every node: its reference for tests, too. */
export const dhtInit: KadDHTInit = {
  protocol: dhtProtocol,
  // The defaults drop private addresses and serve nobody until a public one is seen.
  peerInfoMapper: passthroughMapper,
  clientMode: false,
  kBucketSize: limits.dhtBucketSize,
  alpha: limits.dhtParallel,
  initialQuerySelfInterval: limits.dhtFirstSelfQueryMs,
  allowQueryWithZeroPeers: true,
  networkDialTimeout: { minTimeout: limits.dhtMinTimeoutMs, maxTimeout: limits.dhtMaxTimeoutMs },
  maxInboundStreams: limits.maxProtocolStreams,
  maxOutboundStreams: limits.maxProtocolStreams,
}

function dhtOptions({ dhtTimeoutMs }: SettingsInit): KadDHTInit {
  if (dhtTimeoutMs === undefined) return dhtInit
  return { ...dhtInit, networkDialTimeout: { minTimeout: dhtTimeoutMs, maxTimeout: dhtTimeoutMs } }
}

const basicServices = {
  identify: identify({ maxInboundStreams: limits.maxProtocolStreams }),
  ping: ping({ maxInboundStreams: limits.maxProtocolStreams }),
}
