import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { RecordProof } from '../src/checksum-db.ts'
import type { Clock } from '../src/clock.ts'
import { PeerError } from '../src/errors.ts'
import { pickOwner } from '../src/owner.ts'
import type {
  Holder,
  ModuleRecord,
  OwnerAnswer,
  OwnerChoice,
  OwnerNotice,
  OwnerQuestion,
  PeerId,
  Peers,
  SiteLink,
  ZipBytes,
  ZipFetchOptions,
  ZipRange,
} from '../src/peers.ts'
import type { ByteSink } from '../src/zip-store.ts'
import { digestOf, joinedTo, MemoryBody } from './memory-body.ts'
import { untilAborted } from './memory-checksum-db.ts'

/** How a peer fails its receiver, if it does. */
export type PeerFault =
  | 'none'
  /** Never a first byte. */
  | 'stall-start'
  /** Stops half way. */
  | 'stall-body'
  /** Stops half way and ignores its signal. */
  | 'hang'
  /** Half a body, then a clean end. */
  | 'short-body'
  /** Its last byte differs. */
  | 'wrong-bytes'
  /** 1 kB a second. */
  | 'trickle'
  /** Says that it has it no more. */
  | 'refuse'
  /** Says after some seconds that it gives others something; see `busyTimes`. */
  | 'busy'
  /** Breaks the protocol. */
  | 'garbage'

/** What a peer holds and how it behaves. */
export class FakePeer {
  readonly id: PeerId
  readonly zips: Map<ZipHash, Uint8Array> = new Map()
  readonly records: Map<string, Omit<ModuleRecord, 'peer'>> = new Map()
  readonly versions: Map<ModulePath, Version[]> = new Map()
  /** How its holdings are learned. */
  via: Holder['via'] = 'inventory'
  rttMs: number | undefined = 1
  /** Time to any answer and to a first byte, ms. */
  delayMs = 1
  fault: PeerFault = 'none'
  /** Where `short-body` ends, bytes from the beginning; half way when undefined. */
  endsAt: number | undefined
  /** How often that happens. */
  endsTimes: number = Number.POSITIVE_INFINITY
  /** Where it ends when it begins anew after joined bytes were wrong; whole when undefined. */
  endsAnewAt: number | undefined
  /** The byte that differs in whatever it sends. */
  flipsAt: number | undefined
  /** What it sends, bytes per ms. */
  pace: number = Number.POSITIVE_INFINITY
  /** What is known of that before. */
  bytesPerMs: number | undefined
  usualFirstByteMs: number | undefined
  isGone = false
  /** Parts asked of it, as `start-end`. */
  readonly ranges: string[] = []
  /** How it fails those who ask for a part, if it does. */
  rangeFault: 'none' | 'refuse' | 'busy' | 'stall' | 'wrong-bytes' | 'garbage' = 'none'
  /** Whether it goes on where another one was cut. */
  resumes = true
  /** Bytes that it sent. */
  sent = 0
  /** Whether it leaves every question unanswered. */
  isSilent = false
  /** Zips asked of it. */
  asked = 0
  /** How many of these a busy one does not give. */
  busyTimes: number = Number.POSITIVE_INFINITY
  /** Whether it can ask upstream for others. */
  canFetch = false
  /** Whether it asks other sites for others, and has no upstream. */
  canRelay = false
  /** The link to it, when it is of another site. */
  far: SiteLink | undefined
  /** What it says as an owner; undefined is no answer. Beside its notices, if it sends them. */
  owns: (question: OwnerQuestion, peer: FakePeer) => Promise<OwnerAnswer | undefined> = recordOf
  /** Whether it says that it works on a question, every 500 ms. */
  sendsNotices = true
  /** What those say of the body. */
  noticeBytes = 0
  noticeMoves: number | undefined
  /** The bytes of a zip that it is still receiving. */
  coming: (() => AsyncIterable<Uint8Array>) | undefined
  /** Questions to it as the owner. */
  readonly ownerAsked: string[] = []

  constructor(id: PeerId) {
    this.id = id
  }

