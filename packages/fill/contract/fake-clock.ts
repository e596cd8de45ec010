import type { Clock } from '../src/clock.ts'
import { abortReason } from '../src/scope.ts'

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
  isCancelled: boolean
}

/** A clock that moves only when told to; timers of one moment run in the order they were set. */
export class FakeClock implements Clock {
  readonly #timers: Timer[] = []
  readonly #wallOffsetMs: number
  #nowMs = 0
  #order = 0
  #pending = 0

  constructor(init: { readonly wallMs?: number } = {}) {
    this.#wallOffsetMs = init.wallMs ?? 1_700_000_000_000
  }

  /** Timers that are set and not cancelled. */
  get pending(): number {
    return this.#pending
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs
  }

  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options
    if (signal.aborted) return Promise.reject(abortReason(signal))
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        cancel()
        reject(abortReason(signal))
      }
      const cancel = this.after(ms, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Calls back after `ms`; returns how to cancel it. */
  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, run }
    const entry: Timer = { ...timer, isCancelled: false }
    this.#push(entry)
    this.#pending++
    return () => {
      if (!entry.isCancelled) this.#pending--
      entry.isCancelled = true
    }
  }

  /** Moves on by `ms`, running what is due in order and letting all work settle in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await this.settle()
    while (await this.step(untilMs)) continue
    this.#nowMs = untilMs
  }

  /** Runs the next timer that is due by `untilMs`; false when there is none. */
  async step(untilMs: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    const timer = this.#pop(untilMs)
    if (timer === undefined) return false
    this.#nowMs = timer.atMs
    this.#pending--
    timer.isCancelled = true
    timer.run()
    await this.settle()
    return true
  }

  /** Lets every promise that can go on without time do so. */
  async settle(): Promise<void> {
    // Node runs the next tick when no promise is left that can go on.
    await new Promise((resolve) => {
      process.nextTick(resolve)
    })
  }

  #pop(untilMs: number): Timer | undefined {
    for (let top = this.#timers[0]; top !== undefined; top = this.#timers[0]) {
      if (!top.isCancelled && top.atMs > untilMs) return undefined
      this.#removeTop()
      if (!top.isCancelled) return top
    }
    return undefined
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(timer, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = timer
  }

  #removeTop(): void {
    const heap = this.#timers
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const child = smallerChild(heap, at)
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}

function smallerChild(heap: readonly Timer[], at: number): number {
  const left = heap[2 * at + 1]
  const right = heap[2 * at + 2]
  return left !== undefined && right !== undefined && isBefore(right, left)
    ? 2 * at + 2
    : 2 * at + 1
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
