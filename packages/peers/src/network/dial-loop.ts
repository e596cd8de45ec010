import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Refusal } from '../gate/refusal.ts'
import type { Membership } from '../membership/membership.ts'
import type { DialPace, DialTarget, TargetOrigin } from './dial-target.ts'
import { dialPace, isForgettable, newTarget, redialDelayMs } from './dial-target.ts'
import {
  defaultMaxConnections,
  failuresUntilIdle,
  maxLearnedAddresses,
  maxLearnedConnections,
  maxLearnedPeers,
} from './limits.ts'
import { type NamePace, NameWatch } from './name-watch.ts'
import type { Network } from './network.ts'
import type { NetworkEvent } from './network-event.ts'
import { parsePeerAddress, peerIdOf } from './peer-address.ts'
import { type NamedHost, namedHostOf, type ResolveName, systemResolve } from './resolve-name.ts'
import { WakeableTimer } from './wakeable-timer.ts'

/** What the dial loop works with. */
export interface DialLoopComponents {
  readonly network: Network
  readonly membership: Membership
  /** Whether a peer is known to be of another site; absent: none is. */
  readonly isForeign?: ((peer: string) => boolean) | undefined
  readonly log?: ((event: NetworkEvent) => void) | undefined
  /** For tests: finds the addresses of names. */
  readonly resolve?: ResolveName | undefined
}

/** What the dial loop is told. */
export interface DialLoopInit {
  /** Addresses as people write them (`--peer`): multiaddrs or `host:port`. */
  readonly configured: readonly string[]
  /** `configured`: dial nothing else. Ticket addresses count as configured when there are none. */
  readonly connect: 'all' | 'configured'
  /** Connections that the node keeps. */
  readonly maxConnections?: number | undefined
  readonly pace?: DialPace | undefined
  readonly namePace?: NamePace | undefined
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
  /** The name that led to the address; undefined when an address was given. */
  readonly name: string | undefined
  readonly target: DialTarget
  readonly timer: WakeableTimer
  dialling: boolean
  /** There were connections enough when it was its turn. */
  isWaiting: boolean
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
  /** Configured names by their addresses as given. */
  readonly #names = new Map<string, NameWatch>()
  readonly #refusals = new Map<string, Refusal>()
  readonly #cleanups: (() => void)[] = []
  readonly #stopped = new AbortController()
  #started = false

  /** Checks the configured addresses. Throws InvalidPeerAddressError. */
  constructor(components: DialLoopComponents, init: DialLoopInit) {
    this.#components = components
    this.#init = init
    for (const text of init.configured) this.#addAddress(text, 'configured')
  }

  /** Begins to dial: configured addresses, the ticket's, and members known from earlier runs. */
  async start(): Promise<void> {
    this.#started = true
    this.#listen()
    this.#addTicketAddresses()
    for (const watch of this.#names.values()) watch.start()
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
    if (peer.multiaddrs.length > 0) await this.#remember(peer)
    this.#addPeer(peer.id, origin)
  }

  /** Old addresses never run out by themselves: the newest take their places. */
  async #remember({ id, multiaddrs }: PeerInfo): Promise<void> {
    const { peerStore } = this.#components.network.libp2p
    const known = (await peerStore.has(id)) ? (await peerStore.get(id)).addresses : []
    const all = [...multiaddrs, ...known.map(({ multiaddr }) => multiaddr)]
    const unique = [...new Map(all.map((address) => [address.toString(), address])).values()]
    await peerStore.patch(id, { multiaddrs: unique.slice(0, maxLearnedAddresses) })
  }

