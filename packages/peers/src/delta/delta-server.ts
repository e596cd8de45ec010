import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import {
  type Clock,
  type DeltaOffer,
  isWholeCheaper,
  type PeerId,
  UntellableError,
} from '@modmesh/fill'
import { InvalidFileError, zipHashFromBytes } from '@modmesh/module'
import type { BodyTimes } from '../body/limits.ts'
import { bodyLimits, bodyRate } from '../body/limits.ts'
import { ProgressGuard } from '../body/progress-guard.ts'
import type { Upload, Uploads } from '../body/uploads.ts'
import { isProtocolFault, ProtocolError } from '../errors.ts'
import type { PeerShelf } from '../peer-shelf.ts'
import type { SiteLinks } from '../sites/site-links.ts'
import { FrameReader, frameKinds } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { deltaLimits } from './limits.ts'
import {
  type DeltaAnswer,
  type DeltaAsk,
  type DeltaRequest,
  decodeDeltaAsk,
  deltaProtocol,
  encodeDelta,
  type FilesRequest,
} from './message.ts'

/** What a delta server tells the node. */
interface DeltaServerOwner {
  /** What holds for bodies to its site. */
  readonly links: Pick<SiteLinks, 'isOpenTo' | 'closing' | 'giving'>
  given(peer: PeerId, bytes: number): void
  fault(peer: PeerId, reason: string): void
}

/** Tells members zips in parts, one stream per zip. */
export class DeltaServer {
  readonly #components: DeltaServerComponents
  readonly #times: BodyTimes
  readonly #stop = new AbortController()
  readonly #streams = new Set<Stream>()

  constructor(components: DeltaServerComponents, init: { readonly times: BodyTimes }) {
    this.#components = components
    this.#times = init.times
  }

  async start(): Promise<void> {
    const { libp2p } = this.#components
    await libp2p.handle(deltaProtocol, (stream, connection) => this.#serve(stream, connection), {
      maxInboundStreams: deltaLimits.streams,
      maxOutboundStreams: deltaLimits.streams,
    })
  }

  /** Resets what is running. */
  async stop(): Promise<void> {
    const reason = new Error('node stops')
    this.#stop.abort(reason)
    for (const stream of this.#streams) stream.abort(reason)
    await this.#components.libp2p.unhandle(deltaProtocol)
  }

  /** Serves one stream; never rejects. */
  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const { clock, owner } = this.#components
    const guard = new ProgressGuard({ clock }, { stallMs: this.#times.sendStallMs, ...bodyRate })
    // The time between questions is limited by itself.
    guard.pause()
    const closing = owner.links.closing(peer)
    const ends = [this.#stop.signal, guard.signal]
    // Who asks while nothing may cross gets an answer: that there is nothing.
    const isOpen = closing?.aborted === false
    const signal = AbortSignal.any(isOpen ? [...ends, closing] : ends)
    this.#streams.add(stream)
    try {
      using reader = new FrameReader(stream)
      const writer = new FrameWriter(stream, (bytes) => owner.given(peer, bytes))
      await this.#answer({ stream, reader, writer, peer, guard, signal })
      await stream.close({
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.#times.closeMs)]),
      })
    } catch (error) {
      if (isProtocolFault(error) || error instanceof InvalidFileError) {
        owner.fault(peer, 'broken delta request')
      }
      stream.abort(error instanceof Error ? error : new Error('upload failed', { cause: error }))
    } finally {
      this.#streams.delete(stream)
      guard.stop()
    }
  }

  async #answer(serving: Serving): Promise<void> {
    const request = await ask(serving, deltaLimits.firstMs)
    if (request?.kind !== 'zip') {
      return await say(serving, { status: 'unsupported' })
    }
    const { shelf, owner } = this.#components
    const isOpen = owner.links.isOpenTo(serving.peer)
    const offer = isOpen ? await shelf.offer?.(zipHashFromBytes(request.zipHash)) : undefined
    if (offer === undefined) return await say(serving, { status: 'absent' })
    const upload = this.#components.uploads.begin(serving.peer)
    if (upload === undefined)
      return await say(serving, { status: 'busy', retryMs: bodyLimits.busyMs })
    try {
      if (!(await this.#tell(serving, { request, offer, upload }))) return
      for (;;) {
        const next = await ask(serving, deltaLimits.betweenMs)
        if (next === undefined) return
        if (next.kind !== 'files') throw new ProtocolError('a second zip on one stream')
        await this.#files(serving, next, { request, offer, upload })
      }
    } finally {
      upload.end()
    }
  }

  /** Answers with the manifest, or with the whole zip; false in the latter case. */
  async #tell(serving: Serving, job: Job): Promise<boolean> {
    const told = await atWork(serving, this.#told(serving, job))
    if (told === undefined) {
      const { zip } = job.offer
      const isHere = zip.size <= deltaLimits.wholeBytes
      await say(serving, { status: 'whole', length: isHere ? zip.size : 0 })
      if (isHere) await this.#send(serving, job.upload, zip.read())
      return false
    }
    const { base, isBaseShared: shared, packed, zipBytes, newBytes, newPackedBytes } = told
    const sizes = { length: packed.length, zipBytes, newBytes, newPackedBytes }
    await say(serving, {
      status: 'manifest',
      shared,
      ...sizes,
      ...(base === undefined ? {} : { base }),
    })
    await this.#send(serving, job.upload, [packed])
    return true
  }

  /** Undefined when the zip is to be sent as it is. */
  async #told(
    { signal }: Serving,
    { request, offer }: Job,
  ): Promise<Awaited<ReturnType<DeltaOffer['tell']>> | undefined> {
    const { hasManifest } = request
    const bases = request.bases.map(({ zipHash, sketch }) => ({
      zipHash: zipHashFromBytes(zipHash),
      sketch,
    }))
    try {
      const told = await offer.tell({ bases, hasManifest }, { signal })
      const isWhole = !hasManifest && isWholeCheaper({ ...told, manifestBytes: told.packed.length })
      return isWhole ? undefined : told
    } catch (error) {
      if (error instanceof UntellableError) return undefined
      throw error
    }
  }

  async #files(
    serving: Serving,
    asked: FilesRequest,
    { request, offer, upload }: Job,
  ): Promise<void> {
    const { form, files } = asked
    const base = asked.base === undefined ? undefined : request.bases[asked.base]
    if (form === 'P' && base === undefined) throw new ProtocolError('no such base')
    await say(serving, { status: 'files' })
    const against = base && { base: zipHashFromBytes(base.zipHash) }
    const chunks = offer.files({ form, files, ...against }, { signal: serving.signal })
    await this.#send(serving, upload, chunks)
  }

  async #send(
    serving: Serving,
    upload: Upload,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const { writer, guard, signal, peer } = serving
    const around = { pause: () => guard.pause(), resume: () => guard.resume(), signal }
    const { links } = this.#components.owner
    const paced = upload.paced(lively(serving, chunks), { guard, signal })
    for await (const chunk of links.giving(peer, paced, around)) {
      guard.resume()
      await writer.data(chunk, { signal })
      guard.moved(chunk.byteLength)
      guard.pause()
      upload.sent(chunk.byteLength)
    }
    await writer.end({ signal })
  }
}

