import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type {
  ComponentLogger,
  Logger,
  PeerId,
  PeerInfo,
  Stream,
  StreamHandler,
  Topology,
} from '@libp2p/interface'
import { KEEP_ALIVE } from '@libp2p/interface'
import type { KadDHT, KadDHTComponents, KadDHTInit } from '@libp2p/kad-dht'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { streamPair } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Key, Pair, Query } from 'interface-datastore'
import { untaggedDht } from '../../src/dht/untagged-dht.ts'
import { dhtInit } from '../../src/network/settings.ts'

/** What the DHT uses of a datastore. */
class MemoryHints {
  readonly #values = new Map<string, Pair>()

  async get(key: Key): Promise<Uint8Array> {
    const found = this.#values.get(key.toString())
    if (found === undefined) throw Object.assign(new Error('not here'), { name: 'NotFoundError' })
    return found.value
  }

  async put(key: Key, value: Uint8Array): Promise<void> {
    this.#values.set(key.toString(), { key, value })
  }

  async delete(key: Key): Promise<void> {
    this.#values.delete(key.toString())
  }

  async *query({ prefix = '' }: Query): AsyncGenerator<Pair> {
    for (const [name, pair] of this.#values) if (name.startsWith(prefix)) yield pair
  }
}

interface Tagged {
  readonly multiaddrs?: readonly Multiaddr[]
  readonly tags?: Readonly<Record<string, unknown>>
}

const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  error: () => {},
  trace: () => {},
  newScope: () => silent,
}) as unknown as Logger
const logger: ComponentLogger = { forComponent: () => silent }

/** Nobody is late here, only busy with the others: what is counted must not depend on that. */
const patient: Partial<KadDHTInit> = {
  initialQuerySelfInterval: 0,
  networkDialTimeout: { minTimeout: 60_000, maxTimeout: 60_000 },
}

/**
 * Nodes of a DHT in one process: the real one with our settings, and no sockets between them. Their ids come from
 * `random`, which gives numbers from 0 up to and without 1.
 */
export class DhtNetwork implements AsyncDisposable {
  readonly nodes: DhtNode[] = []
  readonly init: KadDHTInit
  readonly #random: () => number
  readonly #byId = new Map<string, DhtNode>()

  constructor(random: () => number, init: Partial<KadDHTInit> = {}) {
    this.#random = random
    this.init = { ...dhtInit, ...patient, ...init }
  }

  /** Adds a node that knows one or a few others, as one does that joins. */
  async add(known: readonly DhtNode[]): Promise<DhtNode> {
    const seed = Uint8Array.from({ length: 32 }, () => Math.floor(this.#random() * 256))
    const node = await DhtNode.start(this, seed)
    this.nodes.push(node)
    this.#byId.set(node.id.toString(), node)
    for (const other of known) {
      node.meets(other)
      other.meets(node)
    }
    return node
  }

  async open(from: DhtNode, to: PeerId): Promise<Stream> {
    const node = this.#byId.get(to.toString())
    if (node === undefined) throw new Error('nobody there')
    from.asked += 1
    node.meets(from)
    from.meets(node)
    const [outbound, inbound] = await streamPair({ delay: 0 })
    node.receive(inbound, from)
    return outbound
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }
}

/** One node of it. */
export class DhtNode {
  readonly id: PeerId
  readonly dht: KadDHT
  readonly tags = new Set<string>()
  /** Requests that it sent so far. */
  asked = 0
  readonly #peers = new Map<string, PeerInfo>()
  readonly #topologies: Topology[] = []
  readonly #met = new Set<string>()
  #handler: StreamHandler | undefined
  readonly #address: Multiaddr

  private constructor(id: PeerId, network: DhtNetwork, at: number) {
    this.id = id
    this.#address = multiaddr(`/ip4/10.${at >> 16}.${(at >> 8) & 255}.${at & 255}/tcp/4771`)
    this.dht = untaggedDht(network.init)(this.#components(network))
  }

  static async start(network: DhtNetwork, seed: Uint8Array): Promise<DhtNode> {
    const id = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed))
    const node = new DhtNode(id, network, network.nodes.length + 1)
    const { dht } = node as unknown as { dht: { start(): Promise<void>; afterStart?: () => void } }
    await dht.start()
    return node
  }

  async stop(): Promise<void> {
    await (this.dht as unknown as { stop(): Promise<void> }).stop()
  }

  /** As when a connection to it opens. */
  meets(other: DhtNode): void {
    const id = other.id.toString()
    this.#peers.set(id, { id: other.id, multiaddrs: [other.#address] })
    if (this.#met.has(id)) return
    this.#met.add(id)
    for (const topology of this.#topologies) void topology.onConnect?.(other.id, {} as never)
  }

  receive(stream: Stream, from: DhtNode): void {
    const handling = Promise.resolve(this.#handler?.(stream, { remotePeer: from.id } as never))
    // As libp2p does: the asker ends the stream when it has its answer, and reading on fails.
    handling.catch((error: Error) => stream.abort(error))
  }

  #components(network: DhtNetwork): KadDHTComponents {
    const peerStore = {
      get: async (peer: PeerId) => this.#stored(peer),
      getInfo: async (peer: PeerId) => this.#info(peer),
      all: async () => [...this.#peers.values()].map(({ id }) => this.#stored(id)),
      merge: async (peer: PeerId, { multiaddrs = [], tags = {} }: Tagged) => {
        for (const name of Object.keys(tags)) this.tags.add(name)
        const old = this.#peers.get(peer.toString())?.multiaddrs ?? []
        const all = new Map([...old, ...multiaddrs].map((one) => [one.toString(), one]))
        this.#peers.set(peer.toString(), { id: peer, multiaddrs: [...all.values()] })
      },
    }
    const registrar = {
      handle: async (_protocol: string, handler: StreamHandler) => {
        this.#handler = handler
      },
      unhandle: async () => {},
      register: async (_protocol: string, topology: Topology) => {
        this.#topologies.push(topology)
        return 'topology'
      },
      unregister: () => {},
    }
    const connectionManager = {
      openStream: (peer: PeerId) => network.open(this, peer),
      isDialable: async () => true,
    }
    return {
      peerId: this.id,
      registrar,
      connectionManager,
      peerStore,
      logger,
      addressManager: { getAddresses: () => [this.#address] },
      datastore: new MemoryHints(),
      events: new EventTarget(),
      ping: { ping: async () => 1 },
    } as unknown as KadDHTComponents
  }

  #info(peer: PeerId): PeerInfo {
    const known = this.#peers.get(peer.toString())
    if (known !== undefined) return known
    throw Object.assign(new Error('not known'), { name: 'NotFoundError' })
  }

  #stored(peer: PeerId) {
    const { id, multiaddrs } = this.#info(peer)
    const addresses = multiaddrs.map((one) => ({ multiaddr: one, isCertified: false }))
    return { id, addresses, tags: new Map(), metadata: new Map(), protocols: [] }
  }
}

/** Tags that would have libp2p redial a peer for ever. */
export function keepAliveTags(node: DhtNode): readonly string[] {
  return [...node.tags].filter((name) => name.startsWith(KEEP_ALIVE))
}
