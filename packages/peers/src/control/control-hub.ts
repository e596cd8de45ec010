import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { Clock, PeerId } from '@modmesh/fill'
import { NoCommonVersionError, SessionClosedError } from '../errors.ts'
import { Allowance } from './allowance.ts'
import type { SessionEnd } from './control-session.ts'
import { acceptLimits, type ControlTimes, otherVersionPeers } from './limits.ts'
import { controlProtocol } from './message.ts'
import type { PeerLink } from './peer-link.ts'
import { streamWire } from './stream-wire.ts'
import type { Wire } from './wire.ts'

/** What a hub needs of the node. */
export interface HubOwner {
  /** Makes the link of a new stream. */
  newLink(peer: PeerId, wire: Wire): PeerLink
  /** Whether a peer gets no control stream for now. */
  isRefused(peer: PeerId): boolean
  up(link: PeerLink): void
  down(link: PeerLink): void
  /** A peer broke the protocol; its connections are cut. */
  fault(peer: PeerId, reason: string): void
  /** A peer speaks none of our protocol versions; told once per peer and what it speaks. */
  otherVersion(peer: PeerId, versions: readonly number[]): void
  failed(error: unknown): void
}

/** The place of one connected peer. */
interface Seat {
  link: PeerLink | undefined
  opener: PeerId
  openedAt: number
  isOpening: boolean
  attempts: number
  plan: AbortController | undefined
  readonly accepts: Allowance
}

/**
 * Keeps one live control session with each connected peer: the dialler opens it; of two that were
 * opened at once both sides keep the one of the lower peer id; a lost one is opened again.
 */
export class ControlHub {
  readonly #libp2p: Libp2p
  readonly #clock: Clock
  readonly #owner: HubOwner
  readonly #times: ControlTimes
  readonly #self: PeerId
  readonly #seats = new Map<PeerId, Seat>()
  readonly #waiting = new Set<() => void>()
  /** What peers speak that speak none of our versions. */
  readonly #otherVersions = new Map<PeerId, readonly number[]>()
  readonly #stop = new AbortController()

  constructor(
    components: { readonly libp2p: Libp2p; readonly clock: Clock; readonly owner: HubOwner },
    init: { readonly times: ControlTimes },
  ) {
    this.#libp2p = components.libp2p
    this.#clock = components.clock
    this.#owner = components.owner
    this.#times = init.times
    this.#self = components.libp2p.peerId.toString()
  }

  /** Accepts control streams and opens them on connections, those that exist included. */
  async start(): Promise<void> {
    await this.#libp2p.handle(
      controlProtocol,
      (stream, connection) => this.#accept(stream, connection),
      {
        maxInboundStreams: acceptLimits.streams,
      },
    )
    this.#libp2p.addEventListener('connection:open', this.#onOpen, { signal: this.#stop.signal })
    for (const connection of this.#libp2p.getConnections()) this.#plan(connection)
  }

  async stop(): Promise<void> {
    this.#stop.abort(new SessionClosedError('node stops'))
    await this.#libp2p.unhandle(controlProtocol)
    for (const seat of this.#seats.values()) {
      seat.plan?.abort(this.#stop.signal.reason)
      seat.link?.session.close('node stops')
    }
    this.#seats.clear()
    this.#wake()
  }

  /** Live links, in the order of first contact. */
  links(): readonly PeerLink[] {
    const links: PeerLink[] = []
    for (const { link } of this.#seats.values()) if (link !== undefined) links.push(link)
    return links
  }

  link(peer: PeerId): PeerLink | undefined {
    return this.#seats.get(peer)?.link
  }

  /** Waits for the link of a peer that is being connected. Throws the signal's reason. */
  async whenLinked(peer: PeerId, options: { readonly signal: AbortSignal }): Promise<PeerLink> {
    for (;;) {
      const link = this.link(peer)
      if (link !== undefined) return link
      options.signal.throwIfAborted()
      this.#stop.signal.throwIfAborted()
      await this.#change(options.signal)
    }
  }

  readonly #onOpen = (event: CustomEvent<Connection>): void => {
    this.#guard(() => this.#plan(event.detail))
  }

  #plan(connection: Connection): void {
    const isDialler = connection.direction === 'outbound'
    this.#planOpen(connection.remotePeer.toString(), isDialler ? 0 : this.#times.reopenInboundMs)
  }

