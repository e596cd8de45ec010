import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock, PeerId } from '@modmesh/fill'
import { pipeLimits, pipeTimes } from './limits.ts'
import { openPipe } from './open-pipe.ts'
import type { Pipe } from './pipe.ts'
import type { PipeDoor } from './pipe-tls.ts'

/** The pipes to one member that are free. */
interface PeerPipes {
  readonly free: FreePipe[]
  /** All that are open or being opened. */
  count: number
}

interface FreePipe {
  readonly pipe: Pipe
  readonly rest: NodeJS.Timeout
}

/** Keeps the pipes over which we ask: as many per member as bodies come at once, closed when unused. */
export class PipePool {
  readonly #libp2p: Pick<Libp2p, 'getConnections'>
  readonly #door: PipeDoor
  readonly #clock: Clock
  readonly #peers = new Map<PeerId, PeerPipes>()
  /** Connections that no pipe could be opened beside, and until when that is believed, monotonic milliseconds. */
  readonly #hopeless = new WeakMap<Connection, number>()
  readonly #stop = new AbortController()

  constructor(components: {
    readonly libp2p: Pick<Libp2p, 'getConnections'>
    readonly door: PipeDoor
    readonly clock: Clock
  }) {
    this.#libp2p = components.libp2p
    this.#door = components.door
    this.#clock = components.clock
  }

  stop(): void {
    this.#stop.abort(new Error('node stops'))
    for (const { free } of this.#peers.values()) for (const { pipe } of free) pipe.destroy()
  }

  /** Gives a pipe to a connected member for one question, or undefined when a stream is the quicker way. */
  async take(
    peer: PeerId,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Pipe | undefined> {
    const free = this.#free(peer)
    if (free !== undefined) return free
    const connection = this.#connectionTo(peer)
    if (connection === undefined) return undefined
    const opening = this.#open(peer, connection)
    const ours = new AbortController()
    const late = this.#clock
      .sleep(pipeTimes.waitMs, { signal: AbortSignal.any([signal, ours.signal]) })
      .then(
        () => undefined,
        () => undefined,
      )
    const pipe = await Promise.race([opening, late])
    ours.abort()
    // What comes too late serves the next one.
    if (pipe === undefined) void opening.then((open) => open && this.giveBack(peer, open))
    return pipe
  }

  /** Takes back a pipe on which nothing is under way. */
  giveBack(peer: PeerId, pipe: Pipe): void {
    if (pipe.isOver) return
    if (this.#stop.signal.aborted) return pipe.destroy()
    const rest = setTimeout(() => pipe.destroy(), pipeTimes.idleMs)
    rest.unref()
    this.#of(peer).free.push({ pipe, rest })
  }

  /** The one that was used last: the others come to rest. */
  #free(peer: PeerId): Pipe | undefined {
    const free = this.#peers.get(peer)?.free ?? []
    for (let last = free.pop(); last !== undefined; last = free.pop()) {
      clearTimeout(last.rest)
      if (!last.pipe.isOver) return last.pipe
    }
    return undefined
  }

  #of(peer: PeerId): PeerPipes {
    const pipes = this.#peers.get(peer) ?? { free: [], count: 0 }
    this.#peers.set(peer, pipes)
    return pipes
  }

  #connectionTo(peer: PeerId): Connection | undefined {
    if ((this.#peers.get(peer)?.count ?? 0) >= pipeLimits.perPeer) return undefined
    const nowMs = this.#clock.monotonicMs()
    const usable = this.#libp2p
      .getConnections(peerIdFromString(peer))
      .filter((it) => it.status === 'open' && (this.#hopeless.get(it) ?? -1) < nowMs)
    // Who dials reads with less work.
    return usable.find(({ direction }) => direction === 'outbound') ?? usable[0]
  }

  /** Opens one more; never rejects. */
  async #open(peer: PeerId, connection: Connection): Promise<Pipe | undefined> {
    const pipes = this.#of(peer)
    pipes.count += 1
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(pipeTimes.openMs)])
    try {
      const pipe = await openPipe({ connection, door: this.#door }, { signal })
      pipe.onOver(() => this.#gone(peer, pipes, pipe))
      return pipe
    } catch {
      // An older node, or a firewall: streams do as well, only slower.
      this.#hopeless.set(connection, this.#clock.monotonicMs() + pipeTimes.restMs)
      this.#gone(peer, pipes)
      return undefined
    }
  }

  #gone(peer: PeerId, pipes: PeerPipes, pipe?: Pipe): void {
    pipes.count -= 1
    const at = pipes.free.findIndex((free) => free.pipe === pipe)
    if (at >= 0) clearTimeout(pipes.free.splice(at, 1)[0]?.rest)
    if (pipes.count === 0 && this.#peers.get(peer) === pipes) this.#peers.delete(peer)
  }
}
