import type { AnswerStore } from './answer-store.ts'
import { OwnerLiedError, withOwner } from './ask-owner.ts'
import { askUpstream, type UpstreamOutcome } from './ask-upstream.ts'
import { ModuleNotFoundError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { type Source, sourceOf } from './fill-event.ts'
import { partRequest } from './fill-request.ts'
import { type Confirmed, KeptAnswers, type ToldBy } from './kept-answers.ts'
import { commitTtls, graceTtls, quickRefreshMs, slowRefreshMs } from './limits.ts'
import type { Answer, AskOptions } from './module-source.ts'
import { type FindInfo, type MutableQuestion, mutableQuestion } from './mutable-question.ts'
import type { NegativeAnswers } from './negative-answers.ts'
import { notHere } from './not-found.ts'
import { OwnerFlight, type Ways } from './owner-flight.ts'
import type { PartAnswers } from './part-answers.ts'
import type { ChangingQuestion, PeerId } from './peers.ts'
import type { Scope } from './scope.ts'
import {
  answerFromStore,
  type Older,
  staleAnswer,
  standInWhenDead,
  standInWhenOffline,
} from './stand-in.ts'
import type { UpstreamAnswer } from './upstream.ts'

type Held = Answer<Uint8Array>

export interface MutableAnswersInit {
  /** How long a list, `@latest` or branch answer is fresh, ms; a commit's for `commitTtls` times that. */
  readonly ttlMs: number
}

/**
 * Lists, `@latest` and branch, tag or commit answers: fresh ones from memory, older ones renewed by
 * asking upstream whether they changed. An older one is given, with its age, when upstream is slow
 * (stale-while-revalidate) or dead (stale-if-error, RFC 5861), over restarts too. Equal requests
 * share one question to upstream.
 */
export class MutableAnswers {
  readonly #ctx: FillContext
  readonly #kept: KeptAnswers
  readonly #negatives: NegativeAnswers
  readonly #parts: Pick<PartAnswers, 'file' | 'sums'>
  readonly #init: MutableAnswersInit
  readonly #renewals: OwnerFlight<Held>
  /** When each question to upstream under way began. */
  readonly #sinceMs = new Map<string, number>()

  constructor(
    components: {
      readonly ctx: FillContext
      readonly answers: AnswerStore | undefined
      readonly negatives: NegativeAnswers
      readonly parts: Pick<PartAnswers, 'file' | 'sums'>
    },
    init: MutableAnswersInit,
  ) {
    const { ctx, answers, negatives, parts } = components
    this.#ctx = ctx
    this.#kept = new KeptAnswers({ clock: ctx.clock, answers, background: ctx.background })
    this.#renewals = new OwnerFlight(ctx)
    this.#negatives = negatives
    this.#parts = parts
    this.#init = init
  }

  /** What memory can answer with at once. */
  now(key: string): Held | undefined {
    return this.#kept.now(key)
  }

  /** Throws ModuleNotFoundError; UpstreamUnavailableError where upstream should have been asked and nothing is held. */
  async find(asked: ChangingQuestion, options: AskOptions): Promise<Held> {
    return await this.#find(this.#questionOf(asked), options)
  }

  /**
   * What others of our site may take for upstream's word: fresh, and not heard from another owner.
   * Undefined when there is none. Throws as `find` does.
   */
  async forSite(
    asked: ChangingQuestion,
    options: AskOptions,
  ): Promise<(Older & { readonly from: string }) | undefined> {
    const question = this.#questionOf(asked)
    await this.#find(question, options)
    const confirmed = this.#kept.confirmed(question.key)
    const isOurs = confirmed !== undefined && confirmed.owner === undefined
    if (!isOurs || this.#ctx.clock.monotonicMs() > confirmed.freshUntilMs) return undefined
    const { bytes, from } = confirmed
    return { bytes, from, ageMs: this.#kept.ageOf(confirmed) }
  }

  /** Resolves when nothing is being read or renewed. */
  async settled(): Promise<void> {
    await Promise.all([this.#kept.settled(), this.#renewals.settled()])
  }

  #questionOf(asked: ChangingQuestion): MutableQuestion {
    return mutableQuestion(this.#ctx, asked, this.#findInfo)
  }

  readonly #findInfo: FindInfo = async (module, options) =>
    (await this.#parts.file(partRequest('info', module, options))).value

  async #find(question: MutableQuestion, options: AskOptions): Promise<Held> {
    const { key } = question
    const ready = this.#ready(key, options)
    if (ready !== undefined) return ready
    await this.#kept.recall(key, options)
    // Others may have brought it meanwhile.
    const readyNow = this.#ready(key, options)
    if (readyNow !== undefined) return readyNow
    if (options.cachedOnly === true) {
      const known = this.#kept.confirmed(key)
      return await answerFromStore(question, known && this.#older(known), options)
    }
    const renewal = this.#renew(question, options)
    return options.isForwarded === true ? await renewal : await this.#orOlder(question, renewal)
  }

  #ready(key: string, options: AskOptions): Held | undefined {
    const ready = this.now(key)
    if (ready !== undefined || options.cachedOnly === true) return ready
    const nothing = this.#negatives.find(key)
    if (nothing !== undefined) throw nothing
    return undefined
  }

  /** Asks the owner of the path, else upstream. */
  async #renew(question: MutableQuestion, options: AskOptions): Promise<Held> {
    const ways: Ways<Held> = {
      relay: (owner, scope) => this.#relay(question, owner, scope),
      direct: () => this.#refresh(question),
    }
    return await this.#renewals.join(question, ways, options)
  }

  /**
   * Takes the owner's word for upstream's: nobody can prove it. But the version that would be picked
   * must be proven to exist, and what is known here stays.
   */
  async #relay(
    question: MutableQuestion,
    owner: PeerId,
    { signal }: Scope,
  ): Promise<Held | undefined> {
    return await withOwner(this.#ctx, owner, question.asked, { signal }, async (finding) => {
      if (finding.kind !== 'bytes') throw new OwnerLiedError()
      const { bytes, from, ageMs } = finding
      if (ageMs > this.#ttlMs(question)) return undefined
      if (question.fault(bytes) !== undefined) throw new OwnerLiedError()
      const version = question.picked(bytes)
      if (version !== undefined) {
        await this.#parts.sums({ path: question.path, version }, { signal })
      }
      const mended = await question.mend(bytes, { signal })
      return this.#confirm(question, { bytes: mended, from }, { owner, ageMs })
    })
  }

  async #refresh(question: MutableQuestion): Promise<Held> {
    const { key, name, path } = question
    this.#sinceMs.set(key, this.#ctx.clock.monotonicMs())
    try {
      return await this.#ctx.withDeadline(name, async (scope) => {
        const known = this.#kept.confirmed(key)
        const asked = await askUpstream(this.#ctx, question, scope, known)
        if (asked.kind === 'confirmed') return this.#confirm(question, asked.answer)
        return await this.#standIn(question, asked, known, scope)
      })
    } catch (error) {
      if (error instanceof ModuleNotFoundError) {
        this.#kept.forget(key)
        this.#negatives.remember(key, path, error)
      }
      throw error
    } finally {
      this.#sinceMs.delete(key)
    }
  }

  #confirm(question: MutableQuestion, answer: UpstreamAnswer, via?: ToldBy): Held {
    const value = this.#kept.confirm(question.key, answer, { ttlMs: this.#ttlMs(question), via })
    const source: Source =
      via === undefined ? sourceOf(answer) : { kind: 'peer', peer: via.owner, via: 'owner' }
    return { value, source, ageMs: via?.ageMs ?? 0 }
  }

  /** What is answered without upstream. Throws upstream's error, or ModuleNotFoundError, where there is nothing. */
  async #standIn(
    question: MutableQuestion,
    asked: Exclude<UpstreamOutcome, { readonly kind: 'confirmed' }>,
    known: Confirmed | undefined,
    { signal }: Scope,
  ): Promise<Held> {
    const older = known && this.#older(known)
    if (asked.kind === 'nobody') {
      const answer = await standInWhenOffline(question, older, { signal })
      if (answer === undefined) throw notHere(question.name)
      return answer
    }
    // Where upstream says that there is nothing, its older word is no answer any more.
    const isGone = asked.error instanceof ModuleNotFoundError
    const answer = await standInWhenDead(question, isGone ? undefined : older, { signal })
    if (answer === undefined) throw asked.error
    this.#kept.standIn(question.key, answer, known)
    return answer
  }

  /** The renewed answer when it comes soon, else the older one; the renewal goes on. */
  async #orOlder(question: MutableQuestion, renewal: Promise<Held>): Promise<Held> {
    const known = this.#kept.confirmed(question.key)
    if (known === undefined || !this.#ctx.canAskUpstream(question.path)) return await renewal
    const older = this.#older(known)
    const isYoung = older.ageMs <= graceTtls * this.#ttlMs(question)
    const nowMs = this.#ctx.clock.monotonicMs()
    const sinceMs = this.#sinceMs.get(question.key) ?? nowMs
    const waitMs = (isYoung ? quickRefreshMs : slowRefreshMs) - (nowMs - sinceMs)
    if (waitMs <= 0) return staleAnswer(older, 'slow')
    const waiting = new AbortController()
    const late = this.#ctx.clock
      .sleep(waitMs, { signal: waiting.signal })
      .then(() => staleAnswer(this.#older(known), 'slow'))
    try {
      return await Promise.race([renewal, late])
    } finally {
      waiting.abort()
    }
  }

  #older(known: Confirmed): Older {
    return { bytes: known.bytes, ageMs: this.#kept.ageOf(known) }
  }

  #ttlMs({ kind }: MutableQuestion): number {
    return kind === 'commit' ? commitTtls * this.#init.ttlMs : this.#init.ttlMs
  }
}
