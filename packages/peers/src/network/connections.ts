import type { PeerInfo } from '@libp2p/interface'
import type { Membership } from '../membership/membership.ts'
import { ConnectionKeeper } from './connection-keeper.ts'
import { DialLoop } from './dial-loop.ts'
import type { PeerTarget } from './dial-target.ts'
import { LanDiscovery } from './lan-discovery.ts'
import { defaultMaxConnections } from './limits.ts'
import type { Network } from './network.ts'
import type { NetworkEvent } from './network-event.ts'

/** What connections are made and kept by. */
export interface ConnectionsComponents {
  readonly network: Network
  readonly membership: Membership
  /** Whether a peer is known to be of another site. */
  readonly isForeign: (peer: string) => boolean
  /** Whether no connection to a peer is wanted. */
  readonly isForbidden: (peer: string) => boolean
  /** Whether a body is on its way, to a peer or from it. */
  readonly isTransferring: (peer: string) => boolean
  readonly log: (event: NetworkEvent) => void
}

/** Whom the node is to be connected to. */
export interface ConnectionsInit {
  /** Addresses that are dialled for ever. */
  readonly peers: readonly string[]
  /** `configured`: nobody else is dialled. */
  readonly connect: 'all' | 'configured'
  readonly mdns: boolean
  /** Peers that stay connected; lookups and fetches go beyond it for a moment. */
  readonly maxConnections?: number | undefined
  /** For tests: how long a connection beyond that lasts at least, milliseconds. */
  readonly keepGraceMs?: number | undefined
}

/** Whom the node dials, by what it finds them, and which connections stay. */
export class Connections {
  readonly #components: ConnectionsComponents
  readonly #dialLoop: DialLoop
  readonly #keeper: ConnectionKeeper
  readonly #usesLan: boolean
  #lan: LanDiscovery | undefined

  /** Throws InvalidPeerAddressError for a configured address of no use. */
  constructor(components: ConnectionsComponents, init: ConnectionsInit) {
    const { network, isForeign, isTransferring } = components
    const { peers: configured, connect, maxConnections = defaultMaxConnections } = init
    this.#components = components
    this.#usesLan = init.mdns && connect === 'all'
    this.#dialLoop = new DialLoop(components, { configured, connect, maxConnections })
    const isConfigured = (peer: string) => this.#dialLoop.isConfigured(peer)
    this.#keeper = new ConnectionKeeper(
      { libp2p: network.libp2p, isConfigured, isForeign, isTransferring },
      { maxConnections, graceMs: init.keepGraceMs },
    )
  }

  async start(): Promise<void> {
    await this.#dialLoop.start()
    this.#keeper.start()
    if (!this.#usesLan) return
    const { network, membership, log } = this.#components
    this.#lan = new LanDiscovery({ network, membership, dialLoop: this.#dialLoop, log })
  }

  /** Connections stay as they are. */
  async stop(): Promise<void> {
    this.#dialLoop.stop()
    this.#keeper.stop()
    await this.#lan?.[Symbol.asyncDispose]()
  }

  /** Whom the node wants connections to. */
  targets(): readonly PeerTarget[] {
    return this.#dialLoop.status()
  }

  /** Takes a member that others told of. */
  learn(member: PeerInfo): Promise<void> {
    return this.#dialLoop.learn(member, 'mesh')
  }

  /** Notes that a peer has a link. */
  linked(peer: string): void {
    this.#dialLoop.linked(peer)
  }
}
