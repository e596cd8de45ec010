import { BoundedMap } from './bounded-map.ts'

/** Remembers at most `max` keys; the one added the longest ago gives way. */
export class BoundedSet {
  readonly #keys: BoundedMap<true>

  constructor(max: number) {
    this.#keys = new BoundedMap(max)
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  add(key: string): void {
    this.#keys.set(key, true)
  }

  delete(key: string): void {
    this.#keys.delete(key)
  }
}
