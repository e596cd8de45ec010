import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import { answerSite, type SiteWays } from './answer-site.ts'
import type { ProvenSums } from './checksum-db.ts'
import { asError, FillClosedError, ModuleNotFoundError, NoProofError } from './errors.ts'
import { type FillComponents, FillContext, type FillInit } from './fill-context.ts'
import type { FillKind, Source } from './fill-event.ts'
import { fillInfo, fillMod, fillSums } from './fill-metadata.ts'
import {
  changingRequest,
  type FillRequest,
  keyOf,
  nameOf,
  type PartRequest,
  partRequest,
} from './fill-request.ts'
import { fillZip, relayZip } from './fill-zip.ts'
import { maxHotPartBytes, maxHotParts } from './limits.ts'
import { MemoryLevel } from './memory-level.ts'
import type { Answer, AskOptions, ModuleSource } from './module-source.ts'
import { MutableAnswers } from './mutable-answers.ts'
import { NegativeAnswers } from './negative-answers.ts'
import { notInStore } from './not-found.ts'
import { OwnerFlight, type Ways } from './owner-flight.ts'
import type {
  ChangingQuestion,
  OwnerAnswer,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  PeerId,
  ZipPart,
} from './peers.ts'
import { relayPart, relaySums } from './relay.ts'
import { abortable } from './scope.ts'
import type { HeldZip } from './zip-store.ts'

/** Answers every question about modules: from the store, else by a fill that equal requests share. */
export class ModuleFill implements ModuleSource, AsyncDisposable {
  readonly #ctx: FillContext
  readonly #closing = new AbortController()
  readonly #zips: OwnerFlight<Answer<HeldZip>>
  readonly #bodies: OwnerFlight<Answer<Uint8Array>>
  readonly #sums: OwnerFlight<ProvenSums>
  readonly #hot = new MemoryLevel<Uint8Array>({ entries: maxHotParts, bytes: maxHotPartBytes })
  readonly #negatives: NegativeAnswers
  readonly #mutables: MutableAnswers

  constructor(components: FillComponents, init: FillInit) {
    this.#ctx = new FillContext(components, init, this.#closing.signal)
    const ctx = this.#ctx
    this.#zips = new OwnerFlight(ctx)
    this.#bodies = new OwnerFlight(ctx)
    this.#sums = new OwnerFlight(ctx)
    this.#negatives = new NegativeAnswers(ctx, { ttlMs: init.negativeTtlMs })
    const parts = { ctx, answers: components.answers, negatives: this.#negatives }
    const prove = (module: ModuleVersion, options: AskOptions) => this.sums(module, options)
    const findInfo = async (module: ModuleVersion, options: AskOptions) =>
      (await this.#findPart('info', module, options)).value
    this.#mutables = new MutableAnswers(parts, { ttlMs: init.ttlMs, prove, findInfo })
  }

  async zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>> {
    const asked = partRequest('zip', module, options)
    return await this.#answer(asked, sizeOfZip, async () => {
      const held = await this.#ctx.findZip(module)
      if (held !== undefined) return { value: held, source: { kind: 'store' } }
      return await this.#joinZip(asked)
    })
  }

