import { BoundedMap } from './bounded-map.ts'
import type { Clock } from './clock.ts'

/** Remembers at most `entries` keys for `ms`; the oldest gives way. */
export class RecentSet {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #ms: number
  readonly #untilMs: BoundedMap<number>

  constructor(
    components: { readonly clock: Pick<Clock, 'monotonicMs'> },
    init: { readonly entries: number; readonly ms: number },
  ) {
    this.#clock = components.clock
    this.#ms = init.ms
    this.#untilMs = new BoundedMap(init.entries)
  }

  has(key: string): boolean {
    return (this.#untilMs.get(key) ?? 0) > this.#clock.monotonicMs()
  }

  add(key: string): void {
    this.#untilMs.set(key, this.#clock.monotonicMs() + this.#ms)
  }
}
