import type { Clock } from '@modmesh/fill'
import { sitePacing } from '../limits.ts'

/** Lets bytes go no faster than a rate that may change, in the order in which they ask. */
export class LinkPacer {
  readonly #clock: Clock
  /** When all that was let go is through, on the monotonic clock. */
  #freeMs = Number.NEGATIVE_INFINITY

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Resolves when so many bytes may go. Throws the signal's reason. */
  async wait(
    bytes: number,
    bytesPerSecond: number,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const fromMs = Math.max(this.#freeMs, nowMs - sitePacing.burstMs)
    this.#freeMs = fromMs + (bytes / bytesPerSecond) * 1_000
    const waitMs = this.#freeMs - nowMs
    if (waitMs > 0) await this.#clock.sleep(waitMs, options)
  }
}
