import type { FillContext } from './fill-context.ts'
import { minProgressBytes } from './limits.ts'
import type { LinkMeter } from './link-meter.ts'
import { abortable, Scope } from './scope.ts'
import type { DeltaForm } from './zip-deltas.ts'

/** Measures the link that a body comes over, from its first byte, so many ms after it was asked for. */
export type Measure = (ms: number) => ReturnType<LinkMeter['begin']>

/** How a body comes along; read by the race while it runs. */
export class Progress {
  /** Resolves when the body begins. */
  readonly began: Promise<void>
  readonly #begin = Promise.withResolvers<void>()
  hasFirstByte = false
  /** That this source sent. */
  bytes = 0
  #joinedTo = 0
  #front: number | undefined
  #marked = 0
  #markedMs: number
  isWriting = false
  /** Bytes of what a zip is told in, which are not the zip's. */
  toldBytes = 0
  /** Grows with those, and with each sign of life. */
  moves = 0
  #toldMarked = 0
  /** Set when it came in parts. */
  changes: ZipChanges | undefined
  /** How often it began anew. */
  restarts = 0
  readonly #startedMs: number
  readonly #measure: Measure | undefined
  #measured: ReturnType<Measure> | undefined

  constructor(nowMs: number, measure?: Measure) {
    this.#startedMs = nowMs
    this.#measure = measure
    this.#markedMs = nowMs
    this.began = this.#begin.promise
  }

  /** All that is there without a gap: what an earlier source sent, too, and what others bring beside it. */
  get whole(): number {
    return this.#front ?? this.#joinedTo + this.bytes
  }

  /** Several sources have brought everything up to here. */
  reach(front: number): void {
    this.#front = Math.max(front, this.#front ?? 0)
  }

  /** It goes on where another one was cut, after so many bytes. */
  goOn(bytes: number): void {
    this.#joinedTo = bytes
  }

  begin(nowMs: number): void {
    this.hasFirstByte = true
    this.mark(nowMs)
    this.#begin.resolve()
    this.#measured ??= this.#measure?.(nowMs - this.#startedMs)
  }

  /** Nothing comes any more. */
  end(): void {
    this.#measured?.end()
  }

  /** Counts bytes; only a step of minProgressBytes restarts the patience. */
  add(bytes: number, nowMs: number): void {
    this.bytes += bytes
    this.#measured?.bytes(bytes)
    if (this.bytes - this.#marked >= minProgressBytes || this.#marked === 0) this.mark(nowMs)
  }

  /** Counts bytes of what a zip is told in; 0 is a sign of life. */
  sign(bytes: number, nowMs: number): void {
    this.toldBytes += bytes
    this.moves += Math.max(1, bytes)
    const isStep = this.toldBytes - this.#toldMarked >= minProgressBytes
    if (bytes > 0 && !isStep && this.#toldMarked > 0) return
    this.#toldMarked = this.toldBytes
    this.mark(nowMs)
  }

  mark(nowMs: number): void {
    this.#marked = this.bytes
    this.#markedMs = nowMs
  }

  idleMs(nowMs: number): number {
    return nowMs - this.#markedMs
  }

  restart(nowMs: number): void {
    this.restarts += 1
    this.hasFirstByte = false
    this.bytes = 0
    this.#joinedTo = 0
    this.#front = undefined
    this.mark(nowMs)
  }
}

/** How a zip came that was not sent as it is. */
export interface ZipChanges {
  /** `none`: nothing was missing; `whole`: the peer sent it as it is. */
  readonly form: DeltaForm | 'none' | 'whole'
  /** Of all that it took. */
  readonly receivedBytes: number
}

/** How a body comes along, and how long its first byte may take before it is given up. */
export interface Patience {
  readonly progress: Progress
  readonly patienceMs: number
  /** How long it may stand still then; the default of peers of our site when absent. */
  readonly stallMs?: number | undefined
}

/** Waits for a body as long as it makes progress; else throws what `stalled` makes. */
export async function patiently<T>(
  ctx: FillContext,
  patience: Patience,
  outer: AbortSignal,
  stalled: () => Error,
  fetch: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const scope = new Scope(outer)
  try {
    const body = scope.start((signal) => abortable(fetch(signal), signal))
    const late = scope.start((signal) => watch(ctx, patience, signal, stalled))
    return await abortable(Promise.race([body, late]), outer)
  } finally {
    ctx.background(scope.close())
  }
}

/** Throws when the body makes no progress for too long; the time our own disk takes does not count. */
async function watch(
  ctx: FillContext,
  { progress, patienceMs, stallMs = ctx.budgets.stallMs }: Patience,
  signal: AbortSignal,
  stalled: () => Error,
): Promise<never> {
  const first = new Scope(signal)
  const late = first.start((ended) => ctx.clock.sleep(patienceMs, { signal: ended }))
  try {
    await Promise.race([progress.began, late])
  } finally {
    ctx.background(first.close())
  }
  while (progress.hasFirstByte) {
    if (progress.isWriting) progress.mark(ctx.clock.monotonicMs())
    const leftMs = stallMs - progress.idleMs(ctx.clock.monotonicMs())
    if (leftMs <= 0) break
    await ctx.clock.sleep(leftMs, { signal })
  }
  throw stalled()
}