  /** Lists what the loop wants and how it stands. */
  status(): readonly PeerTarget[] {
    // A name of the whole mesh leads to us, too: that is no trouble.
    const wanted = [...this.#entries.values()].filter(
      ({ name, target }) => name === undefined || !target.isSelf,
    )
    return [...this.#unresolved(), ...wanted.map((entry) => this.#statusOf(entry))]
  }

  #unresolved(): PeerTarget[] {
    return [...this.#names].flatMap(([target, { failures, lastError }]) => {
      if (lastError === undefined) return []
      const nobody = { peer: undefined, connected: false, isWaiting: false } as const
      return [{ target, origin: 'configured', ...nobody, failures, lastError }]
    })
  }

  #statusOf({ target, isWaiting }: Entry): PeerTarget {
    const connected = this.#isConnected(target)
    return {
      target: target.label,
      origin: target.origin,
      peer: target.peer,
      connected,
      failures: connected ? 0 : target.failures,
      lastError: target.lastError,
      isWaiting: !connected && isWaiting,
    }
  }

  /** Whether a peer is one that the user named. */
  isConfigured(peer: string): boolean {
    return this.#entriesOf(peer).some(({ target }) => target.origin === 'configured')
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
    for (const watch of this.#names.values()) watch.stop()
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
      // A peer that drops us at once, or has connections enough, must not make us spin.
      target.failures = lasted >= this.#pace.steadyMs ? 0 : target.failures + 1
      this.#wakeLater(entry)
    }
    for (const entry of this.#entries.values()) {
      // There is room again. Not all at once, nor always the same one.
      if (entry.isWaiting) entry.timer.wakeIn(Math.random() * this.#pace.firstMs * 4)
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
    const isOnly = this.#init.connect === 'configured'
    if (isOnly && hasOwn) return
    for (const text of this.#components.membership.ticketAddresses()) {
      try {
        // All of a mesh may have joined by one address: it is not to hold all of them.
        this.#addAddress(text, isOnly ? 'configured' : 'ticket')
      } catch (error) {
        // A ticket of a later version may hold addresses of a transport that we lack.
        this.#log({ kind: 'dial-failed', target: text, message: messageOf(error) })
      }
    }
  }

  #addAddress(text: string, origin: 'configured' | 'ticket'): void {
    const address = parsePeerAddress(text)
    const label = address.toString()
    if (this.#entries.has(label) || peerIdOf(address) === this.#components.network.peerId) return
    const name = namedHostOf(address)
    if (name !== undefined) this.#addName(text, name, origin)
    else this.#add(label, { origin, label: text, address, peer: peerIdOf(address) })
  }

  #addName(text: string, name: NamedHost, origin: TargetOrigin): void {
    if (this.#names.has(text)) return
    const { resolve = systemResolve } = this.#components
    const changed = (addresses: readonly Multiaddr[]): void => this.#follow(text, addresses, origin)
    const failed = (message: string): void =>
      this.#log({ kind: 'dial-failed', target: text, message })
    const watch = new NameWatch({ resolve, changed, failed }, { name, pace: this.#init.namePace })
    this.#names.set(text, watch)
    if (this.#started) watch.start()
  }

  /** Dials what a name leads to now; what it does not lead to any more only stays connected. */
  #follow(name: string, addresses: readonly Multiaddr[], origin: TargetOrigin): void {
    if (this.#stopped.signal.aborted) return
    const now = new Set(addresses.map(String))
    for (const [key, entry] of this.#entries) {
      if (entry.name !== name || now.has(key)) continue
      entry.timer.stop()
      this.#entries.delete(key)
    }
    for (const address of addresses) {
      const key = address.toString()
      const label = `${name} (${address.getComponents()[0]?.value})`
      if (this.#entries.has(key)) continue
      this.#add(key, { origin, label, address, peer: peerIdOf(address) }, name)
    }
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

  #add(key: string, init: Parameters<typeof newTarget>[0], name?: string): void {
    const entry: Entry = {
      name,
      target: newTarget(init),
      timer: new WakeableTimer(() => void this.#attempt(key, entry)),
      dialling: false,
      isWaiting: false,
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
    entry.isWaiting = this.#isFull(target)
    if (entry.isWaiting) {
      entry.timer.wakeIn(this.#pace.maxMs * (0.5 + Math.random() / 2))
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
    if (entry.name !== undefined && !target.isSelf) this.#names.get(entry.name)?.hurry()
    if (isForgettable(target)) {
      entry.timer.stop()
      this.#entries.delete(key)
      return
    }
    // A name that leads elsewhere by now took it away while it was dialled.
    if (this.#entries.get(key) === entry) this.#wakeLater(entry)
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

  /** Half of the connections are left to those who dial us: else nobody new finds anybody. */
  #isFull(target: DialTarget): boolean {
    if (target.origin === 'configured') return false
    const { maxConnections = defaultMaxConnections } = this.#init
    const dialling = [...this.#entries.values()].filter((entry) => entry.dialling).length
    const count = this.#components.network.libp2p.getPeers().length + dialling
    if (target.origin === 'lan') return count >= maxConnections
    const most = Math.min(maxLearnedConnections, Math.ceil(maxConnections / 2))
    // Our own site comes first: others get half of what is left to choose.
    const isForeign = this.#components.isForeign?.(target.label) ?? false
    return count >= (isForeign ? Math.ceil(most / 2) : most)
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