  #planOpen(peer: PeerId, delayMs: number): void {
    const seat = this.#seat(peer)
    seat.plan?.abort(new SessionClosedError('planned anew'))
    const plan = new AbortController()
    seat.plan = plan
    this.#clock.sleep(delayMs, { signal: plan.signal }).then(
      () => this.#open(peer, seat).catch((error: unknown) => this.#owner.failed(error)),
      () => {}, // planned anew, or the hub stops
    )
  }

  async #open(peer: PeerId, seat: Seat): Promise<void> {
    if (seat.link !== undefined || seat.isOpening || this.#stop.signal.aborted) return
    const connection = this.#connection(peer)
    if (connection === undefined) return this.#forget(peer, seat)
    if (this.#owner.isRefused(peer)) return this.#planOpen(peer, this.#times.reopenMaxMs)
    seat.isOpening = true
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#times.helloMs)])
      const stream = await connection.newStream(controlProtocol, { signal })
      await this.#adopt(stream, { peer, seat, opener: this.#self })
    } catch (error) {
      if (error instanceof NoCommonVersionError) return this.#leave(peer, error)
      // The peer went away, or does not speak control yet: once more, later.
      seat.attempts += 1
      this.#reopen(peer, seat)
    } finally {
      seat.isOpening = false
    }
  }

  #accept(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const seat = this.#seat(peer)
    if (this.#owner.isRefused(peer) || !seat.accepts.take(1) || this.#stop.signal.aborted) {
      stream.abort(new SessionClosedError('no control stream for now'))
      return
    }
    this.#adopt(stream, { peer, seat, opener: peer }).catch((error: unknown) => {
      // Any other session that ended before its hello is dealt with by #onEnd.
      if (error instanceof NoCommonVersionError) this.#guard(() => this.#leave(peer, error))
    })
  }

  async #adopt(
    stream: Stream,
    init: { readonly peer: PeerId; readonly seat: Seat; readonly opener: PeerId },
  ): Promise<void> {
    const { peer, seat, opener } = init
    const link = this.#owner.newLink(peer, streamWire(stream))
    void link.ended.then((end) => this.#guard(() => this.#onEnd(link, end)))
    await link.start()
    if (!link.isAlive || this.#stop.signal.aborted) return link.session.close('node stops')
    const old = seat.link
    if (old !== undefined && this.#prefers(seat.opener, opener)) return this.#retire(link)
    seat.link = link
    seat.opener = opener
    seat.openedAt = this.#clock.monotonicMs()
    this.#seats.set(peer, seat)
    if (old !== undefined) this.#retire(old)
    this.#otherVersions.delete(peer)
    this.#guard(() => this.#owner.up(link))
    this.#wake()
  }

  /** Whether a session opened by `old` stays when one opened by `next` comes. Alike on both sides. */
  #prefers(old: PeerId, next: PeerId): boolean {
    return old < next
  }

  #retire(link: PeerLink): void {
    this.#clock.sleep(this.#times.retireMs, { signal: link.session.signal }).then(
      () => link.session.close('replaced by another session'),
      () => {}, // it ended by itself
    )
  }

  #onEnd(link: PeerLink, end: SessionEnd): void {
    const seat = this.#seats.get(link.peer)
    if (end.fault) this.#cut(link.peer, end.reason)
    if (seat === undefined || seat.link !== link) return
    seat.link = undefined
    const lived = this.#clock.monotonicMs() - seat.openedAt
    seat.attempts = lived > this.#times.reopenMaxMs ? 0 : seat.attempts + 1
    this.#owner.down(link)
    this.#reopen(link.peer, seat)
  }

  #cut(peer: PeerId, reason: string): void {
    this.#owner.fault(peer, reason)
    for (const connection of this.#connections(peer)) {
      connection.abort(new SessionClosedError(reason))
    }
  }

  #reopen(peer: PeerId, seat: Seat): void {
    if (this.#stop.signal.aborted) return
    const connection = this.#connection(peer)
    if (connection === undefined) return this.#forget(peer, seat)
    const backoff = Math.min(this.#times.reopenMaxMs, this.#times.reopenMs * 2 ** seat.attempts)
    const wait = connection.direction === 'outbound' ? 0 : this.#times.reopenInboundMs
    this.#planOpen(peer, wait + backoff)
  }

  /** Members that are left alone because they speak none of our versions, with what they speak. */
  get otherVersions(): ReadonlyMap<PeerId, readonly number[]> {
    return this.#otherVersions
  }

  /** Leaves a peer alone that speaks none of our versions, until it connects anew. */
  #leave(peer: PeerId, { versions }: NoCommonVersionError): void {
    if (this.#stop.signal.aborted) return
    this.#planOpen(peer, this.#times.otherVersionMs)
    if (this.#otherVersions.get(peer)?.join() === versions.join()) return
    this.#otherVersions.set(peer, versions)
    const [oldest] = this.#otherVersions.keys()
    if (this.#otherVersions.size > otherVersionPeers && oldest !== undefined) {
      this.#otherVersions.delete(oldest)
    }
    this.#owner.otherVersion(peer, versions)
  }

  #forget(peer: PeerId, seat: Seat): void {
    seat.plan?.abort(new SessionClosedError('disconnected'))
    if (this.#seats.get(peer) === seat) this.#seats.delete(peer)
  }

  #seat(peer: PeerId): Seat {
    const known = this.#seats.get(peer)
    if (known !== undefined) return known
    const { perSecond, burst } = acceptLimits
    const seat: Seat = {
      link: undefined,
      opener: '',
      openedAt: 0,
      isOpening: false,
      attempts: 0,
      plan: undefined,
      accepts: new Allowance({ clock: this.#clock }, { perSecond, burst }),
    }
    this.#seats.set(peer, seat)
    return seat
  }

  /** An open connection to the peer, one that we dialled if there is one. */
  #connection(peer: PeerId): Connection | undefined {
    const open = this.#connections(peer)
    return open.find((connection) => connection.direction === 'outbound') ?? open[0]
  }

  #connections(peer: PeerId): Connection[] {
    return this.#libp2p
      .getConnections()
      .filter(
        (connection) => connection.status === 'open' && connection.remotePeer.toString() === peer,
      )
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiting.delete(resolve)
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
  }

  /** An exception in a listener would end the process. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#owner.failed(error)
    }
  }
}
