import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { Membership } from '../src/membership/membership.ts'
import type { NetworkInit } from '../src/network/create-network.ts'
import { createNetwork } from '../src/network/create-network.ts'
import type { Network } from '../src/network/network.ts'
import type { NetworkEvent } from '../src/network/network-event.ts'
import { MemoryMembershipStore } from './memory-membership-store.ts'
import type { TestIdentity } from './test-identity.ts'
import { newTestIdentity } from './test-identity.ts'

/** What a test network may be told; everything has a default. */
export interface TestNetworkInit extends Partial<Omit<NetworkInit, 'privateKey'>> {
  readonly identity?: TestIdentity | undefined
  readonly store?: MemoryMembershipStore | undefined
  readonly name?: string | undefined
  readonly site?: string | undefined
  /** Joins before it starts. */
  readonly ticket?: string | undefined
  /** Its clock for memberships. */
  readonly nowMs?: (() => number) | undefined
}

interface Parts {
  readonly identity: TestIdentity
  readonly membership: Membership
  readonly store: MemoryMembershipStore
  readonly network: Network
  readonly dir: string
  readonly ownsDir: boolean
  readonly events: NetworkEvent[]
}

/** A real libp2p node behind the gate, on loopback, in a temporary folder that goes with it. */
export class TestNetwork implements AsyncDisposable {
  readonly identity: TestIdentity
  readonly membership: Membership
  readonly store: MemoryMembershipStore
  readonly network: Network
  /** Folder of its hints. */
  readonly dir: string
  /** What it logged so far. */
  readonly events: readonly NetworkEvent[]
  readonly #ownsDir: boolean

  private constructor(parts: Parts) {
    this.identity = parts.identity
    this.membership = parts.membership
    this.store = parts.store
    this.network = parts.network
    this.dir = parts.dir
    this.events = parts.events
    this.#ownsDir = parts.ownsDir
  }

  /** Starts one; it is a lone node unless a ticket or a store with a membership is given. */
  static async start(init: TestNetworkInit = {}): Promise<TestNetwork> {
    const { identity = await newTestIdentity(), store = new MemoryMembershipStore() } = init
    const { name, site, nowMs, ticket, ...networkInit } = init
    const { peerId, privateKey } = identity
    const membership = await Membership.open({ store }, { peerId, name, site, nowMs })
    if (ticket !== undefined) await membership.join(ticket)
    const ownsDir = init.datastoreDir === undefined
    const dir = init.datastoreDir ?? (await mkdtemp(join(tmpdir(), 'modmesh-peers-')))
    const events: NetworkEvent[] = []
    const log = (event: NetworkEvent): void => void events.push(event)
    const listen = init.listen ?? '127.0.0.1:0'
    const network = await createNetwork(
      { membership, log },
      { ...networkInit, privateKey, datastoreDir: dir, listen },
    )
    return new TestNetwork({ identity, membership, store, network, dir, events, ownsDir })
  }

  /** Returns its first address, with peer id. */
  get address(): string {
    return this.network.addresses()[0] ?? ''
  }

  /** Makes a ticket with its address; makes the mesh on first use. */
  invite(options: Parameters<Membership['invite']>[0] = {}): Promise<string> {
    return this.membership.invite(options, this.network.addresses())
  }

  /** Connects to an address, as the dial loop would. */
  connect(address: string): Promise<Connection> {
    return this.network.libp2p.dial(multiaddr(address))
  }

  /** Opens a stream of any protocol, connecting first where needed. */
  openStream(address: string, protocol: string): Promise<Stream> {
    return this.network.libp2p.dialProtocol(multiaddr(address), protocol)
  }

  /** Stops the node and keeps its folder. */
  async stop(): Promise<void> {
    await this.network.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network.stop()
    if (this.#ownsDir) await rm(this.dir, { recursive: true, force: true })
  }
}

/** Starts a real libp2p node behind the gate; see TestNetwork. */
export function startTestNetwork(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return TestNetwork.start(init)
}

/** Starts one node that makes a mesh and `count - 1` that join it, not yet connected. */
export async function startTestMesh(
  count: number,
  init: TestNetworkInit = {},
): Promise<[TestNetwork, ...TestNetwork[]]> {
  const founder = await startTestNetwork({ ...init, name: 'node-0' })
  const ticket = await founder.invite()
  const numbers = Array.from({ length: count - 1 }, (_, index) => index + 1)
  const others = await Promise.all(
    numbers.map((n) => startTestNetwork({ ...init, ticket, name: `node-${n}` })),
  )
  return [founder, ...others]
}
