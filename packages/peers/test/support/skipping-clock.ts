import type { Clock } from '@modmesh/fill'
import { machineClock } from '../../src/machine-clock.ts'

/**
 * The machine's clock, which a test may put forward: limits can be as long as a busy machine needs, and are over as
 * soon as the test has seen what comes before.
 */
export class SkippingClock implements Clock {
  #skippedMs = 0
  readonly #sleepers = new Set<() => void>()

  monotonicMs(): number {
    return machineClock.monotonicMs() + this.#skippedMs
  }

  wallMs(): number {
    return machineClock.wallMs() + this.#skippedMs
  }

  async sleep(ms: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const untilMs = this.monotonicMs() + ms
    for (let leftMs = ms; leftMs > 0; leftMs = untilMs - this.monotonicMs()) {
      const woken = new AbortController()
      const wake = (): void => woken.abort()
      this.#sleepers.add(wake)
      try {
        await machineClock.sleep(leftMs, { signal: AbortSignal.any([signal, woken.signal]) })
      } catch {
        signal.throwIfAborted()
      } finally {
        this.#sleepers.delete(wake)
      }
    }
  }

  /** Lets so much time pass in this moment, milliseconds. */
  skip(ms: number): void {
    this.#skippedMs += ms
    for (const wake of this.#sleepers) wake()
  }
}
