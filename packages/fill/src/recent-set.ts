import type { Clock } from './clock.ts'

/** Remembers at most `entries` keys for `ms`; the oldest gives way. */
export class RecentSet {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #init: { readonly entries: number; readonly ms: number }
  readonly #until = new Map<string, number>()

  constructor(
    components: { readonly clock: Pick<Clock, 'monotonicMs'> },
    init: { readonly entries: number; readonly ms: number },
  ) {
    this.#clock = components.clock
    this.#init = init
  }

  has(key: string): boolean {
    return (this.#until.get(key) ?? 0) > this.#clock.monotonicMs()
  }

  add(key: string): void {
    this.#until.delete(key)
    this.#until.set(key, this.#clock.monotonicMs() + this.#init.ms)
    const [oldest] = this.#until.keys()
    if (this.#until.size > this.#init.entries && oldest !== undefined) this.#until.delete(oldest)
  }
}
