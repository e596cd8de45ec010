import { retriesPerSecond, retryBurst } from '../limits.ts'

/**
 * Bounds further attempts at an origin in all: one that answers every request with 500 is not asked three times as
 * often for it.
 */
export class RetryBudget {
  readonly #origins = new Map<string, { left: number; atMs: number }>()

  /** Takes one further attempt; false when there is none left for now. */
  take(origin: string): boolean {
    const now = performance.now()
    const { left, atMs } = this.#origins.get(origin) ?? { left: retryBurst, atMs: now }
    const earned = ((now - atMs) / 1_000) * retriesPerSecond
    const available = Math.min(retryBurst, left + earned)
    const isTaken = available >= 1
    this.#origins.set(origin, { left: isTaken ? available - 1 : available, atMs: now })
    return isTaken
  }
}
