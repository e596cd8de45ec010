/** So many at once, the rest in line, in order. */
export class Lanes {
  readonly #max: number
  readonly #line: (() => void)[] = []
  #active = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Runs `work` when a lane is free. A signal that aborts while waiting leaves the line. */
  async run<T>(work: () => Promise<T>, options: { readonly signal: AbortSignal }): Promise<T> {
    await this.#enter(options.signal)
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#active < this.#max) {
      this.#active += 1
      return
    }
    const turn = Promise.withResolvers<void>()
    const onAbort = () => {
      const at = this.#line.indexOf(turn.resolve)
      if (at < 0) return
      this.#line.splice(at, 1)
      turn.reject(signal.reason)
    }
    this.#line.push(turn.resolve)
    signal.addEventListener('abort', onAbort, { once: true })
    await turn.promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  #leave(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#active -= 1
    else next()
  }
}
