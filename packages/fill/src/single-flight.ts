import { abortable, handled } from './scope.ts'

/**
 * Equal requests share one piece of work. It belongs to nobody: a waiter's own signal ends that
 * waiter's wait only.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>()

  /** Work under way. */
  get size(): number {
    return this.#flights.size
  }

  /** Whether work is under way under `key`. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /** Joins the work under `key`, or starts it. */
  join(
    key: string,
    start: () => Promise<T>,
    options: { readonly signal: AbortSignal },
  ): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#takeOff(key, start)
    return abortable(flight, options.signal)
  }

  /** Resolves when all work under way has ended, well or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#flights.values())
  }

  #takeOff(key: string, start: () => Promise<T>): Promise<T> {
    const flight = handled(start().finally(() => this.#flights.delete(key)))
    this.#flights.set(key, flight)
    return flight
  }
}
