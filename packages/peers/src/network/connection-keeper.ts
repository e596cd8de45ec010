import type { Connection, Libp2p } from '@libp2p/interface'
import { controlProtocol } from '../control/message.ts'
import { pipeProtocol } from '../pipe/message.ts'
import { chooseExcess, type KeptPeer } from './connection-choice.ts'
import { connectionGraceMs } from './limits.ts'
import type { MeshServices } from './settings.ts'

/** What the keeper works with. */
export interface ConnectionKeeperComponents {
  readonly libp2p: Libp2p<MeshServices>
  readonly isConfigured: (peer: string) => boolean
  readonly isForeign: (peer: string) => boolean
  /** Whether a body is on its way, to it or from it. */
  readonly isTransferring: (peer: string) => boolean
}

/** How many connections are kept. */
export interface ConnectionKeeperInit {
  /** Peers that stay connected; lookups and fetches go beyond it for a moment. */
  readonly maxConnections: number
  /** For tests: how long a connection may be idle before it can be one too many, milliseconds. */
  readonly graceMs?: number | undefined
}

/**
 * Brings the number of connected peers back to the limit. Every lookup of the DHT connects to peers
 * that are asked once: refusing them at the limit would cut the mesh in pieces, keeping them would
 * connect everybody to everybody.
 */
export class ConnectionKeeper {
  readonly #components: ConnectionKeeperComponents
  readonly #maxConnections: number
  readonly #graceMs: number
  readonly #onOpen = (): void => this.#checkSoon()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(components: ConnectionKeeperComponents, init: ConnectionKeeperInit) {
    this.#components = components
    this.#maxConnections = init.maxConnections
    this.#graceMs = init.graceMs ?? connectionGraceMs
  }

  start(): void {
    this.#components.libp2p.addEventListener('connection:open', this.#onOpen)
    this.#checkSoon()
  }

  /** Connections stay as they are. */
  stop(): void {
    this.#isStopped = true
    this.#components.libp2p.removeEventListener('connection:open', this.#onOpen)
    clearTimeout(this.#timer)
  }

  #checkSoon(): void {
    if (this.#isStopped) return
    this.#timer ??= setTimeout(() => this.#check(), this.#graceMs).unref()
  }

  #check(): void {
    this.#timer = undefined
    const { libp2p } = this.#components
    const byPeer = Map.groupBy(libp2p.getConnections(), ({ remotePeer }) => remotePeer.toString())
    if (byPeer.size <= this.#maxConnections) return
    const peers = [...byPeer].map(([peer, connections]) => this.#look(peer, connections))
    const limits = { max: this.#maxConnections, graceMs: this.#graceMs }
    for (const { peer } of chooseExcess(peers, limits)) {
      for (const connection of byPeer.get(peer) ?? []) close(connection)
    }
    this.#checkSoon()
  }

  #look(peer: string, connections: readonly Connection[]): KeptPeer {
    const { isConfigured, isForeign, isTransferring } = this.#components
    const nowMs = Date.now()
    return {
      peer,
      isConfigured: isConfigured(peer),
      isOwnSite: !isForeign(peer),
      isBusy: isTransferring(peer) || connections.some(isBusy),
      ageMs: Math.max(...connections.map(({ timeline }) => nowMs - timeline.open)),
    }
  }
}

function isBusy({ streams }: Connection): boolean {
  return streams.some(({ protocol, status }) => status === 'open' && !isIdle(protocol))
}

/** The control stream is always there, and that of a pipe after the body, too: they say nothing. */
function isIdle(protocol: string): boolean {
  return protocol === controlProtocol || protocol === pipeProtocol
}

function close(connection: Connection): void {
  const signal = AbortSignal.timeout(1_000)
  connection.close({ signal }).catch((error: Error) => connection.abort(error))
}
