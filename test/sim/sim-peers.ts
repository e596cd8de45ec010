import {
  type ByteSink,
  type Holder,
  type ModuleRecord,
  type OwnerAnswer,
  type OwnerChoice,
  type OwnerNotice,
  type OwnerQuestion,
  PeerError,
  type PeerId,
  type Peers,
  pickOwner,
  type SiteLink,
  type ZipBytes,
  type ZipFetchOptions,
  type ZipRange,
} from '@modmesh/fill'
import { untilAborted } from '@modmesh/fill/twins'
import {
  type ModulePath,
  type ModuleVersion,
  parseVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { SimNetwork } from './network.ts'
import type { Rng } from './rng.ts'
import { SimBody } from './sim-body.ts'
import type { SimClock } from './sim-clock.ts'
import type { SimNode } from './sim-node.ts'
import { privatePath } from './truth.ts'

/** The mesh as one life of a node sees it: asks the other nodes of the world over the network. */
export class SimPeers implements Peers {
  readonly #self: SimNode
  readonly #nodes: readonly SimNode[]
  readonly #network: SimNetwork
  readonly #clock: SimClock
  readonly #rng: Rng
  readonly #onLeak: (what: string) => void
  readonly #onSilence: (ms: number) => void
  readonly #onCrossing: (what: string) => void
  readonly #onJoined: (outcome: 'joined' | 'mismatch' | 'part') => void
  readonly #onBlame: (peer: PeerId, reason: string) => void
  readonly blamed = new Set<PeerId>()

  constructor(parts: {
    readonly self: SimNode
    readonly nodes: readonly SimNode[]
    readonly network: SimNetwork
    readonly clock: SimClock
    readonly rng: Rng
    readonly onLeak: (what: string) => void
    /** Told how long an owner was waited for without a sign of life. */
    readonly onSilence: (ms: number) => void
    /** Told of each zip that is asked of another site, and for which. */
    readonly onCrossing: (what: string) => void
    /** Told how a body came out that began at one peer and ended at another. */
    readonly onJoined: (outcome: 'joined' | 'mismatch' | 'part') => void
    readonly onBlame: (peer: PeerId, reason: string) => void
  }) {
    this.#self = parts.self
    this.#nodes = parts.nodes
    this.#network = parts.network
    this.#clock = parts.clock
    this.#rng = parts.rng
    this.#onLeak = parts.onLeak
    this.#onSilence = parts.onSilence
    this.#onJoined = parts.onJoined
    this.#onCrossing = parts.onCrossing
    this.#onBlame = parts.onBlame
  }

  isAlone(): boolean {
    return this.#connected().length === 0
  }

  sites(): readonly SiteLink[] {
    const far = this.#connected().filter((node) => node.site !== this.#self.site)
    return [...new Set(far.map(({ site }) => site))].map((site) => this.#linkTo(site))
  }

  siteOf(peer: PeerId): SiteLink | undefined {
    const site = this.#nodes.find(({ id }) => id === peer)?.site
    return site === undefined || site === this.#self.site ? undefined : this.#linkTo(site)
  }

  async *findRecords(module: ModuleVersion, options: Asking): AsyncGenerator<ModuleRecord> {
    this.#watch(module.path)
    for await (const [peer, record] of this.#ask((node) => node.giveRecord(module), options)) {
      yield { ...record, peer: peer.id }
    }
  }

  async *findVersions(
    path: ModulePath,
    options: Asking,
  ): AsyncGenerator<{ readonly peer: PeerId; readonly versions: readonly Version[] }> {
    this.#watch(path)
    for await (const [peer, versions] of this.#ask((node) => node.giveVersions(path), options)) {
      const invented = peer.role === 'liar' ? [parseVersion('v1.99.0')] : []
      yield { peer: peer.id, versions: [...versions, ...invented] }
    }
  }

  holders(zipHash: ZipHash): readonly Holder[] {
    return this.#connected()
      .filter((node) => node.role === 'liar' || node.inventory.has(zipHash))
      .map((node) => ({ peer: node.id, via: 'inventory', rttMs: 1, ...this.#far(node) }))
  }

  async *findHolders(zipHash: ZipHash, options: Asking): AsyncGenerator<Holder> {
    const has = async (node: SimNode) => (node.inventory.has(zipHash) ? true : undefined)
    for await (const [peer] of this.#ask(has, options)) {
      yield { peer: peer.id, via: 'dht', rttMs: undefined, ...this.#far(peer) }
    }
  }

  #linkTo(site: number): SiteLink {
    return { site: `site ${site}`, rttMs: this.#network.rttMs, bytesPerSecond: undefined }
  }

  #far({ site }: SimNode): { readonly far?: SiteLink } {
    return site === this.#self.site ? {} : { far: this.#linkTo(site) }
  }

  async fetchZip(
    id: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes> {
    const peer = this.#nodes.find((node) => node.id === id)!
    if (peer.site !== this.#self.site) this.#onCrossing(`${zipHash} ${this.#self.site}`)
    const bytes = await this.#call(peer, () => peer.giveZip(zipHash), options)
    if (bytes === undefined) throw new PeerError(id, 'has it no more', { fault: 'unable' })
    const whole = { zipDigest: peer.declaredDigest(zipHash, bytes), size: bytes.length }
    const body = await SimBody.begin(whole, sink, options.resume)
    options.onFirstByte?.()
    await this.#send(peer, bytes, body, options)
    if (body.isJoined) this.#onJoined(body.isTrue ? 'joined' : 'mismatch')
    if (!body.isTrue) {
      if (!body.isJoined) throw notAsDeclared(id)
      await options.resume?.onReset('mismatch')
      const anew = await SimBody.begin(whole, sink, undefined)
      await this.#send(peer, bytes, anew, options)
      if (!anew.isTrue) throw notAsDeclared(id)
    }
    return whole
  }

  async fetchRange(
    id: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    { zipDigest, start, end }: ZipRange,
    options: Asking & { readonly onFirstByte?: () => void },
  ): Promise<void> {
    const peer = this.#nodes.find((node) => node.id === id)!
    const bytes = await this.#call(peer, () => peer.giveZip(zipHash), options)
    const isSame = bytes !== undefined && peer.declaredDigest(zipHash, bytes) === zipDigest
    if (!isSame) throw new PeerError(id, 'has other bytes', { fault: 'unable' })
    options.onFirstByte?.()
    await sink.write(bytes.subarray(start, Math.min(end, start + 16)))
    if (peer.role === 'staller' && this.#rng.chance(0.5)) await this.#hangOrStall(options)
    await this.#back(peer, options)
    if (!peer.isUp) throw new PeerError(id, 'reset', { fault: 'unable' })
    if (end > start + 16) await sink.write(bytes.subarray(start + 16, end))
    this.#onJoined('part')
  }

  async #send(peer: SimNode, bytes: Uint8Array, body: SimBody, options: Asking): Promise<void> {
    await body.writeTo(bytes, 32)
    // Slow enough that others may be asked for parts.
    if (this.#rng.chance(0.3)) await this.#clock.sleep(600, options)
    if (peer.role === 'staller' && this.#rng.chance(0.5)) await this.#hangOrStall(options)
    await this.#back(peer, options)
    const isCut = peer.role !== 'honest' && this.#rng.chance(0.2)
    if (!peer.isUp || isCut) throw new PeerError(peer.id, 'reset', { fault: 'unable' })
    await body.writeTo(bytes, bytes.length)
  }

  /** Views differ: now and then a node does not see one of the others. */
  owner(key: string, { isTrusted, reach }: OwnerChoice): PeerId | undefined {
    const isNear = (node: SimNode) => node.site === this.#self.site
    const isAble = (node: SimNode) => (reach === 'upstream' ? node.canFetch : !node.canFetch)
    const seen = this.#connected().filter(
      (node) => isNear(node) && isAble(node) && isTrusted(node.id),
    )
    const names = seen.filter(() => !this.#network.isOverlooked(this.#rng)).map(({ id }) => id)
    const owner = pickOwner(key, [this.#self.id, ...names])
    return owner === this.#self.id ? undefined : owner
  }

  async askOwner(
    id: PeerId,
    question: OwnerQuestion,
    options: Asking & { readonly onNotice: (notice: OwnerNotice) => void },
  ): Promise<OwnerAnswer> {
    this.#watch('module' in question ? question.module.path : question.path)
    const owner = this.#nodes.find((node) => node.id === id)!
    const work = new AbortController()
    let heardMs = this.#clock.monotonicMs()
    const stop = () => {
      // Who was killed waits no more.
      if (!this.#clock.isDead && !work.signal.aborted)
        this.#onSilence(this.#clock.monotonicMs() - heardMs)
      work.abort(options.signal.reason)
    }
    options.signal.addEventListener('abort', stop, { once: true })
    const { signal } = work
    const onNotice = (notice: OwnerNotice) => {
      heardMs = this.#clock.monotonicMs()
      options.onNotice(notice)
    }
    try {
      void this.#hear(owner, { signal, onNotice })
      await this.#network.travel(this.#self.index, owner.index, { clock: this.#clock, signal })
      if (owner.role === 'staller' && this.#rng.chance(0.5)) await this.#hangOrStall({ signal })
      const answer = await owner.answerSite(question, this.#self.id)
      await this.#back(owner, { signal })
      return answer
    } finally {
      stop()
      options.signal.removeEventListener('abort', stop)
    }
  }

  /** Zips of this world are far too small for that. */
  async fetchComing(peer: PeerId): Promise<void> {
    throw new PeerError(peer, 'receives nothing', { fault: 'unable' })
  }

  /** An owner's signs of life; a staller's, too, now and then. */
  async #hear(
    owner: SimNode,
    options: Asking & { readonly onNotice: (notice: OwnerNotice) => void },
  ): Promise<void> {
    const isMute = owner.role === 'staller' && this.#rng.chance(0.5)
    try {
      for (;;) {
        await this.#clock.sleep(500, options)
        const isHeard = owner.isUp && !this.#network.isCut(owner.index, this.#self.index)
        if (isHeard && !isMute) options.onNotice({ bytes: 0 })
      }
    } catch {
      // Answered, or not waited for any more.
    }
  }

  blame(peer: PeerId, { reason }: { readonly reason: string }): void {
    this.#onBlame(peer, reason)
    this.blamed.add(peer)
  }

  #connected(): readonly SimNode[] {
    return this.#nodes.filter(
      (node) =>
        node !== this.#self &&
        node.isUp &&
        !this.blamed.has(node.id) &&
        !this.#network.isCut(this.#self.index, node.index),
    )
  }

  /** Answers of all connected nodes in the order of their arrival; a dead connection is noticed after 3 s. */
  async *#ask<T>(
    question: (node: SimNode) => Promise<T | undefined>,
    options: Asking,
  ): AsyncGenerator<[SimNode, T]> {
    const answers: [SimNode, T][] = []
    let open = 0
    let wake = Promise.withResolvers<void>()
    for (const node of this.#connected()) {
      open++
      const end = (answer?: T) => {
        open--
        if (answer !== undefined) answers.push([node, answer])
        wake.resolve()
      }
      this.#answerOf(node, question, options).then(end, () => end())
    }
    while (open > 0 || answers.length > 0) {
      const answer = answers.shift()
      if (answer !== undefined) yield answer
      else {
        await wake.promise
        wake = Promise.withResolvers()
      }
    }
  }

  async #answerOf<T>(
    node: SimNode,
    question: (node: SimNode) => Promise<T | undefined>,
    options: Asking,
  ): Promise<T | undefined> {
    const limit = new AbortController()
    const stop = () => limit.abort(options.signal.reason)
    if (options.signal.aborted) stop()
    options.signal.addEventListener('abort', stop, { once: true })
    const late = this.#clock.sleep(3_000, { signal: limit.signal })
    try {
      const answer = this.#call(node, () => question(node), { signal: limit.signal })
      return await Promise.race([answer, late.then(() => undefined)])
    } finally {
      stop()
      options.signal.removeEventListener('abort', stop)
    }
  }

  async #call<T>(node: SimNode, question: () => Promise<T>, options: Asking): Promise<T> {
    await this.#network.travel(this.#self.index, node.index, { clock: this.#clock, ...options })
    if (!node.isUp) throw new PeerError(node.id, 'reset', { fault: 'unable' })
    if (node.role === 'staller' && this.#rng.chance(0.5)) await this.#hangOrStall(options)
    const answer = await question()
    await this.#back(node, options)
    return answer
  }

  async #back(node: SimNode, options: Asking): Promise<void> {
    await this.#network.travel(node.index, this.#self.index, { clock: this.#clock, ...options })
  }

  /** Some ports do not even heed their signal. */
  async #hangOrStall(options: Asking): Promise<never> {
    if (this.#rng.chance(0.3)) return await new Promise(() => {})
    return await untilAborted(options.signal)
  }

  #watch(path: ModulePath): void {
    if (path === privatePath) this.#onLeak(`asked peers for ${path}`)
  }
}

function notAsDeclared(peer: PeerId): PeerError {
  return new PeerError(peer, 'not the bytes that were declared', { fault: 'protocol' })
}

type Asking = { readonly signal: AbortSignal }
