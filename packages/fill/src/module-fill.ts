import type { ModulePath, ModuleVersion } from '@modmesh/module'
import { answerSite, type SiteWays } from './answer-site.ts'
import type { ProvenSums } from './checksum-db.ts'
import { asError, FillClosedError } from './errors.ts'
import { FarAhead } from './far-ahead.ts'
import { type FillComponents, FillContext, type FillInit } from './fill-context.ts'
import type { FillKind, Source } from './fill-event.ts'
import {
  changingRequest,
  type FillRequest,
  keyOf,
  type PartRequest,
  partRequest,
} from './fill-request.ts'
import type { Answer, AskOptions, ModuleSource } from './module-source.ts'
import { MutableAnswers } from './mutable-answers.ts'
import { NegativeAnswers } from './negative-answers.ts'
import { PartAnswers } from './part-answers.ts'
import type {
  ChangingQuestion,
  OwnerAnswer,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  PeerId,
  ZipPart,
} from './peers.ts'
import { ReadAhead } from './read-ahead.ts'
import { abortable } from './scope.ts'
import type { HeldZip } from './zip-store.ts'

/** Answers every question about modules: from the store, else by a fill that equal requests share. */
export class ModuleFill implements ModuleSource, AsyncDisposable {
  readonly #ctx: FillContext
  readonly #closing = new AbortController()
  readonly #negatives: NegativeAnswers
  readonly #parts: PartAnswers
  readonly #mutables: MutableAnswers
  readonly #ahead: ReadAhead
  readonly #farAhead: FarAhead

  constructor(components: FillComponents, init: FillInit) {
    const ctx = new FillContext(components, init, this.#closing.signal)
    const negatives = new NegativeAnswers(ctx, { ttlMs: init.negativeTtlMs })
    const parts = new PartAnswers({ ctx, negatives })
    const { answers } = components
    const { ttlMs } = init
    this.#ctx = ctx
    this.#negatives = negatives
    this.#parts = parts
    this.#mutables = new MutableAnswers({ ctx, answers, negatives, parts }, { ttlMs })
    const bring = (module: ModuleVersion) => parts.zipAhead(module)
    this.#ahead = new ReadAhead({ ctx, bring })
    const options = { signal: this.#closing.signal }
    const bringFar = (module: ModuleVersion) => parts.zip(partRequest('zip', module, options))
    this.#farAhead = new FarAhead({ ctx, bring: bringFar })
  }

  async zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>> {
    const asked = partRequest('zip', module, options)
    const brought = options.cachedOnly === true ? undefined : this.#lookAhead(module)
    return await this.#answer(asked, sizeOfZip, async () => {
      const answer = await this.#parts.zip(asked)
      // For who asks it is the first time: it came from where it was brought from.
      const isBrought = brought !== undefined && answer.source.kind === 'store'
      return isBrought ? { ...answer, source: brought } : answer
    })
  }

  async mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#file(partRequest('mod', module, options))
  }

  async info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#file(partRequest('info', module, options))
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
    const answer = this.#parts.now(key) ?? this.#mutables.now(key)
    if (answer === undefined) return undefined
    const { source, value } = answer
    const bytes = value.length
    this.#ctx.emit({ kind: 'answered', what, path, version, source, bytes, tookMs: 0 })
    return answer
  }

  /** Makes the hashes of a module version known and proven, from peers or the database. */
  async sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    this.#throwIfClosed()
    return await this.#parts.sums(module, options)
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
    const { parts, farTurns, linkLooks } = this.#ctx
    if (question.what !== 'zip') return { bytes: 0, moves: linkLooks }
    const { bytes, moves } = parts.progressOf(question.module)
    // While it waits for its turn, those before it show that the link carries.
    return { bytes, moves: moves + farTurns.begun + linkLooks }
  }

  /** Drops what memory holds of a module version, after the store did. */
  forget(module: ModuleVersion): void {
    this.#parts.forget(module)
  }

  /** Aborts fills in flight; resolves when all of them have ended and nothing is left behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new FillClosedError())
    await this.#parts.settled()
    await this.#mutables.settled()
    await this.#ctx.writeBack?.[Symbol.asyncDispose]()
    await this.#ctx.settled()
  }

  /** Brings what is likely to be asked for next; tells where this one came from, if it was brought so. */
  #lookAhead(module: ModuleVersion): Source | undefined {
    const near = this.#ahead.sawZip(module)
    return this.#farAhead.sawZip(module) ?? near
  }

  async #file(asked: PartRequest<'mod' | 'info'>): Promise<Answer<Uint8Array>> {
    this.#ahead.sawFile(asked.module)
    if (asked.what === 'info') this.#farAhead.sawInfo(asked.module)
    return await this.#answer(asked, sizeOfBody, () => this.#parts.file(asked))
  }

  readonly #site: SiteWays = {
    zip: async (module, options) => {
      const asked = partRequest('zip', module, options)
      const { value, source } = await this.#parts.zip(asked)
      if (source.kind !== 'store') this.#offerRemote(asked, source)
      return value
    },
    part: async (what, module, options) => {
      const asked = partRequest(what, module, options)
      this.#offerRemote(asked, (await this.#parts.file(asked)).source)
    },
    sums: (module, options) => this.sums(module, options),
    mutable: (question, options) => this.#mutables.forSite(question, options),
  }

  async #mutable(question: ChangingQuestion, options: AskOptions): Promise<Answer<Uint8Array>> {
    const find = () => this.#mutables.find(question, options)
    return await this.#answer(changingRequest(question, options), sizeOfBody, find)
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

function sizeOfZip(zip: HeldZip): number {
  return zip.size
}

function sizeOfBody(bytes: Uint8Array): number {
  return bytes.length
}
