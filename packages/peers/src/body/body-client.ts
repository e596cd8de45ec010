import { createHash } from 'node:crypto'
import type { Libp2p, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { type ByteSink, type Clock, PeerError, type PeerId } from '@modmesh/fill'
import {
  type ModuleVersion,
  maxZipBytes,
  parseZipDigest,
  type ZipDigest,
  type ZipHash,
  zipHashBytes,
} from '@modmesh/module'
import { Lanes } from '../control/lanes.ts'
import { isProtocolFault, ProtocolError } from '../errors.ts'
import { type BodyTimes, bodyLimits, bodyRate } from '../limits.ts'
import { StreamCutError, StreamOverrunError } from '../network/errors.ts'
import { receiveInto } from '../network/stream-io.ts'
import {
  type BodyHeader,
  type BodyRequest,
  bodyFraming,
  bodyProtocol,
  decodeBodyHeader,
  encodeBodyRequest,
  type UnverifiedRequest,
} from './message.ts'
import { ProgressGuard } from './progress-guard.ts'

/** A body that arrived whole: its digest was checked, its content was not. */
export interface FetchedBody {
  readonly zipDigest: ZipDigest
  readonly size: number
}

/** How a body is fetched. */
export interface FetchOptions {
  readonly signal: AbortSignal
  readonly onFirstByte?: () => void
}

type OkHeader = Extract<BodyHeader, { status: 'ok' }>
type PartHeader = Extract<BodyHeader, { status: 'part' }>

/** Fetches zips from members, connecting first where needed. */
export class BodyClient {
  readonly #libp2p: Libp2p
  readonly #clock: Clock
  readonly #times: BodyTimes
  /** What is being fetched of each peer: as many at once as it gives, the rest in line here. */
  readonly #lanes = new Map<PeerId, { readonly lanes: Lanes; users: number }>()

  constructor(
    components: { readonly libp2p: Libp2p; readonly clock: Clock },
    init: { readonly times: BodyTimes },
  ) {
    this.#libp2p = components.libp2p
    this.#clock = components.clock
    this.#times = init.times
  }

  /**
   * Brings the bytes of a zip. Throws PeerError (`protocol` when the peer broke the rules, `unable`
   * when it does not have it, is busy, went away or stalls), the sink's errors, the signal's reason.
   */
  async fetch(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: FetchOptions,
  ): Promise<FetchedBody> {
    const target = new WatchedSink(sink)
    try {
      return await this.#inLine(peer, options, () => this.#ask(peer, zipHash, target, options))
    } catch (error) {
      options.signal.throwIfAborted()
      if (target.failure !== undefined) throw target.failure.error
      throw toPeerError(peer, error)
    }
  }

  /**
   * Brings the bytes of a zip that an owner is still receiving, part by part: each is asked for when the
   * one before is written, so a slow sink costs no memory anywhere. Throws as `fetch` does.
   */
  async fetchComing(
    peer: PeerId,
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const target = new WatchedSink(sink)
    try {
      await this.#inLine(peer, options, () => this.#takeParts(peer, module, target, options))
    } catch (error) {
      options.signal.throwIfAborted()
      if (target.failure !== undefined) throw target.failure.error
      throw toPeerError(peer, error)
    }
  }

  async #takeParts(
    peer: PeerId,
    { path, version }: ModuleVersion,
    sink: WatchedSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    let offset = 0
    let body: number | undefined
    for (;;) {
      const asked = { kind: 'unverified', path, version, offset } as const
      const request = body === undefined ? asked : { ...asked, body }
      const part = await this.#takePart(peer, request, sink, options)
      if (body !== undefined && part.body !== body) throw new ProtocolError('another body')
      offset += part.length
      if (offset > maxZipBytes) throw new ProtocolError('more than a zip may have')
      if (part.last) return
      body = part.body
      if (part.length === 0) await this.#clock.sleep(bodyLimits.partRestMs, options)
    }
  }

  async #takePart(
    peer: PeerId,
    request: UnverifiedRequest,
    sink: WatchedSink,
    options: { readonly signal: AbortSignal },
  ): Promise<PartHeader> {
    const stream = await this.#open(peer, options.signal)
    const limits = { stallMs: this.#times.receiveStallMs, ...bodyRate }
    const guard = new ProgressGuard({ clock: this.#clock }, limits)
    const signal = AbortSignal.any([options.signal, guard.signal])
    try {
      const header = await askHeader(stream, request, signal)
      if (header.status === 'ok') throw new ProtocolError('a zip where a part was due')
      if (header.status !== 'part') throw new NotGivenError(header)
      await receiveInto(stream, guarded(sink, guard), { length: header.length, signal })
      await stream.close({ signal })
      return header
    } catch (error) {
      const reason = guard.signal.aborted ? guard.signal.reason : error
      stream.abort(reason instanceof Error ? reason : new Error('fetch failed'))
      throw reason
    } finally {
      guard.stop()
    }
  }

  async #inLine<T>(
    peer: PeerId,
    options: { readonly signal: AbortSignal },
    work: () => Promise<T>,
  ): Promise<T> {
    const line = this.#lanes.get(peer) ?? { lanes: new Lanes(bodyLimits.uploadsPerPeer), users: 0 }
    this.#lanes.set(peer, line)
    line.users += 1
    try {
      return await line.lanes.run(work, options)
    } finally {
      line.users -= 1
      if (line.users === 0) this.#lanes.delete(peer)
    }
  }

  /** Asks a busy peer again, a few times: without upstream nobody else may have it. */
  async #ask(
    peer: PeerId,
    zipHash: ZipHash,
    sink: WatchedSink,
    options: FetchOptions,
  ): Promise<FetchedBody> {
    for (let tries = 1; ; tries++) {
      const stream = await this.#open(peer, options.signal)
      try {
        return await this.#transfer(stream, zipHash, sink, options)
      } catch (error) {
        const isBusy = error instanceof NotGivenError && error.retryMs !== undefined
        if (!isBusy || tries >= bodyLimits.busyTries) throw error
        await this.#clock.sleep(error.retryMs, options)
      }
    }
  }

  #open(peer: PeerId, signal: AbortSignal): Promise<Stream> {
    return this.#libp2p.dialProtocol(peerIdFromString(peer), bodyProtocol, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#times.connectMs)]),
    })
  }

  async #transfer(
    stream: Stream,
    zipHash: ZipHash,
    sink: WatchedSink,
    options: FetchOptions,
  ): Promise<FetchedBody> {
    const limits = { stallMs: this.#times.receiveStallMs, ...bodyRate }
    const guard = new ProgressGuard({ clock: this.#clock }, limits)
    const signal = AbortSignal.any([options.signal, guard.signal])
    const end = new EndWatch(stream)
    try {
      const header = await readHeader(stream, zipHash, signal)
      options.onFirstByte?.()
      const zipDigest = await readBody(stream, header, { sink, guard, signal })
      await stream.close({ signal })
      return { zipDigest, size: header.length }
    } catch (error) {
      const reason = guard.signal.aborted ? guard.signal.reason : error
      stream.abort(reason instanceof Error ? reason : new Error('fetch failed'))
      throw end.explain(reason)
    } finally {
      guard.stop()
    }
  }
}

async function readHeader(
  stream: Stream,
  zipHash: ZipHash,
  signal: AbortSignal,
): Promise<OkHeader> {
  const request = { kind: 'zip', zipHash: zipHashBytes(zipHash) } as const
  const header = await askHeader(stream, request, signal)
  if (header.status === 'part') throw new ProtocolError('a part where a zip was due')
  if (header.status !== 'ok') throw new NotGivenError(header)
  return header
}

/** Asks and gives the header; the stream is at the first byte of the body then. */
async function askHeader(
  stream: Stream,
  request: BodyRequest,
  signal: AbortSignal,
): Promise<BodyHeader> {
  const frames = lpStream(stream, bodyFraming)
  await frames.write(encodeBodyRequest(request), { signal })
  const header = decodeBodyHeader((await frames.read({ signal })).subarray())
  frames.unwrap()
  return header
}

/** Counts progress while the peer sends; time in which our own disk is slow does not count. */
function guarded(sink: ByteSink, guard: ProgressGuard): ByteSink {
  return {
    async write(chunk) {
      guard.moved(chunk.byteLength)
      guard.pause()
      await sink.write(chunk)
      guard.resume()
    },
  }
}

async function readBody(
  stream: Stream,
  header: OkHeader,
  how: {
    readonly sink: WatchedSink
    readonly guard: ProgressGuard
    readonly signal: AbortSignal
  },
): Promise<ZipDigest> {
  const hash = createHash('sha256')
  const hashing: ByteSink = {
    write(chunk) {
      hash.update(chunk)
      return how.sink.write(chunk)
    },
  }
  await receiveInto(stream, guarded(hashing, how.guard), {
    length: header.length,
    signal: how.signal,
  })
  const digest = hash.digest('hex')
  if (digest !== Buffer.from(header.zipDigest).toString('hex')) {
    throw new ProtocolError('the bytes do not have the digest that was declared')
  }
  return parseZipDigest(digest)
}

/** The peer said no, politely. */
export class NotGivenError extends Error {
  readonly code = 'NOT_GIVEN'
  readonly status: Exclude<BodyHeader['status'], 'ok' | 'part'>
  /** When a busy peer may be asked again, within our own bounds. */
  readonly retryMs: number | undefined
  constructor(header: Exclude<BodyHeader, { status: 'ok' | 'part' }>) {
    super(`peer says ${header.status}`)
    this.name = 'NotGivenError'
    this.status = header.status
    if (header.status !== 'busy') return
    const { busyMinMs, busyMaxMs } = bodyLimits
    this.retryMs = Math.min(busyMaxMs, Math.max(busyMinMs, header.retryMs))
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

/** Tells a body that its sender ended too early on purpose from one that was cut by a death. */
class EndWatch {
  #isEndedByPeer = false

  constructor(stream: Stream) {
    stream.addEventListener('remoteCloseWrite', () => {
      this.#isEndedByPeer = true
    })
  }

  explain(error: unknown): unknown {
    if (!this.#isEndedByPeer || !(error instanceof StreamCutError)) return error
    return new ProtocolError('the body ends before its declared length', { cause: error })
  }
}

function toPeerError(peer: PeerId, error: unknown): PeerError {
  const isProtocol = isProtocolFault(error) || error instanceof StreamOverrunError
  const message = error instanceof Error ? error.message : 'transfer failed'
  return new PeerError(peer, message, { cause: error, fault: isProtocol ? 'protocol' : 'unable' })
}
