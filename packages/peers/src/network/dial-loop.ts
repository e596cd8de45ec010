import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Refusal } from '../gate/refusal.ts'
import type { Membership } from '../membership/membership.ts'
import type { DialPace, DialTarget, TargetOrigin } from './dial-target.ts'
import { dialPace, isForgettable, newTarget, redialDelayMs } from './dial-target.ts'
import {
  failuresUntilIdle,
  maxLearnedAddresses,
  maxLearnedConnections,
  maxLearnedPeers,
} from './limits.ts'
import type { Network } from './network.ts'
import type { NetworkEvent } from './network-event.ts'
import { parsePeerAddress, peerIdOf } from './peer-address.ts'
import { WakeableTimer } from './wakeable-timer.ts'

/** What the dial loop works with. */
export interface DialLoopComponents {
  readonly network: Network
  readonly membership: Membership
  readonly log?: ((event: NetworkEvent) => void) | undefined
}

/** What the dial loop is told. */
export interface DialLoopInit {
  /** Addresses as people write them (`--peer`): multiaddrs or `host:port`. */
  readonly configured: readonly string[]
  /** `configured`: dial nothing else. Ticket addresses count as configured when there are none. */
  readonly connect: 'all' | 'configured'
  readonly pace?: DialPace | undefined
}

/** An address or member that the node wants a connection to, and how that stands. */
export interface PeerTarget {
  readonly target: string
  readonly origin: TargetOrigin
  readonly peer: string | undefined
  readonly connected: boolean
  readonly failures: number
  readonly lastError: string | undefined
  /** Not dialled now: there are connections enough. */
  readonly isWaiting: boolean
}

interface Entry {
  readonly target: DialTarget
  readonly timer: WakeableTimer
  dialling: boolean
}

/**
 * Keeps connections to configured addresses and to learned members: it never gives up, waits at
 * most 15 s between dials and redials at once after a disconnect. libp2p itself dials nobody and
 * forgets peers after half a minute. A node without a mesh dials nobody.
 */
export class DialLoop implements AsyncDisposable {
  readonly #components: DialLoopComponents
  readonly #init: DialLoopInit
  readonly #entries = new Map<string, Entry>()
  readonly #refusals = new Map<string, Refusal>()
  readonly #cleanups: (() => void)[] = []
  readonly #stopped = new AbortController()
  #started = false

  /** Checks the configured addresses. Throws InvalidPeerAddressError. */
  constructor(components: DialLoopComponents, init: DialLoopInit) {
    this.#components = components
    this.#init = init
    for (const text of init.configured) this.#addAddress(text)
  }

