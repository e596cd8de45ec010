import type { Clock } from '@modmesh/fill'

/** A token bucket: so many at once, so many per second. */
export class Allowance {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  constructor(
    components: { readonly clock: Clock },
    init: { readonly perSecond: number; readonly burst: number },
  ) {
    this.#clock = components.clock
    this.#perSecond = init.perSecond
    this.#burst = init.burst
    this.#tokens = init.burst
    this.#at = components.clock.monotonicMs()
  }

  /** Takes tokens when there are any; may go below zero once, so that large takes are possible. */
  take(count: number): boolean {
    this.#refill()
    if (this.#tokens <= 0) return false
    this.#tokens -= count
    return true
  }

  /** Gives tokens back, for what turned out to be asked for. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + count)
  }

  /** How long until there is a token, milliseconds. */
  readyInMs(): number {
    this.#refill()
    if (this.#tokens > 0) return 0
    return Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1_000)
  }

  /** Takes tokens, waiting until there are any. */
  async wait(count: number, options: { readonly signal: AbortSignal }): Promise<void> {
    while (!this.take(count)) await this.#clock.sleep(this.readyInMs(), options)
  }

  #refill(): void {
    const now = this.#clock.monotonicMs()
    const gained = ((now - this.#at) / 1_000) * this.#perSecond
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
    this.#at = now
  }
}
