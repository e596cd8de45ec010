interface Waiting {
  readonly weight: number
  readonly go: () => void
}

/** Lets work go on as long as all of it together weighs no more than a limit. What is light goes past what is not. */
export class WeightedTurns {
  readonly #max: number
  readonly #line: Waiting[] = []
  #taken = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Waits for a turn; returns what ends it, to be called once. One that is too heavy goes alone. Throws the signal's reason. */
  async take(weight: number, { signal }: { readonly signal: AbortSignal }): Promise<() => void> {
    signal.throwIfAborted()
    const taken = Math.min(weight, this.#max)
    if (this.#taken + taken <= this.#max) this.#taken += taken
    else await this.#wait(taken, signal)
    return () => {
      this.#taken -= taken
      this.#letGo()
    }
  }

  #letGo(): void {
    for (const waiting of this.#line.slice()) {
      if (this.#taken + waiting.weight > this.#max) continue
      this.#taken += waiting.weight
      this.#line.splice(this.#line.indexOf(waiting), 1)
      waiting.go()
    }
  }

  async #wait(weight: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { weight, go: resolve }
    const onAbort = (): void => {
      const at = this.#line.indexOf(waiting)
      if (at < 0) return
      this.#line.splice(at, 1)
      reject(signal.reason)
    }
    this.#line.push(waiting)
    signal.addEventListener('abort', onAbort, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', onAbort))
  }
}
