/** Wakes those who wait for something to change. */
export class Changes {
  #next = Promise.withResolvers<void>()

  /** Resolves at the next change. */
  get next(): Promise<void> {
    return this.#next.promise
  }

  /** Something has changed. */
  readonly tell = (): void => {
    this.#next.resolve()
    this.#next = Promise.withResolvers()
  }
}
