interface Flight<V> {
  readonly result: Promise<V>
  readonly controller: AbortController
  waiting: number
}

/** Joins equal work in progress: it belongs to all who wait, and ends early only when the last of them left. */
export class Flights<V> {
  readonly #flights = new Map<string, Flight<V>>()

  /** Starts the work or joins it; rejects with the signal's reason when this caller gives up. */
  run(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<V>): Promise<V> {
    if (signal.aborted) return Promise.reject(signal.reason)
    const flight = this.#flights.get(key) ?? this.#take(key, start)
    flight.waiting++
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (--flight.waiting === 0) this.#abandon(key, flight, signal.reason)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      const land = () => signal.removeEventListener('abort', leave)
      flight.result.then(resolve, reject).then(land, land)
    })
  }

  #take(key: string, start: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const controller = new AbortController()
    const result = start(controller.signal).finally(() => this.#remove(key, flight))
    const flight: Flight<V> = { result, controller, waiting: 0 }
    this.#flights.set(key, flight)
    return flight
  }

  #abandon(key: string, flight: Flight<V>, reason: unknown): void {
    this.#remove(key, flight)
    flight.controller.abort(reason)
  }

  #remove(key: string, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