  holds(module: ModuleVersion, files: HeldFiles): void {
    if (files.zip !== undefined) this.zips.set(files.zip.hash, files.zip.bytes)
    this.records.set(formatModuleVersion(module), {
      module,
      info: files.info,
      mod: files.mod,
      record: files.record,
      holdsZip: files.zip !== undefined,
    })
    this.versions.set(module.path, [...(this.versions.get(module.path) ?? []), module.version])
  }
}

const none = new Uint8Array()

/** How long one that is busy lets wait, ms. */
const busyMs = 2_000

/** What a peer has of a module version. */
export interface HeldFiles {
  readonly zip?: { readonly hash: ZipHash; readonly bytes: Uint8Array }
  readonly mod?: Uint8Array
  readonly info?: Uint8Array
  readonly record?: RecordProof
}

/** Answers as an owner from what it holds. */
async function recordOf(question: OwnerQuestion, peer: FakePeer): Promise<OwnerAnswer> {
  if (!('module' in question)) return { kind: 'refused', why: 'declined' }
  const record = peer.records.get(formatModuleVersion(question.module))
  return record === undefined ? { kind: 'nothing' } : { kind: 'record', record }
}

/** A mesh in memory: scripted peers, each with its faults. */
export class MemoryPeers implements Peers {
  readonly peers: FakePeer[] = []
  readonly blamed: { readonly peer: PeerId; readonly reason: string }[] = []
  /** Questions asked, by kind. */
  readonly asked: string[] = []
  /** Our own name among the candidates. */
  self: PeerId = 'self'
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(id: PeerId): FakePeer {
    const peer = new FakePeer(id)
    this.peers.push(peer)
    return peer
  }

  /** It dies: what it was sending is cut. */
  drop(id: PeerId): void {
    const peer = this.peers.find((each) => each.id === id)
    if (peer !== undefined) peer.isGone = true
  }

  isAlone(): boolean {
    return this.peers.length === 0
  }

  sites(): readonly SiteLink[] {
    return this.peers.map(({ far }) => far).filter((far) => far !== undefined)
  }

  siteOf(peer: PeerId): SiteLink | undefined {
    return this.peers.find(({ id }) => id === peer)?.far
  }

  async *findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<ModuleRecord> {
    this.asked.push('records')
    for await (const peer of this.#answers(this.peers, options.signal)) {
      const record = peer.records.get(formatModuleVersion(module))
      if (record !== undefined) yield { ...record, peer: peer.id }
    }
  }

  async *findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<{ readonly peer: PeerId; readonly versions: readonly Version[] }> {
    this.asked.push('versions')
    for await (const peer of this.#answers(this.peers, options.signal)) {
      const versions = peer.versions.get(path)
      if (versions !== undefined) yield { peer: peer.id, versions }
    }
  }

  holders(zipHash: ZipHash): readonly Holder[] {
    return this.peers
      .filter((peer) => peer.via === 'inventory' && peer.zips.has(zipHash))
      .map(holderOf)
  }

