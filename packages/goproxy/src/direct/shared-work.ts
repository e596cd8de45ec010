import { untilAborted } from '../until-aborted.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly abort: AbortController
  waiting: number
}

/** Lets those who want the same thing at the same time share one piece of work, which ends when the last one left. */
export class SharedWork<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** Joins the work under way for a key, or starts it. Throws what the work throws, or the signal's reason. */
  async join(
    key: string,
    work: (options: { readonly signal: AbortSignal }) => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    flight.waiting++
    try {
      return await untilAborted(flight.result, signal)
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        this.#drop(key, flight)
        flight.abort.abort(signal.reason)
      }
    }
  }

  #start(key: string, work: (options: { readonly signal: AbortSignal }) => Promise<T>): Flight<T> {
    const abort = new AbortController()
    const flight: Flight<T> = { result: work({ signal: abort.signal }), abort, waiting: 0 }
    this.#flights.set(key, flight)
    // Those who wait are told; when all have left there is nobody to tell.
    flight.result.catch(() => {}).finally(() => this.#drop(key, flight))
    return flight
  }

  #drop(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
