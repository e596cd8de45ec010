import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import {
  type ByteSink,
  type Clock,
  PeerError,
  type PeerId,
  Turns,
  type ZipBytes,
  type ZipFetchOptions,
  type ZipRange,
} from '@modmesh/fill'
import { type ModuleVersion, maxZipBytes, type ZipHash } from '@modmesh/module'
import { isProtocolFault, ProtocolError } from '../errors.ts'
import { StreamOverrunError } from '../network/errors.ts'
import type { PipePool } from '../pipe/pipe-pool.ts'
import { PipeCall } from './by-pipe.ts'
import { StreamCall } from './by-stream.ts'
import { exchange, type ReceiveBody } from './exchange.ts'
import { type BodyTimes, bodyLimits, farBodyRate } from './limits.ts'
import { type BodyHeader, type BodyRequest, bodyProtocol } from './message.ts'
import { NotGivenError } from './not-given.ts'
import { NoProgressError } from './progress-guard.ts'
import { rangeRequest, takeRange } from './range-fetch.ts'
import type { BodyCall } from './wire.ts'
import { ZipFetch } from './zip-fetch.ts'

type PartHeader = Extract<BodyHeader, { status: 'part' }>

/** Fetches zips from members, connecting first where needed. */
export class BodyClient {
  readonly #libp2p: Libp2p
  readonly #pipes: PipePool
  readonly #clock: Clock
  readonly #times: BodyTimes
  readonly #isFar: (peer: PeerId) => boolean
  /** What is being fetched of each peer: as many at once as it gives, the rest in line here. */
  readonly #lines = new Map<PeerId, { readonly turns: Turns; users: number }>()

  constructor(
    components: {
      readonly libp2p: Libp2p
      readonly pipes: PipePool
      readonly clock: Clock
      /** Whether a peer is of another site. */
      readonly isFar?: (peer: PeerId) => boolean
    },
    init: { readonly times: BodyTimes },
  ) {
    this.#isFar = components.isFar ?? (() => false)
    this.#libp2p = components.libp2p
    this.#pipes = components.pipes
    this.#clock = components.clock
    this.#times = init.times
  }

