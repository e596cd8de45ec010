import type { Clock } from './clock.ts'
import { sampleBytes, sampleMs, sampleWeight, staleRouteMs } from './limits.ts'

/**
 * Measures how many bytes per second a link carries while something comes over it: all bodies together,
 * since they share it. Averages decay, and an old one is forgotten.
 */
export class LinkMeter {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #running = 0
  #sinceMs = 0
  #activeMs = 0
  #bytes = 0
  #average: { readonly bytesPerSecond: number; readonly atMs: number } | undefined

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  /** Undefined when nothing was measured of late. */
  get bytesPerSecond(): number | undefined {
    const average = this.#average
    if (average === undefined) return undefined
    const ageMs = this.#clock.monotonicMs() - average.atMs
    return ageMs <= staleRouteMs ? average.bytesPerSecond : undefined
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
    const isEnough = this.#bytes >= sampleBytes || this.#activeMs >= sampleMs
    if (!isEnough || this.#activeMs < 1) return
    const measured = (this.#bytes / this.#activeMs) * 1_000
    const before = this.bytesPerSecond ?? measured
    const bytesPerSecond = before + (measured - before) * sampleWeight
    this.#average = { bytesPerSecond, atMs: this.#clock.monotonicMs() }
    this.#bytes = 0
    this.#activeMs = 0
  }

  /** Counts the time that passed while something was coming. */
  #settle(): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#running > 0) this.#activeMs += nowMs - this.#sinceMs
    this.#sinceMs = nowMs
  }
}
