import type { ModuleVersion } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import type { Asked } from './fill-event.ts'
import type { SplitZip } from './split-zip.ts'
import { type Measure, Progress } from './zip-progress.ts'
import type { Attempt } from './zip-race.ts'
import type { HeldZip, StagedZip } from './zip-store.ts'
import type { Transfer } from './zip-transfer.ts'

/** One body under way. */
export interface RunningAttempt {
  /** Of all attempts of this process. */
  readonly number: number
  readonly asked: Asked
  readonly startedMs: number
  readonly windowMs: number
  /** From a peer of another site. */
  readonly isFar: boolean
  readonly progress: Progress
  /** Where its bytes go. */
  staged: StagedZip | undefined
  /** Where others help with it, or may. */
  split: SplitZip | undefined
  /** When its first byte is later than usual, ms after the start. */
  hedgeMs: number | undefined
  /** The body that it helps with: then it has none of its own. */
  readonly helps: RunningAttempt | undefined
  /** What became of it was told. */
  isTold: boolean
}

/** The bodies of one zip: what the race sees of them, and what others may stream of them. */
export class ZipBodies {
  readonly #ctx: FillContext
  readonly #module: ModuleVersion
  readonly #running = new Set<RunningAttempt>()
  #winner: RunningAttempt | undefined

  constructor(ctx: FillContext, module: ModuleVersion) {
    this.#ctx = ctx
    this.#module = module
  }

  begin(
    asked: Asked,
    windowMs: number,
    how: {
      readonly isFar?: boolean
      readonly measure?: Measure
      readonly helps?: RunningAttempt
    } = {},
  ): RunningAttempt {
    const startedMs = this.#ctx.clock.monotonicMs()
    const progress = new Progress(startedMs, how.measure)
    const number = nextNumber++
    const { isFar = false, helps } = how
    const times = { startedMs, windowMs, progress }
    const none = { staged: undefined, split: undefined, isTold: false, hedgeMs: undefined }
    const attempt: RunningAttempt = { number, asked, ...times, ...none, isFar, helps }
    this.#running.add(attempt)
    return attempt
  }

  end(attempt: RunningAttempt): void {
    this.#running.delete(attempt)
    attempt.progress.end()
  }

  won(attempt: RunningAttempt): void {
    this.#winner = attempt
  }

  views(): readonly Attempt[] {
    return this.#own().map((attempt) => {
      const { asked, startedMs, windowMs, hedgeMs, isFar, progress, split } = attempt
      const bytes = (split?.bytes ?? progress.bytes) + progress.toldBytes
      const times = { startedMs, windowMs, hedgeMs, hasFirstByte: progress.hasFirstByte }
      return { kind: asked.kind, ...times, isFar, bytes, split: split?.view }
    })
  }

  /** Those that help with a body. */
  helpersOf(attempt: RunningAttempt): readonly RunningAttempt[] {
    return [...this.#running].filter(({ helps }) => helps === attempt)
  }

  find(kind: Attempt['kind']): RunningAttempt | undefined {
    return [...this.#running].find(({ asked }) => asked.kind === kind)
  }

  transfer(attempt: RunningAttempt, onProgress: () => void): Transfer {
    const onStaged = (staged: StagedZip) => {
      attempt.staged = staged
    }
    const onBody: Transfer['onBody'] = (...body) => attempt.split?.begin(...body)
    return { module: this.#module, progress: attempt.progress, onProgress, onStaged, onBody }
  }

  /** Shows those who wait for us the body that has come the furthest; returns what ends that. */
  show(): () => void {
    return this.#ctx.parts.show(this.#module, () => {
      const best = this.#winner ?? this.#furthest()
      const staged = best?.staged
      if (best === undefined || staged === undefined) return undefined
      const { whole: bytes, moves } = best.progress
      return { id: idOf(best), bytes, moves, read: (range) => staged.readSoFar(range) }
    })
  }

  /** Lets them have the rest of what was kept, if it was kept as it came. */
  showWhole({ module, size, zipDigest }: HeldZip): void {
    const winner = this.#winner
    if (winner === undefined || winner.progress.whole !== size) return
    this.#ctx.parts.showWhole(module, idOf(winner), zipDigest)
  }

  #furthest(): RunningAttempt | undefined {
    return this.#own().toSorted((a, b) => b.progress.whole - a.progress.whole)[0]
  }

  #own(): RunningAttempt[] {
    return [...this.#running].filter(({ helps }) => helps === undefined)
  }
}

let nextNumber = 1

/** Names a body: one that began anew is another one. */
function idOf({ number, progress }: RunningAttempt): number {
  return number * 1_000 + Math.min(progress.restarts, 999)
}
