/** Lets a bounded number of tasks go on while more are prepared. The first failure is thrown to whoever adds or waits. */
export class InFlight {
  readonly #limit: number
  readonly #running = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Begins a task, after others when there are too many; also after a failure, as it may hold what it lets go of. */
  async add(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running)
    const run = this.#run(work)
    this.#running.add(run)
    void run.then(() => this.#running.delete(run))
    this.#check()
  }

  /** Resolves when none is running. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
    this.#check()
  }

  async #run(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#failure ??= { error }
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