  async *findHolders(
    zipHash: ZipHash,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<Holder> {
    this.asked.push('holders')
    const others = this.peers.filter((peer) => peer.via !== 'inventory')
    for await (const peer of this.#answers(others, options.signal)) {
      if (peer.zips.has(zipHash)) yield holderOf(peer)
    }
  }

  async fetchZip(
    id: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes> {
    const peer = this.peers.find((each) => each.id === id)
    const bytes = peer?.zips.get(zipHash)
    if (peer === undefined || bytes === undefined) throw unable(id, 'has it no more')
    if (peer.isGone) throw unable(id, 'gone')
    peer.asked++
    if (peer.fault === 'stall-start') await untilAborted(options.signal)
    await this.#clock.sleep(peer.delayMs, options)
    if (peer.fault === 'refuse') throw unable(id, 'refused')
    if (peer.fault === 'busy' && peer.asked <= peer.busyTimes) {
      await this.#clock.sleep(busyMs, options)
      throw new PeerError(id, 'busy', { fault: 'busy' })
    }
    if (peer.fault === 'garbage') {
      throw new PeerError(id, 'sent a frame that is none', { fault: 'protocol' })
    }
    const zipDigest = digestOf(bytes)
    const came = peer.resumes ? joinedTo(bytes, options) : none
    if (came.length === 0 && options.resume?.from !== undefined) {
      await options.resume.onReset('other-bytes')
    }
    const counted = this.#counted(peer, sink)
    const body = new MemoryBody(zipDigest, counted, came)
    const whole = { zipDigest, size: bytes.length }
    options.resume?.onBody(() => body.point(), whole)
    options.onFirstByte?.()
    await this.#send(peer, bytes, body, options.signal)
    if (came.length > 0 && digestOf(body.bytes) !== zipDigest) {
      await options.resume?.onReset('mismatch')
      const anew = new MemoryBody(zipDigest, counted, none)
      options.resume?.onBody(() => anew.point(), whole)
      if (peer.endsAnewAt !== undefined) {
        await anew.write(bytes.subarray(0, peer.endsAnewAt))
        throw unable(id, 'ended early')
      }
      await this.#send(peer, bytes, anew, options.signal)
    }
    return whole
  }

  async fetchRange(
    id: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    range: ZipRange,
    options: Omit<ZipFetchOptions, 'resume'>,
  ): Promise<void> {
    const peer = this.peers.find((each) => each.id === id)
    const bytes = peer?.zips.get(zipHash)?.slice()
    if (peer === undefined || bytes === undefined) throw unable(id, 'has it no more')
    if (peer.isGone) throw unable(id, 'gone')
    peer.ranges.push(`${range.start}-${range.end}`)
    if (peer.fault === 'stall-start') await untilAborted(options.signal)
    await this.#clock.sleep(peer.delayMs, options)
    const { rangeFault, fault } = peer
    if (rangeFault === 'busy' || fault === 'busy')
      throw new PeerError(id, 'busy', { fault: 'busy' })
    if (rangeFault === 'garbage') throw new PeerError(id, 'sent garbage', { fault: 'protocol' })
    if (rangeFault === 'refuse' || fault === 'refuse' || !peer.resumes) throw unable(id, 'refused')
    if (digestOf(bytes) !== range.zipDigest) throw unable(id, 'has other bytes')
    options.onFirstByte?.()
    if (rangeFault === 'stall') await untilAborted(options.signal)
    if (rangeFault === 'wrong-bytes') flip(bytes, range.start)
    const counted = this.#counted(peer, sink)
    await this.#paced(peer, bytes.subarray(range.start, range.end), counted, options.signal)
  }

  /** Sends at the pace of the peer, four times a second. */
  async #paced(
    peer: FakePeer,
    bytes: Uint8Array,
    sink: ByteSink,
    signal: AbortSignal,
  ): Promise<void> {
    if (!Number.isFinite(peer.pace)) return await sink.write(bytes)
    const step = Math.ceil(peer.pace * 250)
    for (let at = 0; at < bytes.length; at += step) {
      await this.#clock.sleep(250, { signal })
      if (peer.isGone) throw unable(peer.id, 'reset')
      await sink.write(bytes.subarray(at, at + step))
    }
  }

  #counted(peer: FakePeer, sink: ByteSink): ByteSink {
    return {
      write(chunk) {
        peer.sent += chunk.length
        return sink.write(chunk)
      },
    }
  }

  owner(key: string, { isTrusted, reach }: OwnerChoice): PeerId | undefined {
    const able = this.peers.filter(
      ({ id, canFetch, canRelay }) => (reach === 'upstream' ? canFetch : canRelay) && isTrusted(id),
    )
    const names = able.map(({ id }) => id)
    const owner = pickOwner(key, [this.self, ...names])
    return owner === this.self ? undefined : owner
  }