  /** Begins to dial: configured addresses, the ticket's, and members known from earlier runs. */
  async start(): Promise<void> {
    this.#started = true
    this.#listen()
    this.#addTicketAddresses()
    for (const entry of this.#entries.values()) this.#wake(entry)
    if (this.#init.connect === 'configured') return
    const known = await this.#components.network.libp2p.peerStore.all({ limit: maxLearnedPeers })
    for (const peer of known) if (peer.addresses.length > 0) this.#addPeer(peer.id, 'mesh')
  }

  /** Tells a member's addresses; `lan` members are dialled however many connections there are. */
  async learn(peer: PeerInfo, origin: 'lan' | 'mesh'): Promise<void> {
    const { libp2p } = this.#components.network
    if (this.#init.connect === 'configured' || this.#stopped.signal.aborted) return
    if (peer.id.equals(libp2p.peerId)) return
    if (peer.multiaddrs.length > 0) {
      const multiaddrs = peer.multiaddrs.slice(0, maxLearnedAddresses)
      await libp2p.peerStore.merge(peer.id, { multiaddrs })
    }
    this.#addPeer(peer.id, origin)
  }

  /** Lists what the loop wants and how it stands. */
  status(): readonly PeerTarget[] {
    return [...this.#entries.values()].map(({ target }) => {
      const connected = this.#isConnected(target)
      return {
        target: target.label,
        origin: target.origin,
        peer: target.peer,
        connected,
        failures: connected ? 0 : target.failures,
        lastError: target.lastError,
        isWaiting: !connected && this.#isFull(target),
      }
    })
  }

  /** Stops dialling; connections stay. */
  [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    return Promise.resolve()
  }

  /** Stops dialling; connections stay. */
  stop(): void {
    this.#stopped.abort()
    for (const cleanup of this.#cleanups.splice(0)) cleanup()
    for (const entry of this.#entries.values()) entry.timer.stop()
  }

  #listen(): void {
    const { network, membership } = this.#components
    const { libp2p } = network
    const onConnect = (event: CustomEvent<PeerId>): void => this.#connected(event.detail)
    const onDisconnect = (event: CustomEvent<PeerId>): void => this.#disconnected(event.detail)
    const onDiscovery = (event: CustomEvent<PeerInfo>): void => this.#discovered(event.detail)
    libp2p.addEventListener('peer:connect', onConnect)
    libp2p.addEventListener('peer:disconnect', onDisconnect)
    libp2p.addEventListener('peer:discovery', onDiscovery)
    this.#cleanups.push(
      () => libp2p.removeEventListener('peer:connect', onConnect),
      () => libp2p.removeEventListener('peer:disconnect', onDisconnect),
      () => libp2p.removeEventListener('peer:discovery', onDiscovery),
      network.onRefusal((refusal) => this.#noteRefusal(refusal)),
      membership.onChange(() => this.#membershipChanged()),
    )
  }

  #connected(peer: PeerId): void {
    if (this.#init.connect === 'all') this.#addPeer(peer, 'mesh')
    for (const { target } of this.#entriesOf(peer.toString())) {
      target.everConnected = true
      target.isSelf = false
      target.lastError = undefined
      target.connectedAtMs = performance.now()
    }
  }

  #disconnected(peer: PeerId): void {
    for (const entry of this.#entriesOf(peer.toString())) {
      const { target } = entry
      const lasted = performance.now() - (target.connectedAtMs ?? performance.now())
      target.connectedAtMs = undefined
      // A peer that drops us at once must not make us spin.
      target.failures = lasted >= this.#pace.steadyMs ? 0 : Math.max(1, target.failures)
      this.#wakeLater(entry)
    }
  }

  #discovered(peer: PeerInfo): void {
    // libp2p also "discovers" a peer without addresses when a dial of ours to it has failed.
    if (peer.multiaddrs.length > 0 && this.#init.connect === 'all') this.#addPeer(peer.id, 'mesh')
  }

  #membershipChanged(): void {
    this.#addTicketAddresses()
    for (const entry of this.#entries.values()) {
      entry.target.failures = 0
      this.#wake(entry)
    }
  }

  #noteRefusal(refusal: Refusal): void {
    if (refusal.direction !== 'outbound') return
    this.#refusals.set(refusal.address, refusal)
    // The DHT dials too, and nobody asks for the reasons of its failures.
    const oldest = this.#refusals.keys().next().value
    if (this.#refusals.size > maxLearnedPeers && oldest !== undefined) {
      this.#refusals.delete(oldest)
    }
  }

  #addTicketAddresses(): void {
    const hasOwn = this.#init.configured.length > 0
    if (this.#init.connect === 'configured' && hasOwn) return
    for (const text of this.#components.membership.ticketAddresses()) {
      try {
        this.#addAddress(text)
      } catch (error) {
        // A ticket of a later version may hold addresses of a transport that we lack.
        this.#log({ kind: 'dial-failed', target: text, message: messageOf(error) })
      }
    }
  }

  #addAddress(text: string): void {
    const address = parsePeerAddress(text)
    const label = address.toString()
    if (this.#entries.has(label) || peerIdOf(address) === this.#components.network.peerId) return
    this.#add(label, { origin: 'configured', label: text, address, peer: peerIdOf(address) })
  }

  #addPeer(peer: PeerId, origin: 'lan' | 'mesh'): void {
    const label = peer.toString()
    if (peer.equals(this.#components.network.libp2p.peerId)) return
    const known = this.#entries.get(label)
    if (known !== undefined) {
      if (origin === 'lan') this.#seenOnLan(known)
      return
    }
    if (this.#entries.size >= maxLearnedPeers) return
    this.#add(label, { origin, label, address: undefined, peer: label })
  }

  // It answered just now, so the wait for a dead host is over.
  #seenOnLan(entry: Entry): void {
    entry.target.origin = 'lan'
    entry.target.failures = Math.min(entry.target.failures, 1)
    this.#wake(entry)
  }

  #add(key: string, init: Parameters<typeof newTarget>[0]): void {
    const entry: Entry = {
      target: newTarget(init),
      timer: new WakeableTimer(() => void this.#attempt(key, entry)),
      dialling: false,
    }
    this.#entries.set(key, entry)
    if (this.#started) this.#wake(entry)
  }

  #wake(entry: Entry): void {
    entry.timer.wakeIn(0)
  }

  #wakeLater(entry: Entry): void {
    entry.timer.wakeIn(redialDelayMs(entry.target, this.#pace, Math.random()))
  }

  async #attempt(key: string, entry: Entry): Promise<void> {
    const { target } = entry
    if (!this.#mayDial(target) || entry.dialling || this.#isConnected(target)) return
    if (this.#isFull(target)) {
      entry.timer.wakeIn(this.#pace.maxMs)
      return
    }
    entry.dialling = true
    try {
      await this.#dial(target)
    } catch (error) {
      this.#failed(key, entry, error)
    } finally {
      entry.dialling = false
    }
  }

  async #dial(target: DialTarget): Promise<void> {
    const { libp2p } = this.#components.network
    const { signal } = this.#stopped
    const to = target.address ?? peerIdFromString(target.label)
    this.#refusals.delete(to.toString())
    const connection = await libp2p.dial(to, { signal })
    target.peer = connection.remotePeer.toString()
    this.#connected(connection.remotePeer)
    this.#log({ kind: 'dial-succeeded', target: target.label, peer: target.peer })
    // It may have closed before we knew which peer it is; then no event names this target.
    if (!this.#isConnected(target)) this.#disconnected(connection.remotePeer)
  }

  #failed(key: string, entry: Entry, error: unknown): void {
    if (this.#stopped.signal.aborted) return
    const { target } = entry
    const refusals = this.#takeRefusals(target)
    const [refusal] = refusals
    const message = refusal?.message ?? messageOf(error)
    target.failures++
    target.isSelf = refusal?.cause.kind === 'self'
    // Others live at all its addresses now: a host that was set up anew, or the next CI runner.
    const others = refusals.filter(({ cause }) => cause.kind === 'unexpected-peer')
    const tried = error instanceof AggregateError ? error.errors.length : 1
    if (others.length >= tried) target.failures = Math.max(target.failures, failuresUntilIdle)
    // Once per change: a host that is down for a night is one line, not thousands.
    if (message !== target.lastError) {
      this.#log({ kind: 'dial-failed', target: target.label, message })
    }
    target.lastError = message
    if (isForgettable(target)) {
      entry.timer.stop()
      this.#entries.delete(key)
      return
    }
    this.#wakeLater(entry)
  }

  #takeRefusals(target: DialTarget): readonly Refusal[] {
    const own = [...this.#refusals].filter(
      ([address, { peer }]) =>
        address === target.address?.toString() ||
        (target.peer !== undefined && peer === target.peer),
    )
    for (const [address] of own) this.#refusals.delete(address)
    return own.map(([, refusal]) => refusal)
  }

  #mayDial(target: DialTarget): boolean {
    if (this.#stopped.signal.aborted || !this.#components.membership.isMember()) return false
    return target.origin === 'configured' || this.#init.connect === 'all'
  }

  #isFull(target: DialTarget): boolean {
    const { libp2p } = this.#components.network
    return target.origin === 'mesh' && libp2p.getPeers().length >= maxLearnedConnections
  }

  #isConnected(target: DialTarget): boolean {
    if (target.peer === undefined) return false
    const { libp2p } = this.#components.network
    return libp2p
      .getConnections(peerIdFromString(target.peer))
      .some((connection) => connection.status === 'open')
  }

  #entriesOf(peer: string): Entry[] {
    return [...this.#entries.values()].filter(({ target }) => target.peer === peer)
  }

  get #pace(): DialPace {
    return this.#init.pace ?? dialPace
  }

  #log(event: NetworkEvent): void {
    this.#components.log?.(event)
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
