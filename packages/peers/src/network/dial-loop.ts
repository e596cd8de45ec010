import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Membership } from '../membership/membership.ts'
import { type DialEntry, DialList } from './dial-list.ts'
import { DialRefusals } from './dial-refusals.ts'
import { hasRoom } from './dial-room.ts'
import type { DialPace, DialTarget, PeerTarget } from './dial-target.ts'
import { dialPace, isForgettable, redialDelayMs, statusOf } from './dial-target.ts'
import { learnAddresses } from './learned-addresses.ts'
import { defaultMaxConnections, failuresUntilIdle, maxLearnedPeers } from './limits.ts'
import type { NamePace } from './name-watch.ts'
import type { Network } from './network.ts'
import type { NetworkEvent } from './network-event.ts'
import type { ResolveName } from './resolve-name.ts'

/** What the dial loop works with. */
export interface DialLoopComponents {
  readonly network: Network
  readonly membership: Membership
  /** Whether a peer is known to be of another site; absent: none is. */
  readonly isForeign?: ((peer: string) => boolean) | undefined
  /** Whether no connection to a peer is wanted; absent: to none. */
  readonly isForbidden?: ((peer: string) => boolean) | undefined
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

/**
 * Keeps connections to configured addresses and to learned members: it never gives up, waits at
 * most 15 s between dials and redials at once after a disconnect. libp2p itself dials nobody and
 * forgets peers after half a minute. A node without a mesh dials nobody.
 */
export class DialLoop implements AsyncDisposable {
  readonly #components: DialLoopComponents
  readonly #init: DialLoopInit
  readonly #list: DialList
  readonly #refusals = new DialRefusals()
  readonly #cleanups: (() => void)[] = []
  readonly #stopped = new AbortController()

  /** Checks the configured addresses. Throws InvalidPeerAddressError. */
  constructor(components: DialLoopComponents, init: DialLoopInit) {
    this.#components = components
    this.#init = init
    this.#list = new DialList(
      {
        self: components.network.libp2p.peerId,
        resolve: components.resolve,
        attempt: (entry) => void this.#attempt(entry),
        failed: (target, message) => this.#log({ kind: 'dial-failed', target, message }),
      },
      { namePace: init.namePace },
    )
    for (const text of init.configured) this.#list.addAddress(text, 'configured')
  }

