import { maxQuietMs, maxRetryAfterMs } from '../limits.ts'
import { FetchError } from './fetch-error.ts'
import { sleepUntilAborted } from './sleep.ts'

/** Origins that said 429 with a Retry-After: nobody else asks them meanwhile. */
export class QuietOrigins {
  readonly #untilMs = new Map<string, number>()

  /** Waits until an origin may be asked. Throws FetchError at once when that is too long. */
  async wait(origin: string, signal: AbortSignal): Promise<void> {
    const untilMs = this.#untilMs.get(origin)
    if (untilMs === undefined) return
    const waitMs = untilMs - performance.now()
    if (waitMs <= 0) {
      this.#untilMs.delete(origin)
      return
    }
    if (waitMs > maxRetryAfterMs) {
      const seconds = Math.ceil(waitMs / 1_000)
      const message = `${origin}: 429 a moment ago: it wants no request for ${seconds} s`
      throw new FetchError('status', message, { status: 429, retryAfterMs: waitMs })
    }
    // Those who waited together do not come back together.
    await sleepUntilAborted(waitMs + Math.random() * Math.min(waitMs, 1_000), signal)
  }

  saw(origin: string, error: unknown): void {
    if (!(error instanceof FetchError) || error.status !== 429) return
    if (error.retryAfterMs === undefined) return
    const ms = Math.min(error.retryAfterMs, maxQuietMs)
    this.#untilMs.set(origin, Math.max(performance.now() + ms, this.#untilMs.get(origin) ?? 0))
  }
}
