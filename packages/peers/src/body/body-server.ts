import { randomBytes } from 'node:crypto'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { Clock, HeldZip, PeerId, ZipPart } from '@modmesh/fill'
import { parseModuleVersion, type ZipHash, zipHashFromBytes } from '@modmesh/module'
import { validOrUndefined } from '../control/answer-desk.ts'
import { contentKey } from '../control/content-set.ts'
import type { OwnInventory } from '../control/own-inventory.ts'
import { isProtocolFault } from '../errors.ts'
import type { PeerShelf, SiteFetcher } from '../peer-shelf.ts'
import { PipeHost } from '../pipe/pipe-host.ts'
import type { PipeDoor } from '../pipe/pipe-tls.ts'
import type { PrivateSide } from '../private/private-side.ts'
import type { SiteLinks } from '../sites/site-links.ts'
import { PipeReply } from './by-pipe.ts'
import { StreamReply } from './by-stream.ts'
import { type BodyTimes, bodyLimits, bodyRate, farBodyRate } from './limits.ts'
import {
  type BodyHeader,
  type BodyRequest,
  bodyProtocol,
  decodeBodyRequest,
  encodeBodyHeader,
  type UnverifiedRequest,
  type ZipRequest,
} from './message.ts'
import { ProgressGuard } from './progress-guard.ts'
import type { Upload, Uploads } from './uploads.ts'
import type { BodyReply } from './wire.ts'

/** What a body server tells the node. */
export interface BodyServerOwner {
  /** Whether we may be the owner for a peer. */
  isSameSite(peer: PeerId): boolean
  /** What holds for bodies to its site. */
  readonly links: Pick<SiteLinks, 'isOpenTo' | 'closing' | 'giving'>
  given(peer: PeerId, bytes: number): void
  fault(peer: PeerId, reason: string): void
}

/** Gives members the zips on the shelf, over pipes or one stream per body. */
export class BodyServer {
  readonly #libp2p: Libp2p
  readonly #shelf: Pick<PeerShelf, 'findContent'>
  readonly #privates: Pick<PrivateSide, 'findContent'> | undefined
  readonly #own: Pick<OwnInventory, 'isComplete' | 'has'> | undefined
  readonly #fetcher: Pick<SiteFetcher, 'part'> | undefined
  readonly #clock: Clock
  readonly #uploads: Uploads
  readonly #owner: BodyServerOwner
  readonly #times: BodyTimes
  readonly #stop = new AbortController()
  readonly #streams = new Set<Stream>()
  readonly #pipes: PipeHost