  async mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#part('mod', module, options)
  }

  async info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#part('info', module, options)
  }

  async list(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#mutable({ what: 'list', path }, options)
  }

  async latest(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#mutable({ what: 'latest', path }, options)
  }

  async query(path: ModulePath, query: string, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#mutable({ what: 'query', path, query }, options)
  }

  /** What memory alone can answer, without a wait: the same as asking, for those who ask often. */
  peek(
    what: Exclude<FillKind, 'zip'>,
    path: ModulePath,
    version: string | undefined,
  ): Answer<Uint8Array> | undefined {
    if (this.#closing.signal.aborted) return undefined
    const key = keyOf({ what, path, version })
    const answer = this.#hotPart(key) ?? this.#mutables.now(key)
    if (answer === undefined) return undefined
    const { source, value } = answer
    const bytes = value.length
    this.#ctx.emit({ kind: 'answered', what, path, version, source, bytes, tookMs: 0 })
    return answer
  }

  /** Makes the hashes of a module version known and proven, from peers or the database. */
  async sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    this.#throwIfClosed()
    const known = await this.#ctx.checksumDb.known(module)
    if (known?.mod !== undefined) return known
    const name = formatModuleVersion(module)
    if (options.cachedOnly === true) throw notInStore(name)
    if (!this.#ctx.isProvable(module.path)) throw new NoProofError(module)
    const ways: Ways<ProvenSums> = {
      relay: (owner, scope) => relaySums(this.#ctx, module, 'mod', owner, scope),
      direct: () => fillSums(this.#ctx, module, this.#closing),
    }
    return await this.#sums.join({ ...module, key: name, name }, ways, options)
  }

  /** Answers a member of our site that takes us for the owner, never by asking another owner. */
  async answerSite(
    question: OwnerQuestion,
    asker: { readonly peer: PeerId; readonly signal: AbortSignal },
  ): Promise<OwnerAnswer> {
    if (this.#closing.signal.aborted) return { kind: 'refused', why: 'failed' }
    return await answerSite(this.#ctx, this.#site, question, asker)
  }

  /** The next part of a zip that we are receiving, for a member of our site; undefined when there is none. */
  async sitePart(
    module: ModuleVersion,
    asked: PartAsked,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipPart | undefined> {
    return this.#ctx.isProvable(module.path)
      ? await this.#ctx.parts.next(module, asked, options)
      : undefined
  }

  /** How far we are with what a member of our site waits for. */
  siteNotice(question: OwnerQuestion): OwnerNotice {
    return { bytes: question.what === 'zip' ? this.#ctx.parts.bytesOf(question.module) : 0 }
  }

  /** Drops what memory holds of a module version, after the store did. */
  forget(module: ModuleVersion): void {
    for (const what of ['mod', 'info'] as const) {
      this.#hot.delete(keyOf({ what, ...module }))
    }
  }

  /** Aborts fills in flight; resolves when all of them have ended and nothing is left behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new FillClosedError())
    await Promise.all([this.#zips, this.#bodies, this.#sums].map((flights) => flights.settled()))
    await this.#mutables.settled()
    await this.#ctx.writeBack?.[Symbol.asyncDispose]()
    await this.#ctx.settled()
  }

  async #joinZip(asked: PartRequest): Promise<Answer<HeldZip>> {
    const { module } = asked
    return await this.#join(this.#zips, asked, {
      relay: (owner, scope) => relayZip(this.#ctx, module, owner, scope),
      direct: () => fillZip(this.#ctx, module, this.#closing),
    })
  }

  async #part(
    what: 'mod' | 'info',
    module: ModuleVersion,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const asked = partRequest(what, module, options)
    return await this.#answer(asked, sizeOfBody, () => this.#findPart(what, module, options))
  }

  async #findPart(
    what: 'mod' | 'info',
    module: ModuleVersion,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const asked = partRequest(what, module, options)
    const key = keyOf(asked)
    const hot = this.#hotPart(key)
    if (hot !== undefined) return hot
    const held = (await this.#ctx.findRecord(module))?.[what]
    const fill = what === 'mod' ? fillMod : fillInfo
    const ways: Ways<Answer<Uint8Array>> = {
      relay: (owner, scope) => relayPart(this.#ctx, module, what, owner, scope),
      direct: () => fill(this.#ctx, module, this.#closing),
    }
    const answer: Answer<Uint8Array> =
      held === undefined
        ? await this.#join(this.#bodies, asked, ways)
        : { value: held.bytes, source: { kind: 'store' } }
    this.#hot.set(key, answer.value, answer.value.length)
    return answer
  }

  #hotPart(key: string): Answer<Uint8Array> | undefined {
    const value = this.#hot.get(key)
    return value && { value, source: fromMemory }
  }

  readonly #site: SiteWays = {
    zip: async (module, options) => {
      if ((await this.#ctx.findZip(module)) !== undefined) return
      const asked = partRequest('zip', module, options)
      this.#offerRemote(asked, (await this.#joinZip(asked)).source)
    },
    part: async (what, module, options) => {
      const { source } = await this.#findPart(what, module, options)
      this.#offerRemote(partRequest(what, module, options), source)
    },
    sums: (module, options) => this.sums(module, options),
    mutable: (question, options) => this.#mutables.forSite(question, options),
  }

  async #mutable(question: ChangingQuestion, options: AskOptions): Promise<Answer<Uint8Array>> {
    const find = () => this.#mutables.find(question, options)
    return await this.#answer(changingRequest(question, options), sizeOfBody, find)
  }

  /** Joins the fill under way, unless it is known that there is nothing. */
  async #join<T>(flights: OwnerFlight<T>, asked: PartRequest, ways: Ways<T>): Promise<T> {
    const { module, options } = asked
    const key = keyOf(asked)
    if (options.cachedOnly === true) throw notInStore(nameOf(asked))
    const nothing = this.#negatives.find(key)
    if (nothing !== undefined) throw nothing
    const direct = () => this.#fly(key, module.path, ways.direct)
    const subject = { ...module, key, name: nameOf(asked) }
    return await flights.join(subject, { ...ways, direct }, options)
  }

  async #fly<T>(key: string, path: ModulePath, fill: () => Promise<T>): Promise<T> {
    try {
      return await fill()
    } catch (error) {
      if (error instanceof ModuleNotFoundError) this.#negatives.remember(key, path, error)
      throw error
    }
  }

  /** Runs one request and tells how it ended. */
  async #answer<T>(
    asked: FillRequest,
    sizeOf: (value: T) => number,
    run: () => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    this.#throwIfClosed()
    const { what, path, version, options } = asked
    const startedMs = this.#ctx.clock.monotonicMs()
    const tookMs = () => this.#ctx.clock.monotonicMs() - startedMs
    try {
      const answer = await abortable(run(), options.signal)
      const bytes = sizeOf(answer.value)
      const { source } = answer
      this.#ctx.emit({ kind: 'answered', what, path, version, source, bytes, tookMs: tookMs() })
      this.#offerRemote(asked, source)
      return answer
    } catch (cause) {
      const error = asError(cause)
      const known = this.#negatives.has(error) ? ({ isRemembered: true } as const) : {}
      this.#ctx.emit({ kind: 'failed', what, path, version, error, ...known, tookMs: tookMs() })
      throw error
    }
  }

  /** What was answered once more from the store may be new to a remote store, too: of zips, one look is cheap. */
  #offerRemote({ what, module }: FillRequest, source: Source): void {
    const isNew = source.kind !== 'store'
    if (module !== undefined && (isNew || what === 'zip')) {
      this.#ctx.writeBack?.offer(module, { isNew })
    }
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new FillClosedError()
  }
}

const fromMemory: Source = { kind: 'store', level: 'memory' }

function sizeOfZip(zip: HeldZip): number {
  return zip.size
}

function sizeOfBody(bytes: Uint8Array): number {
  return bytes.length
}
