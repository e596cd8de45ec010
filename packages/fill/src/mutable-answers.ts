import type { ModuleVersion } from '@modmesh/module'
import type { AnswerStore } from './answer-store.ts'
import { OwnerLiedError, withOwner } from './ask-owner.ts'
import { askUpstream, type UpstreamOutcome } from './ask-upstream.ts'
import { ModuleNotFoundError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { type Source, sourceOf } from './fill-event.ts'
import {
  commitTtls,
  graceTtls,
  keepAnswerAgainMs,
  maxHotAnswers,
  maxHotBytes,
  quickRefreshMs,
  retryDeadMs,
  slowRefreshMs,
} from './limits.ts'
import { MemoryLevel } from './memory-level.ts'
import type { Answer, AskOptions } from './module-source.ts'
import { type FindInfo, type MutableQuestion, mutableQuestion } from './mutable-question.ts'
import type { NegativeAnswers } from './negative-answers.ts'
import { notHere, notInStore } from './not-found.ts'
import { OwnerFlight, type Ways } from './owner-flight.ts'
import type { ChangingQuestion, PeerId } from './peers.ts'
import type { Scope } from './scope.ts'
import { SingleFlight } from './single-flight.ts'
import type { UpstreamAnswer } from './upstream.ts'

/** What upstream said, and when. Times are on the monotonic clock, ms; before the start they are negative. */
interface Confirmed {
  readonly bytes: Uint8Array
  readonly from: string
  readonly validator: string | undefined
  /** Who told us, if it was not upstream. */
  readonly owner: PeerId | undefined
  readonly confirmedMs: number
  readonly freshUntilMs: number
  /** When it was last written to disk. */
  readonly keptMs: number
}

/** What is answered while upstream is not asked because it just failed. */
interface StandIn {
  readonly answer: Answer<Uint8Array>
  readonly madeMs: number
  readonly untilMs: number
}

interface Entry {
  readonly confirmed: Confirmed | undefined
  readonly standIn: StandIn | undefined
}

type Held = Answer<Uint8Array>

export interface MutableAnswersInit {
  /** How long a list, `@latest` or branch answer is fresh, ms; a commit's for `commitTtls` times that. */
  readonly ttlMs: number
  /** Makes the hashes of a module version known and proven, or throws. */
  readonly prove: (
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ) => Promise<unknown>
  readonly findInfo: FindInfo
}

/**
 * Lists, `@latest` and branch, tag or commit answers: fresh ones from memory, older ones renewed by
 * asking upstream whether they changed. An older one is given, with its age, when upstream is slow
 * (stale-while-revalidate) or dead (stale-if-error, RFC 5861), over restarts too. Equal requests
 * share one question to upstream.
 */
export class MutableAnswers {
  readonly #ctx: FillContext
  readonly #answers: AnswerStore | undefined
  readonly #negatives: NegativeAnswers
  readonly #init: MutableAnswersInit
  readonly #memory = new MemoryLevel<Entry>({ entries: maxHotAnswers, bytes: maxHotBytes })
  readonly #recalls = new SingleFlight<void>()
  readonly #refreshes: OwnerFlight<Held>
  /** When each refresh under way began. */
  readonly #sinceMs = new Map<string, number>()

  constructor(
    components: {
      readonly ctx: FillContext
      readonly answers: AnswerStore | undefined
      readonly negatives: NegativeAnswers
    },
    init: MutableAnswersInit,
  ) {
    this.#ctx = components.ctx
    this.#refreshes = new OwnerFlight(components.ctx)
    this.#answers = components.answers
    this.#negatives = components.negatives
    this.#init = init
  }

  /** What memory can answer with at once. */
  now(key: string): Held | undefined {
    const entry = this.#memory.get(key)
    if (entry === undefined) return undefined
    const { confirmed, standIn } = entry
    const nowMs = this.#ctx.clock.monotonicMs()
    if (confirmed !== undefined && nowMs < confirmed.freshUntilMs) {
      const ageMs = nowMs - confirmed.confirmedMs
      return { value: confirmed.bytes, source: fromMemory, ageMs }
    }
    if (standIn === undefined || nowMs >= standIn.untilMs) return undefined
    const { ageMs } = standIn.answer
    if (ageMs === undefined) return standIn.answer
    return { ...standIn.answer, ageMs: ageMs + nowMs - standIn.madeMs }
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
  ): Promise<
    { readonly bytes: Uint8Array; readonly from: string; readonly ageMs: number } | undefined
  > {
    const question = this.#questionOf(asked)
    await this.#find(question, options)
    const confirmed = this.#memory.get(question.key)?.confirmed
    const isOurs = confirmed !== undefined && confirmed.owner === undefined
    if (!isOurs || this.#ctx.clock.monotonicMs() > confirmed.freshUntilMs) return undefined
    return { bytes: confirmed.bytes, from: confirmed.from, ageMs: this.#ageOf(confirmed) }
  }

  /** Resolves when no refresh is under way. */
  async settled(): Promise<void> {
    await Promise.all([this.#recalls.settled(), this.#refreshes.settled()])
  }

  #questionOf(asked: ChangingQuestion): MutableQuestion {
    return mutableQuestion(this.#ctx, asked, this.#init.findInfo)
  }

  async #find(question: MutableQuestion, options: AskOptions): Promise<Held> {
    const { key } = question
    const ready = this.#ready(key, options)
    if (ready !== undefined) return ready
    await this.#recalls.join(key, () => this.#recall(key), options)
    // Others may have brought it meanwhile.
    const readyNow = this.#ready(key, options)
    if (readyNow !== undefined) return readyNow
    if (options.cachedOnly === true) return await this.#fromStore(question, options)
    const flight = this.#renew(question, options)
    return options.isForwarded === true ? await flight : await this.#orOlder(question, flight)
  }

  #ready(key: string, options: AskOptions): Held | undefined {
    const ready = this.now(key)
    if (ready !== undefined || options.cachedOnly === true) return ready
    const nothing = this.#negatives.find(key)
    if (nothing !== undefined) throw nothing
    return undefined
  }

  /** Takes what an earlier run knew into memory. It is asked for anew in any case: clocks may have moved. */
  async #recall(key: string): Promise<void> {
    if (this.#memory.get(key) !== undefined) return
    const stored = await this.#answers?.findAnswer(key)
    if (stored === undefined || this.#memory.get(key) !== undefined) return
    const nowMs = this.#ctx.clock.monotonicMs()
    const ageMs = Math.max(0, this.#ctx.clock.wallMs() - stored.confirmedMs)
    const confirmedMs = nowMs - ageMs
    const { bytes, from, validator } = stored
    this.#put(key, {
      confirmed: {
        bytes,
        from,
        validator,
        owner: undefined,
        confirmedMs,
        freshUntilMs: nowMs,
        keptMs: confirmedMs,
      },
      standIn: undefined,
    })
  }

  /** Asks the owner of the path, else upstream. */
  async #renew(question: MutableQuestion, options: AskOptions): Promise<Held> {
    const ways: Ways<Held> = {
      relay: (owner, scope) => this.#relay(question, owner, scope),
      direct: () => this.#refresh(question),
    }
    return await this.#refreshes.join(question, ways, options)
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
      if (ageMs > this.#ttlMs(question.kind)) return undefined
      if (question.fault(bytes) !== undefined) throw new OwnerLiedError()
      const version = question.picked(bytes)
      if (version !== undefined)
        await this.#init.prove({ path: question.path, version }, { signal })
      const mended = await question.mend(bytes, { signal })
      const known = this.#memory.get(question.key)?.confirmed
      return this.#confirm(question, { bytes: mended, from }, known, { owner, ageMs })
    })
  }

  async #refresh(question: MutableQuestion): Promise<Held> {
    const { key, name, path } = question
    this.#sinceMs.set(key, this.#ctx.clock.monotonicMs())
    try {
      return await this.#ctx.withDeadline(name, this.#ctx.closing, async (scope) => {
        const known = this.#memory.get(key)?.confirmed
        const asked = await askUpstream(this.#ctx, question, scope, askable(known))
        if (asked.kind === 'confirmed') return this.#confirm(question, asked.answer, known)
        return await this.#standIn(question, asked, known, { signal: scope.signal })
      })
    } catch (error) {
      if (error instanceof ModuleNotFoundError) {
        this.#forget(key)
        this.#negatives.remember(key, path, error)
      }
      throw error
    } finally {
      this.#sinceMs.delete(key)
    }
  }

  #confirm(
    question: MutableQuestion,
    answer: UpstreamAnswer,
    known: Confirmed | undefined,
    via?: { readonly owner: PeerId; readonly ageMs: number },
  ): Held {
    const { from } = answer
    const nowMs = this.#ctx.clock.monotonicMs()
    const isSame = known !== undefined && isEqual(known.bytes, answer.bytes)
    const bytes = isSame ? known.bytes : answer.bytes
    const keep = !isSame || nowMs - known.keptMs >= keepAnswerAgainMs
    const ageMs = via?.ageMs ?? 0
    const confirmed: Confirmed = {
      bytes,
      from,
      // An owner tells none: upstream's older one stays good for the same bytes.
      validator: via !== undefined && isSame ? known.validator : answer.validator,
      owner: via?.owner,
      confirmedMs: nowMs - ageMs,
      freshUntilMs: nowMs - ageMs + this.#ttlMs(question.kind),
      keptMs: keep ? nowMs : known.keptMs,
    }
    this.#put(question.key, { confirmed, standIn: undefined })
    if (keep) this.#keep(question.key, confirmed)
    const source: Source =
      via === undefined ? sourceOf(answer) : { kind: 'peer', peer: via.owner, via: 'owner' }
    return { value: bytes, source, ageMs }
  }

  /** What is answered without upstream: its older answer, or what is held here and by peers. */
  async #standIn(
    question: MutableQuestion,
    asked: Exclude<UpstreamOutcome, { kind: 'confirmed' }>,
    known: Confirmed | undefined,
    options: AskOptions,
  ): Promise<Held> {
    const answer =
      asked.kind === 'nobody'
        ? await this.#offline(question, known, options)
        : await this.#dead(question, known, options)
    if (answer === undefined) throw asked.kind === 'dead' ? asked.error : notHere(question.name)
    if (asked.kind === 'dead') {
      const madeMs = this.#ctx.clock.monotonicMs()
      const standIn = { answer, madeMs, untilMs: madeMs + retryDeadMs }
      this.#put(question.key, { confirmed: known, standIn })
    }
    return answer
  }

  /** Upstream will be back: its own word, though old, is worth more than what happens to be held. */
  async #dead(
    question: MutableQuestion,
    known: Confirmed | undefined,
    options: AskOptions,
  ): Promise<Held | undefined> {
    if (known === undefined) return await fromHeld(question, undefined, options)
    const value = await question.mend(known.bytes, options)
    return { value, source: { kind: 'stale', why: 'failed' }, ageMs: this.#ageOf(known) }
  }

  /** Nobody is there to fetch a version from: what is held comes first, so that `go` picks what it can get. */
  async #offline(
    question: MutableQuestion,
    known: Confirmed | undefined,
    options: AskOptions,
  ): Promise<Held | undefined> {
    const held = await fromHeld(question, known && this.#ageOf(known), options)
    return held ?? (known && this.#older(known, 'offline'))
  }

  async #fromStore(question: MutableQuestion, options: AskOptions): Promise<Held> {
    const known = this.#memory.get(question.key)?.confirmed
    if (known !== undefined) return this.#older(known, 'not-asked')
    const held = await fromHeld(question, undefined, options)
    if (held !== undefined) return held
    throw notInStore(question.name)
  }

  /** The refresh's answer when it comes soon, else the older one; the refresh goes on. */
  async #orOlder(question: MutableQuestion, flight: Promise<Held>): Promise<Held> {
    const known = this.#memory.get(question.key)?.confirmed
    if (known === undefined || !this.#ctx.canAskUpstream(question.path)) return await flight
    const ageMs = this.#ageOf(known)
    const isYoung = ageMs <= graceTtls * this.#ttlMs(question.kind)
    const nowMs = this.#ctx.clock.monotonicMs()
    const sinceMs = this.#sinceMs.get(question.key) ?? nowMs
    const waitMs = (isYoung ? quickRefreshMs : slowRefreshMs) - (nowMs - sinceMs)
    if (waitMs <= 0) return this.#older(known, 'slow')
    const waiting = new AbortController()
    const late = this.#ctx.clock
      .sleep(waitMs, { signal: waiting.signal })
      .then(() => this.#older(known, 'slow'))
    try {
      return await Promise.race([flight, late])
    } finally {
      waiting.abort()
    }
  }

  #older(known: Confirmed, why: StaleReason): Held {
    return { value: known.bytes, source: { kind: 'stale', why }, ageMs: this.#ageOf(known) }
  }

  #ageOf(known: Confirmed): number {
    return this.#ctx.clock.monotonicMs() - known.confirmedMs
  }

  #ttlMs(kind: MutableQuestion['kind']): number {
    return kind === 'commit' ? commitTtls * this.#init.ttlMs : this.#init.ttlMs
  }

  #put(key: string, entry: Entry): void {
    const mended = entry.standIn?.answer.value
    const more = mended === undefined || mended === entry.confirmed?.bytes ? 0 : mended.length
    this.#memory.set(key, entry, (entry.confirmed?.bytes.length ?? 0) + more)
  }

  #forget(key: string): void {
    this.#memory.delete(key)
    if (this.#answers !== undefined) this.#ctx.background(this.#answers.dropAnswer(key))
  }

  #keep(key: string, { bytes, from, validator, confirmedMs: atMs }: Confirmed): void {
    if (this.#answers === undefined) return
    const { clock } = this.#ctx
    const confirmedMs = clock.wallMs() - (clock.monotonicMs() - atMs)
    const stored = { bytes, from, validator, confirmedMs }
    this.#ctx.background(this.#answers.putAnswer(key, stored))
  }
}

type StaleReason = (Source & { readonly kind: 'stale' })['why']

const fromMemory: Source = { kind: 'store', level: 'memory' }

function askable(
  known: Confirmed | undefined,
): { readonly bytes: Uint8Array; readonly validator: string } | undefined {
  const validator = known?.validator
  return validator === undefined || known === undefined
    ? undefined
    : { bytes: known.bytes, validator }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))
}

async function fromHeld(
  question: MutableQuestion,
  ageMs: number | undefined,
  options: AskOptions,
): Promise<Held | undefined> {
  const value = await question.fromHeld(options)
  if (value === undefined) return undefined
  return ageMs === undefined
    ? { value, source: { kind: 'held' } }
    : { value, source: { kind: 'held' }, ageMs }
}
