import type { Clock } from '@modmesh/fill'

/** Why a transfer that stands still or drips was ended. */
export class NoProgressError extends Error {
  readonly code = 'NO_PROGRESS'
  constructor(what: string) {
    super(what)
    this.name = 'NoProgressError'
  }
}

/** How slow is too slow. */
export interface ProgressLimits {
  /** Longest time without progress, milliseconds. */
  readonly stallMs: number
  /** Bytes per second on average that are demanded once `rateAfterMs` passed. */
  readonly minRate: number
  readonly rateAfterMs: number
}

/** Aborts a transfer that stands still or drips. Time in which we are the slow side does not count. */
export class ProgressGuard {
  readonly #clock: Clock
  readonly #limits: ProgressLimits
  readonly #abort = new AbortController()
  readonly #stop = new AbortController()
  #movedAt: number
  #bytes = 0
  #activeMs = 0
  #pausedAt: number | undefined

  constructor(components: { readonly clock: Clock }, init: ProgressLimits) {
    this.#clock = components.clock
    this.#limits = init
    this.#movedAt = this.#clock.monotonicMs()
    void this.#watch()
  }

  /** Aborts with NoProgressError. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Notes bytes that moved. */
  moved(bytes: number): void {
    const now = this.#clock.monotonicMs()
    if (this.#pausedAt === undefined) this.#activeMs += now - this.#movedAt
    this.#movedAt = now
    this.#bytes += bytes
  }

  /** The peer waits for us. */
  pause(): void {
    this.moved(0)
    this.#pausedAt = this.#movedAt
  }

  resume(): void {
    this.moved(0)
    this.#pausedAt = undefined
  }

  stop(): void {
    this.#stop.abort(new NoProgressError('done'))
  }

  async #watch(): Promise<void> {
    const { stallMs } = this.#limits
    for (;;) {
      const sinceMoved = this.#clock.monotonicMs() - this.#movedAt
      const waitMs = this.#pausedAt === undefined ? Math.max(1, stallMs - sinceMoved) : stallMs
      try {
        await this.#clock.sleep(waitMs, { signal: this.#stop.signal })
      } catch {
        return // stopped: the transfer is over
      }
      const verdict = this.#verdict()
      if (verdict !== undefined) return this.#abort.abort(new NoProgressError(verdict))
    }
  }

  #verdict(): string | undefined {
    if (this.#pausedAt !== undefined) return undefined
    const { stallMs, minRate, rateAfterMs } = this.#limits
    const waited = this.#clock.monotonicMs() - this.#movedAt
    if (waited >= stallMs) return `no byte for ${stallMs} ms`
    const activeMs = this.#activeMs + waited
    if (activeMs > rateAfterMs && this.#bytes < (activeMs / 1_000) * minRate) {
      return `fewer than ${minRate} bytes per second`
    }
    return undefined
  }
}