  constructor(
    components: {
      readonly libp2p: Libp2p
      readonly door: PipeDoor
      readonly shelf: Pick<PeerShelf, 'findContent'>
      /** What some members may have besides. */
      readonly privates?: Pick<PrivateSide, 'findContent'> | undefined
      /** What is on the shelf, once that is known: for the rest nobody looks at the disk. */
      readonly own?: Pick<OwnInventory, 'isComplete' | 'has'> | undefined
      readonly fetcher?: Pick<SiteFetcher, 'part'> | undefined
      readonly clock: Clock
      readonly uploads: Uploads
      readonly owner: BodyServerOwner
    },
    init: { readonly times: BodyTimes },
  ) {
    this.#libp2p = components.libp2p
    this.#shelf = components.shelf
    this.#privates = components.privates
    this.#own = components.own
    this.#fetcher = components.fetcher
    this.#clock = components.clock
    this.#uploads = components.uploads
    this.#owner = components.owner
    this.#times = init.times
    const { libp2p, door } = components
    this.#pipes = new PipeHost({
      libp2p,
      door,
      answer: (pipe, peer) => this.#answers(new PipeReply(pipe), peer),
    })
  }

  async start(): Promise<void> {
    await this.#libp2p.handle(
      bodyProtocol,
      (stream, connection) => this.#serve(stream, connection),
      {
        maxInboundStreams: bodyLimits.streams,
        maxOutboundStreams: bodyLimits.streams,
      },
    )
    await this.#pipes.start()
  }

  /** Resets what is running: an end in good order would look like a short body sent on purpose. */
  async stop(): Promise<void> {
    const reason = new Error('node stops')
    this.#stop.abort(reason)
    for (const stream of this.#streams) stream.abort(reason)
    await this.#pipes.stop()
    await this.#libp2p.unhandle(bodyProtocol)
  }

  /** Serves one stream; never rejects. */
  async #serve(stream: Stream, connection: Connection): Promise<void> {
    this.#streams.add(stream)
    const isAnswered = await this.#answers(
      new StreamReply(stream),
      connection.remotePeer.toString(),
    )
    this.#streams.delete(stream)
    if (!isAnswered) stream.abort(new Error('upload failed'))
  }

  /** Answers one question; never rejects, but is false when the way it came is of no use any more. */
  async #answers(reply: BodyReply, peer: PeerId): Promise<boolean> {
    const rate = this.#owner.isSameSite(peer) ? bodyRate : farBodyRate
    const guard = new ProgressGuard(
      { clock: this.#clock },
      { stallMs: this.#times.sendStallMs, ...rate },
    )
    const closing = this.#owner.links.closing(peer)
    const ends = [this.#stop.signal, guard.signal]
    // Who asks while nothing may cross gets an answer: that there is nothing.
    const isOpen = closing?.aborted === false
    const signal = AbortSignal.any(isOpen ? [...ends, closing] : ends)
    try {
      await this.#answer(reply, { peer, guard, signal })
      return true
    } catch (error) {
      if (isProtocolFault(error)) this.#owner.fault(peer, 'broken body request')
      return false
    } finally {
      guard.stop()
    }
  }

  async #answer(reply: BodyReply, how: Serving): Promise<void> {
    const request = decodeBodyRequest(await reply.read({ signal: how.signal }))
    const isGiven = this.#owner.links.isOpenTo(how.peer)
    const found = isGiven ? await this.#find(request, how) : absent
    const upload = found.chunks && this.#uploads.begin(how.peer)
    const { header, chunks } = found.chunks !== undefined && upload === undefined ? busy : found
    try {
      await reply.write(encodeBodyHeader(header), { signal: how.signal })
      let { signal } = how
      let sent = 0
      if (upload !== undefined && chunks !== undefined) {
        sent = await this.#send(reply, { upload, chunks }, how)
        how.guard.stop()
        signal = AbortSignal.any([signal, AbortSignal.timeout(this.#times.closeMs)])
      }
      // Until then it has the slot.
      await reply.finish({ signal, isShort: sent < bytesAfter(header) })
    } finally {
      upload?.end()
    }
  }

  async #find(request: BodyRequest | undefined, how: Serving): Promise<Found> {
    if (request?.kind === 'unverified') return await this.#findPart(request, how)
    if (request?.kind === 'probe') return probe(request.length)
    if (request === undefined) return { header: { status: 'unsupported' }, chunks: undefined }
    const zip = await this.#findZip(zipHashFromBytes(request.zipHash), how.peer)
    return zip === undefined ? absent : foundZip(zip, request)
  }

  /** How long it takes to say no must not tell whether there is one that the peer may not have. */
  async #findZip(zipHash: ZipHash, peer: PeerId): Promise<HeldZip | undefined> {
    const mayBeHeld = this.#own?.isComplete !== true || this.#own.has(contentKey(zipHash))
    const zip = mayBeHeld ? await this.#shelf.findContent(zipHash) : undefined
    return zip ?? (await this.#privates?.findContent(peer, zipHash))
  }

  async #findPart(
    { path, version, offset, body }: UnverifiedRequest,
    { peer, signal }: Serving,
  ): Promise<Found> {
    const module = validOrUndefined(() => parseModuleVersion(path, version))
    const fetcher = this.#owner.isSameSite(peer) ? this.#fetcher : undefined
    const part: ZipPart | undefined =
      module && (await fetcher?.part(module, { body, offset }, { signal }))
    if (part === undefined) return absent
    const { length, isLast: last, chunks } = part
    const header = { status: 'part', body: part.body, length, last } as const
    return { header, chunks: length === 0 ? undefined : chunks }
  }

  async #send(
    reply: BodyReply,
    { upload, chunks }: { readonly upload: Upload; readonly chunks: AsyncIterable<Uint8Array> },
    how: Serving,
  ): Promise<number> {
    let sent = 0
    const onProgress = (bytes: number): void => {
      how.guard.moved(bytes - sent)
      upload.sent(bytes - sent)
      this.#owner.given(how.peer, bytes - sent)
      sent = bytes
    }
    const { guard, signal } = how
    const paced = upload.paced(chunks, how)
    const around = { pause: () => guard.pause(), resume: () => guard.resume(), signal }
    const given = this.#owner.links.giving(how.peer, paced, around)
    await reply.send(given, { signal, onProgress })
    return sent
  }
}

/** One stream that is served. */
interface Serving {
  readonly peer: PeerId
  readonly guard: ProgressGuard
  readonly signal: AbortSignal
}

interface Found {
  readonly header: BodyHeader
  readonly chunks: AsyncIterable<Uint8Array> | undefined
}

const busy: Found = {
  header: { status: 'busy', retryMs: bodyLimits.busyMs },
  chunks: undefined,
}

const absent: Found = { header: { status: 'absent' }, chunks: undefined }

/** Bytes of the body that a header announces. */
function bytesAfter(header: BodyHeader): number {
  if (header.status === 'ok') return (header.end ?? header.length) - (header.offset ?? 0)
  return header.status === 'part' ? header.length : 0
}

/** Bytes that no link can make shorter. */
function probe(length: number): Found {
  const noise = randomBytes(Math.min(length, bodyLimits.chunkBytes))
  const chunks = async function* () {
    for (let left = length; left > 0; left -= noise.byteLength) yield noise.subarray(0, left)
  }
  const header = { status: 'part', body: 0, length, last: true } as const
  return { header, chunks: length === 0 ? undefined : chunks() }
}

/** What the asker has not of the same bytes, else all of the zip. */
function foundZip(
  zip: HeldZip,
  { offset = 0, zipDigest: theirs, end = zip.size }: ZipRequest,
): Found {
  const zipDigest = Uint8Array.from(Buffer.from(zip.zipDigest, 'hex'))
  const header = { status: 'ok', length: zip.size, zipDigest } as const
  const isSame = theirs !== undefined && zipDigest.every((byte, at) => byte === theirs[at])
  const isPart = offset > 0 || end < zip.size
  if (!isSame || !isPart || offset > end || end > zip.size) return { header, chunks: zip.read() }
  const ends = end < zip.size ? { end } : {}
  const starts = offset > 0 ? { offset } : {}
  return { header: { ...header, ...starts, ...ends }, chunks: zip.read({ start: offset, end }) }
}