  /**
   * Brings the bytes of a zip. Throws PeerError (`protocol` when the peer broke the rules, `unable`
   * when it does not have it, went away or stalls, `busy` after some seconds), the sink's errors, the
   * signal's reason.
   */
  fetch(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes> {
    return this.#blaming({ peer, sink, ...options }, async (target) => {
      const zip = new ZipFetch(zipHash, target, options)
      for (;;) {
        const body = await this.#untilGiven(() => this.#transfer(peer, zip, options), options)
        if (body !== undefined) return body
      }
    })
  }

  /**
   * Brings a part of a zip. Throws as `fetch` does; a busy holder is not asked again, as others bring the
   * zip, too.
   */
  fetchRange(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    range: ZipRange,
    options: Omit<ZipFetchOptions, 'resume'>,
  ): Promise<void> {
    const { signal } = options
    return this.#blaming({ peer, sink, signal }, async (target) => {
      const call = await this.#open(peer, signal)
      const request = rangeRequest(zipHash, range)
      await this.#exchange(call, { peer, request, signal }, async (header, receive) => {
        if (header.status === 'ok') options.onFirstByte?.()
        await takeRange({ peer, range, sink: target }, header, receive)
      })
    })
  }

  /**
   * Brings the bytes of a zip that an owner is still receiving, part by part: each is asked for when the
   * one before is written, so a slow sink costs no memory anywhere. Throws as `fetch` does.
   */
  fetchComing(
    peer: PeerId,
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    return this.#blaming({ peer, sink, ...options }, (target) =>
      this.#takeParts(peer, module, target, options),
    )
  }

  /** Whether something is being fetched of a peer. */
  isFetching(peer: PeerId): boolean {
    return this.#lines.has(peer)
  }

  /** Brings bytes of no meaning, to measure the link. Throws as `fetch` does. */
  async fetchProbe(
    peer: PeerId,
    length: number,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const request = { kind: 'probe', length } as const
    await this.#blaming({ peer, sink, ...options }, (target) =>
      this.#untilGiven(() => this.#takePart(peer, request, target, options), options),
    )
  }

  /** Does it when it is its turn, and makes the peer's failures PeerErrors. */
  async #blaming<T>(
    { peer, sink, signal }: { peer: PeerId; sink: ByteSink; signal: AbortSignal },
    work: (target: ByteSink) => Promise<T>,
  ): Promise<T> {
    const target = new WatchedSink(sink)
    try {
      return await this.#inLine(peer, { signal }, () => work(target))
    } catch (error) {
      signal.throwIfAborted()
      if (target.failure !== undefined) throw target.failure.error
      throw toPeerError(peer, error)
    }
  }

  async #takeParts(
    peer: PeerId,
    { path, version }: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { comingStallMs } = this.#times
    let offset = 0
    let body: number | undefined
    let cameMs = this.#clock.monotonicMs()
    for (;;) {
      const asked = { kind: 'unverified', path, version, offset } as const
      const request = body === undefined ? asked : { ...asked, body }
      const part = await this.#untilGiven(
        () => this.#takePart(peer, request, sink, options),
        options,
      )
      if (body !== undefined && part.body !== body) throw new ProtocolError('another body')
      offset += part.length
      if (offset > maxZipBytes) throw new ProtocolError('more than a zip may have')
      if (part.last) return
      body = part.body
      const nowMs = this.#clock.monotonicMs()
      if (part.length > 0) cameMs = nowMs
      else if (nowMs - cameMs < comingStallMs) {
        await this.#clock.sleep(bodyLimits.partRestMs, options)
      } else throw new NoProgressError(`nothing more for ${comingStallMs} ms`)
    }
  }

  async #takePart(
    peer: PeerId,
    request: Exclude<BodyRequest, { readonly kind: 'zip' }>,
    sink: ByteSink,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PartHeader> {
    const call = await this.#open(peer, signal)
    return await this.#exchange(call, { peer, request, signal }, async (header, receive) => {
      if (header.status === 'ok') throw new ProtocolError('a zip where a part was due')
      if (header.status !== 'part') throw new NotGivenError(header)
      const most = request.kind === 'probe' ? request.length : header.length
      if (header.length > most) throw new ProtocolError('more than was asked for')
      await receive(sink, header.length)
      return header
    })
  }

  async #inLine<T>(
    peer: PeerId,
    options: { readonly signal: AbortSignal },
    work: () => Promise<T>,
  ): Promise<T> {
    const line = this.#lines.get(peer) ?? { turns: new Turns(bodyLimits.uploadsPerPeer), users: 0 }
    this.#lines.set(peer, line)
    line.users += 1
    const late = AbortSignal.timeout(this.#times.lineMs)
    const inTime = { signal: AbortSignal.any([options.signal, late]) }
    try {
      return await line.turns.run(work, inTime)
    } catch (error) {
      throw late.aborted && error === late.reason ? new LineTooLongError() : error
    } finally {
      line.users -= 1
      if (line.users === 0) this.#lines.delete(peer)
    }
  }

  /** Asks a busy peer again, a few times: what is given to others ends, and nobody else may have it. */
  async #untilGiven<T>(
    ask: () => Promise<T>,
    options: { readonly signal: AbortSignal },
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask()
      } catch (error) {
        const isBusy = error instanceof NotGivenError && error.retryMs !== undefined
        if (!isBusy || tries >= bodyLimits.busyTries) throw error
        await this.#clock.sleep(error.retryMs, options)
      }
    }
  }

  async #open(peer: PeerId, signal: AbortSignal): Promise<BodyCall> {
    const pipe = await this.#pipes.take(peer, { signal })
    if (pipe !== undefined) return new PipeCall(pipe, () => this.#pipes.giveBack(peer, pipe))
    const stream = await this.#libp2p.dialProtocol(peerIdFromString(peer), bodyProtocol, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#times.connectMs)]),
    })
    return new StreamCall(stream)
  }

  async #transfer(
    peer: PeerId,
    zip: ZipFetch,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ZipBytes | undefined> {
    const call = await this.#open(peer, signal)
    return await this.#exchange(call, { peer, request: zip.request, signal }, (header, receive) =>
      zip.take(header, receive),
    )
  }

  #exchange<T>(
    call: BodyCall,
    {
      peer,
      ...how
    }: { readonly peer: PeerId; readonly request: BodyRequest; readonly signal: AbortSignal },
    take: (header: BodyHeader, receive: ReceiveBody) => Promise<T>,
  ): Promise<T> {
    const { receiveStallMs, farReceiveStallMs } = this.#times
    const patience = this.#isFar(peer)
      ? { stallMs: farReceiveStallMs, rate: farBodyRate }
      : { stallMs: receiveStallMs }
    return exchange({ call, clock: this.#clock }, { ...how, ...patience }, take)
  }
}

/** Remembers the sink's own failure, which is nobody else's fault. */
class WatchedSink implements ByteSink {
  readonly #sink: ByteSink
  failure: { readonly error: unknown } | undefined

  constructor(sink: ByteSink) {
    this.#sink = sink
  }

  async write(chunk: Uint8Array): Promise<void> {
    try {
      await this.#sink.write(chunk)
    } catch (error) {
      this.failure = { error }
      throw error
    }
  }
}

/** We fetch so much of a peer already that the next body did not get its turn. */
class LineTooLongError extends Error {
  readonly code = 'LINE_TOO_LONG'
  constructor() {
    super('too many fetches of this peer')
    this.name = 'LineTooLongError'
  }
}

function toPeerError(peer: PeerId, error: unknown): PeerError {
  if (error instanceof PeerError) return error
  const message = error instanceof Error ? error.message : 'transfer failed'
  return new PeerError(peer, message, { cause: error, fault: faultOf(error) })
}

function faultOf(error: unknown): PeerError['fault'] {
  if (isProtocolFault(error) || error instanceof StreamOverrunError) return 'protocol'
  if (error instanceof LineTooLongError) return 'busy'
  return error instanceof NotGivenError && error.status === 'busy' ? 'busy' : 'unable'
}