interface DeltaServerComponents {
  readonly libp2p: Libp2p
  readonly shelf: Pick<PeerShelf, 'offer'>
  readonly clock: Clock
  readonly uploads: Uploads
  readonly owner: DeltaServerOwner
}

/** One stream that is served. */
interface Serving {
  readonly stream: Stream
  readonly reader: FrameReader
  readonly writer: FrameWriter
  readonly peer: PeerId
  readonly guard: ProgressGuard
  readonly signal: AbortSignal
}

interface Job {
  readonly request: DeltaRequest
  readonly offer: DeltaOffer
  readonly upload: Upload
}

/** The next question; undefined when the asker is done, or asks what we do not know. Throws ProtocolError. */
async function ask({ reader, signal }: Serving, withinMs: number): Promise<DeltaAsk | undefined> {
  const inTime = { signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]) }
  const frame = await reader.read(inTime)
  if (frame === undefined) return undefined
  if (frame.kind !== frameKinds.message) throw new ProtocolError('data where a question was due')
  return decodeDeltaAsk(frame.bytes)
}

async function say({ writer, signal }: Serving, answer: DeltaAnswer): Promise<void> {
  await writer.message(encodeDelta(answer), { signal })
}

/** Chunks as they come; the asker is told that we work while none does. */
async function* lively(
  serving: Serving,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const source = iterate(chunks)
  try {
    for (;;) {
      const next = await atWork(serving, source.next())
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await source.return(undefined)
  }
}

async function* iterate(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, undefined> {
  yield* chunks
  return undefined
}

/** Waits for work of ours, and tells the asker meanwhile that it goes on. */
async function atWork<T>({ writer, signal }: Serving, work: Promise<T>): Promise<T> {
  for (;;) {
    const rest = new AbortController()
    const tick = restFor(deltaLimits.workingMs, rest.signal)
    const first = await Promise.race([work.then((value) => ({ value })), tick]).finally(() =>
      rest.abort(),
    )
    if (first !== undefined) return first.value
    await writer.working({ signal })
  }
}

function restFor(ms: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}
