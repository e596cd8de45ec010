import type { Clock } from '@modmesh/fill'

/** Parts of the time over which a rate is measured. */
const parts = 10

/** Measures bytes per second over the last moments. */
export class RecentRate {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #partMs: number
  /** Bytes by number of the part since the clock's zero. */
  readonly #bytes = new Map<number, number>()

  constructor(
    components: { readonly clock: Pick<Clock, 'monotonicMs'> },
    init: { readonly overMs: number },
  ) {
    this.#clock = components.clock
    this.#partMs = init.overMs / parts
  }

  note(bytes: number): void {
    const part = this.#forget()
    this.#bytes.set(part, (this.#bytes.get(part) ?? 0) + bytes)
  }

  perSecond(): number {
    this.#forget()
    let bytes = 0
    for (const ofPart of this.#bytes.values()) bytes += ofPart
    return Math.round((bytes * 1_000) / (parts * this.#partMs))
  }

  /** Returns the part of now. */
  #forget(): number {
    const now = Math.floor(this.#clock.monotonicMs() / this.#partMs)
    for (const part of this.#bytes.keys()) if (part <= now - parts) this.#bytes.delete(part)
    return now
  }
}