  /** Begins to dial: configured addresses, the ticket's, and members known from earlier runs. */
  async start(): Promise<void> {
    this.#listen()
    this.#addTicketAddresses()
    this.#list.start()
    if (this.#init.connect === 'configured') return
    const known = await this.#components.network.libp2p.peerStore.all({ limit: maxLearnedPeers })
    for (const peer of known) if (peer.addresses.length > 0) this.#list.addPeer(peer.id, 'mesh')
  }

  /** Tells a member's addresses; `lan` members are dialled however many connections there are. */
  async learn(peer: PeerInfo, origin: 'lan' | 'mesh'): Promise<void> {
    const { libp2p } = this.#components.network
    if (this.#init.connect === 'configured' || this.#stopped.signal.aborted) return
    if (peer.id.equals(libp2p.peerId)) return
    if (peer.multiaddrs.length > 0) await learnAddresses(libp2p.peerStore, peer)
    this.#list.addPeer(peer.id, origin)
  }

  /** Lists what the loop wants and how it stands. */
  status(): readonly PeerTarget[] {
    // A name of the whole mesh leads to us, too: that is no trouble.
    const wanted = this.#list
      .all()
      .filter(({ name, target }) => name === undefined || !target.isSelf)
    const states = wanted.map(({ target, isWaiting }) =>
      statusOf(target, { connected: this.#isConnected(target), isWaiting }),
    )
    return [...this.#list.names.unresolved(), ...states]
  }

  /** Whether a peer is one that the user named. */
  isConfigured(peer: string): boolean {
    return this.#list.of(peer).some(({ target }) => target.origin === 'configured')
  }

  /** Ends what is still under way to a peer that both sides know to be connected by now. */
  linked(peer: string): void {
    for (const { dialling } of this.#list.of(peer))
      dialling?.abort(new Error('connected meanwhile'))
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
    this.#list.stop()
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
      network.onRefusal((refusal) => this.#refusals.note(refusal)),
      membership.onChange(() => this.#membershipChanged()),
    )
  }

  #connected(peer: PeerId): void {
    if (this.#init.connect === 'all') this.#list.addPeer(peer, 'mesh')
    for (const { target } of this.#list.of(peer.toString())) {
      target.everConnected = true
      target.isSelf = false
      target.lastError = undefined
      target.connectedAtMs = performance.now()
    }
  }

  #disconnected(peer: PeerId): void {
    for (const entry of this.#list.of(peer.toString())) {
      const { target } = entry
      const lasted = performance.now() - (target.connectedAtMs ?? performance.now())
      target.connectedAtMs = undefined
      // A peer that drops us at once, or has connections enough, must not make us spin.
      target.failures = lasted >= this.#pace.steadyMs ? 0 : target.failures + 1
      this.#wakeLater(entry)
    }
    for (const entry of this.#list.all()) {
      // There is room again. Not all at once, nor always the same one.
      if (entry.isWaiting) entry.timer.wakeIn(Math.random() * this.#pace.firstMs * 4)
    }
  }

  #discovered(peer: PeerInfo): void {
    // libp2p also "discovers" a peer without addresses when a dial of ours to it has failed.
    if (peer.multiaddrs.length > 0 && this.#init.connect === 'all')
      this.#list.addPeer(peer.id, 'mesh')
  }

  #membershipChanged(): void {
    this.#addTicketAddresses()
    for (const entry of this.#list.all()) {
      entry.target.failures = 0
      entry.timer.wakeIn(0)
    }
  }

  #addTicketAddresses(): void {
    const hasOwn = this.#init.configured.length > 0
    const isOnly = this.#init.connect === 'configured'
    if (isOnly && hasOwn) return
    for (const text of this.#components.membership.ticketAddresses()) {
      try {
        // All of a mesh may have joined by one address: it is not to hold all of them.
        this.#list.addAddress(text, isOnly ? 'configured' : 'ticket')
      } catch (error) {
        // A ticket of a later version may hold addresses of a transport that we lack.
        this.#log({ kind: 'dial-failed', target: text, message: messageOf(error) })
      }
    }
  }

  #wakeLater(entry: DialEntry): void {
    entry.timer.wakeIn(redialDelayMs(entry.target, this.#pace, Math.random()))
  }

  async #attempt(entry: DialEntry): Promise<void> {
    const { target } = entry
    if (!this.#mayDial(target) || entry.dialling || this.#isConnected(target)) return
    const { isForbidden = () => false } = this.#components
    entry.isWaiting = isForbidden(target.peer ?? target.label) || !this.#hasRoom(target)
    if (entry.isWaiting) {
      entry.timer.wakeIn(this.#pace.maxMs * (0.5 + Math.random() / 2))
      return
    }
    const dialling = new AbortController()
    entry.dialling = dialling
    try {
      await this.#dial(target, AbortSignal.any([this.#stopped.signal, dialling.signal]))
    } catch (error) {
      // It came to us meanwhile: nothing is missing.
      if (!this.#isConnected(target)) this.#failed(entry, error)
    } finally {
      entry.dialling = undefined
    }
  }

  async #dial(target: DialTarget, signal: AbortSignal): Promise<void> {
    const { libp2p } = this.#components.network
    const to = target.address ?? peerIdFromString(target.label)
    this.#refusals.forget(to.toString())
    const connection = await libp2p.dial(to, { signal })
    target.peer = connection.remotePeer.toString()
    this.#connected(connection.remotePeer)
    this.#log({ kind: 'dial-succeeded', target: target.label, peer: target.peer })
    // It may have closed before we knew which peer it is; then no event names this target.
    if (!this.#isConnected(target)) this.#disconnected(connection.remotePeer)
  }

  #failed(entry: DialEntry, error: unknown): void {
    if (this.#stopped.signal.aborted) return
    const { target } = entry
    const refusals = this.#refusals.take(target)
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
    if (entry.name !== undefined && !target.isSelf) this.#list.names.hurry(entry.name)
    if (isForgettable(target)) this.#list.remove(entry)
    // A name that leads elsewhere by now may have taken it away while it was dialled.
    else if (this.#list.has(entry)) this.#wakeLater(entry)
  }

  #mayDial(target: DialTarget): boolean {
    if (this.#stopped.signal.aborted || !this.#components.membership.isMember()) return false
    return target.origin === 'configured' || this.#init.connect === 'all'
  }

  #hasRoom({ origin, label }: DialTarget): boolean {
    const { network, isForeign = () => false } = this.#components
    const { maxConnections: max = defaultMaxConnections } = this.#init
    const dialling = this.#list.all().filter(({ dialling }) => dialling !== undefined).length
    const count = network.libp2p.getPeers().length + dialling
    return hasRoom({ origin, isForeign: isForeign(label) }, { count, max })
  }

  #isConnected(target: DialTarget): boolean {
    if (target.peer === undefined) return false
    const { libp2p } = this.#components.network
    return libp2p
      .getConnections(peerIdFromString(target.peer))
      .some((connection) => connection.status === 'open')
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