  async askOwner(
    id: PeerId,
    question: OwnerQuestion,
    options: { readonly signal: AbortSignal; readonly onNotice: (notice: OwnerNotice) => void },
  ): Promise<OwnerAnswer> {
    const peer = this.peers.find((each) => each.id === id)
    if (peer === undefined) throw unable(id, 'gone')
    peer.ownerAsked.push(nameOf(question))
    const work = new AbortController()
    const stop = () => work.abort(options.signal.reason)
    options.signal.addEventListener('abort', stop, { once: true })
    const tell = this.#tell(peer, { signal: work.signal, onNotice: options.onNotice })
    try {
      await this.#clock.sleep(peer.delayMs, options)
      const answer = peer.isSilent ? undefined : await peer.owns(question, peer)
      return answer ?? (await untilAborted(options.signal))
    } finally {
      work.abort(new Error('answered'))
      options.signal.removeEventListener('abort', stop)
      await tell
    }
  }

  async fetchComing(
    id: PeerId,
    _module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const peer = this.peers.find((each) => each.id === id)
    if (peer?.coming === undefined) throw unable(id, 'receives nothing')
    for await (const chunk of peer.coming()) {
      options.signal.throwIfAborted()
      await sink.write(chunk)
    }
  }

  async #tell(
    peer: FakePeer,
    options: { readonly signal: AbortSignal; readonly onNotice: (notice: OwnerNotice) => void },
  ): Promise<void> {
    try {
      for (;;) {
        await this.#clock.sleep(500, options)
        if (peer.sendsNotices && !peer.isSilent) {
          options.onNotice({ bytes: peer.noticeBytes, moves: peer.noticeMoves })
        }
      }
    } catch {
      // Told to stop.
    }
  }

  blame(peer: PeerId, what: { readonly module: ModuleVersion; readonly reason: string }): void {
    this.blamed.push({ peer, reason: what.reason })
  }

  async #send(
    peer: FakePeer,
    held: Uint8Array,
    body: MemoryBody,
    signal: AbortSignal,
  ): Promise<void> {
    const bytes = held.slice()
    if (peer.fault === 'wrong-bytes') flip(bytes, bytes.length - 1)
    if (peer.flipsAt !== undefined) flip(bytes, peer.flipsAt)
    const half = Math.max(body.size, peer.endsAt ?? bytes.length >> 1)
    if (Number.isFinite(peer.pace)) {
      return await this.#paced(peer, bytes.subarray(body.size), body, signal)
    }
    if (peer.fault === 'trickle') return await this.#trickle(bytes, body, signal)
    await body.write(bytes.subarray(body.size, half))
    if (peer.fault === 'stall-body') await untilAborted(signal)
    if (peer.fault === 'hang') await new Promise(() => {})
    if (peer.fault === 'short-body' && peer.asked <= peer.endsTimes) {
      throw unable(peer.id, 'ended early')
    }
    await body.write(bytes.subarray(half))
  }

  async #trickle(bytes: Uint8Array, body: MemoryBody, signal: AbortSignal): Promise<void> {
    for (let at = body.size; at < bytes.length; at += 1000) {
      await body.write(bytes.subarray(at, at + 1000))
      await this.#clock.sleep(1000, { signal })
    }
  }

  /** Peers in the order in which they answer. */
  async *#answers(peers: readonly FakePeer[], signal: AbortSignal): AsyncGenerator<FakePeer> {
    const startedMs = this.#clock.monotonicMs()
    const inOrder = [...peers].sort((a, b) => a.delayMs - b.delayMs)
    for (const peer of inOrder) {
      if (peer.isSilent) continue
      const leftMs = startedMs + peer.delayMs - this.#clock.monotonicMs()
      if (leftMs > 0) await this.#clock.sleep(leftMs, { signal })
      yield peer
    }
    if (peers.some((peer) => peer.isSilent)) await untilAborted(signal)
  }
}

function holderOf({ id, via, rttMs, far, bytesPerMs, usualFirstByteMs }: FakePeer): Holder {
  const seen = { peer: id, via, rttMs, bytesPerMs, usualFirstByteMs }
  return far === undefined ? seen : { ...seen, far }
}

function nameOf(question: OwnerQuestion): string {
  if ('module' in question) return `${question.what} ${formatModuleVersion(question.module)}`
  return `${question.what} ${question.path}`
}

function flip(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1
}

function unable(peer: PeerId, message: string): PeerError {
  return new PeerError(peer, message, { fault: 'unable' })
}
