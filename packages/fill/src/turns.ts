/** So many at once, the rest in line, in order. */
export class Turns {
  readonly #max: number
  readonly #line: (() => void)[] = []
  #active = 0
  #begun = 0

  constructor(max: number) {
    this.#max = max
  }

  /** How many have had their turn. */
  get begun(): number {
    return this.#begun
  }

  /** Runs `work` when it is its turn. A signal that aborts while waiting leaves the line. */
  async run<T>(work: () => Promise<T>, { signal }: { readonly signal: AbortSignal }): Promise<T> {
    await this.#enter(signal)
    this.#begun += 1
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
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => {
      const at = this.#line.indexOf(resolve)
      if (at < 0) return
      this.#line.splice(at, 1)
      reject(signal.reason)
    }
    this.#line.push(resolve)
    signal.addEventListener('abort', onAbort, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  #leave(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#active -= 1
    else next()
  }
}
