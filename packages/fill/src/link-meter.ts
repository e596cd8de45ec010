import type { Clock } from './clock.ts'
import { meterWindowMs, sampleBytes, sampleMs, staleRouteMs } from './limits.ts'

/**
 * Measures how many bytes per second a link carries while something comes over it: all bodies together,
 * since they share it. Bytes and time are added up, so that bursts out of a buffer do not count for more;
 * what is older counts less and less, and is forgotten in the end.
 */
export class LinkMeter {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #running = 0
  #sinceMs = 0
  #activeMs = 0
  #bytes = 0
  #measuredMs = 0

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  /** Undefined when nothing was measured of late. */
  get bytesPerSecond(): number | undefined {
    const isEnough = this.#bytes >= sampleBytes || this.#activeMs >= sampleMs
    const ageMs = this.#clock.monotonicMs() - this.#measuredMs
    if (!isEnough || this.#bytes === 0 || this.#activeMs < 1 || ageMs > staleRouteMs)
      return undefined
    return (this.#bytes / this.#activeMs) * 1_000
  }

  /** A body begins to come. Call what is returned once when it ends. */
  begin(): { readonly bytes: (count: number) => void; readonly end: () => void } {
    this.#settle()
    this.#running += 1
    let isOver = false
    return {
      bytes: (count) => {
        if (!isOver) this.#add(count)
      },
      end: () => {
        if (isOver) return
        isOver = true
        this.#settle()
        this.#running -= 1
      },
    }
  }

  #add(count: number): void {
    this.#settle()
    this.#bytes += count
    this.#measuredMs = this.#clock.monotonicMs()
    if (this.#activeMs < meterWindowMs) return
    this.#bytes /= 2
    this.#activeMs /= 2
  }

  /** Counts the time that passed while something was coming. */
  #settle(): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#running > 0) this.#activeMs += nowMs - this.#sinceMs
    this.#sinceMs = nowMs
  }
}
