import type { AnswerStore } from './answer-store.ts'
import type { Clock } from './clock.ts'
import type { Source } from './fill-event.ts'
import { keepAnswerAgainMs, maxHotAnswers, maxHotBytes, retryDeadMs } from './limits.ts'
import { MemoryLevel } from './memory-level.ts'
import type { Answer } from './module-source.ts'
import type { PeerId } from './peers.ts'
import { SingleFlight } from './single-flight.ts'
import type { UpstreamAnswer } from './upstream.ts'

/** What upstream said, and when. Times are on the monotonic clock, ms; before the start they are negative. */
export interface Confirmed {
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

export interface KeptAnswersComponents {
  readonly clock: Clock
  /** Where they outlive the process; undefined: nowhere. */
  readonly answers: AnswerStore | undefined
  /** Takes over writes that nobody waits for. */
  readonly background: (task: Promise<unknown>) => void
}

/** The answers that change, as they were last heard: in memory, and on disk for the next run. */
export class KeptAnswers {
  readonly #parts: KeptAnswersComponents
  readonly #memory = new MemoryLevel<Entry>({ entries: maxHotAnswers, bytes: maxHotBytes })
  readonly #recalls = new SingleFlight<void>()

  constructor(components: KeptAnswersComponents) {
    this.#parts = components
  }

  /** What memory can answer with at once: what is fresh, or stands in for it. */
  now(key: string): Answer<Uint8Array> | undefined {
    const entry = this.#memory.get(key)
    if (entry === undefined) return undefined
    const { confirmed, standIn } = entry
    const nowMs = this.#parts.clock.monotonicMs()
    if (confirmed !== undefined && nowMs < confirmed.freshUntilMs) {
      const ageMs = nowMs - confirmed.confirmedMs
      return { value: confirmed.bytes, source: fromMemory, ageMs }
    }
    if (standIn === undefined || nowMs >= standIn.untilMs) return undefined
    const { ageMs } = standIn.answer
    if (ageMs === undefined) return standIn.answer
    return { ...standIn.answer, ageMs: ageMs + nowMs - standIn.madeMs }
  }

  /** What upstream said last, fresh or not. Memory only. */
  confirmed(key: string): Confirmed | undefined {
    return this.#memory.get(key)?.confirmed
  }

  /** Milliseconds since upstream said so. */
  ageOf({ confirmedMs }: Confirmed): number {
    return this.#parts.clock.monotonicMs() - confirmedMs
  }

  /** Takes what an earlier run knew into memory. Never fresh: clocks may have moved. */
  async recall(key: string, options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#recalls.join(key, () => this.#recall(key), options)
  }

  /**
   * Keeps what upstream has just said, or said to an owner `ageMs` ago. Returns the bytes to answer with:
   * those held before where they are the same.
   */
  confirm(
    key: string,
    answer: UpstreamAnswer,
    { ttlMs, via }: { readonly ttlMs: number; readonly via?: ToldBy | undefined },
  ): Uint8Array {
    const nowMs = this.#parts.clock.monotonicMs()
    const known = this.confirmed(key)
    const same = known !== undefined && isEqual(known.bytes, answer.bytes) ? known : undefined
    const isDue = same === undefined || nowMs - same.keptMs >= keepAnswerAgainMs
    const confirmedMs = nowMs - (via?.ageMs ?? 0)
    const confirmed: Confirmed = {
      bytes: same?.bytes ?? answer.bytes,
      from: answer.from,
      // An owner tells none: upstream's older one stays good for the same bytes.
      validator: via === undefined ? answer.validator : same?.validator,
      owner: via?.owner,
      confirmedMs,
      freshUntilMs: confirmedMs + ttlMs,
      keptMs: isDue ? nowMs : same.keptMs,
    }
    this.#put(key, { confirmed, standIn: undefined })
    if (isDue) this.#write(key, confirmed)
    return confirmed.bytes
  }

  /** Answers with this for a moment: upstream has just failed. What it said before, `known`, stays. */
  standIn(key: string, answer: Answer<Uint8Array>, known: Confirmed | undefined): void {
    const madeMs = this.#parts.clock.monotonicMs()
    const standIn = { answer, madeMs, untilMs: madeMs + retryDeadMs }
    this.#put(key, { confirmed: this.confirmed(key) ?? known, standIn })
  }

  /** Drops it here and on disk. */
  forget(key: string): void {
    const { answers, background } = this.#parts
    this.#memory.delete(key)
    if (answers !== undefined) background(answers.dropAnswer(key))
  }

  /** Resolves when nothing is being read. */
  async settled(): Promise<void> {
    await this.#recalls.settled()
  }

  async #recall(key: string): Promise<void> {
    if (this.#memory.get(key) !== undefined) return
    const stored = await this.#parts.answers?.findAnswer(key)
    if (stored === undefined || this.#memory.get(key) !== undefined) return
    const { clock } = this.#parts
    const nowMs = clock.monotonicMs()
    const confirmedMs = nowMs - Math.max(0, clock.wallMs() - stored.confirmedMs)
    const { bytes, from, validator } = stored
    const times = { confirmedMs, freshUntilMs: nowMs, keptMs: confirmedMs }
    const confirmed = { bytes, from, validator, owner: undefined, ...times }
    this.#put(key, { confirmed, standIn: undefined })
  }

  #put(key: string, entry: Entry): void {
    const mended = entry.standIn?.answer.value
    const more = mended === undefined || mended === entry.confirmed?.bytes ? 0 : mended.length
    this.#memory.set(key, entry, (entry.confirmed?.bytes.length ?? 0) + more)
  }

  #write(key: string, confirmed: Confirmed): void {
    const { answers, background, clock } = this.#parts
    if (answers === undefined) return
    const { bytes, from, validator } = confirmed
    const confirmedMs = clock.wallMs() - this.ageOf(confirmed)
    background(answers.putAnswer(key, { bytes, from, validator, confirmedMs }))
  }
}

/** The owner that upstream's word came through, and how old it was, ms. */
export interface ToldBy {
  readonly owner: PeerId
  readonly ageMs: number
}

const fromMemory: Source = { kind: 'store', level: 'memory' }

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))
}
