import { SumdbForkError } from './errors.ts'
import type { ForkNotes, SumdbOps } from './sumdb-ops.ts'

/** Ends new trust for good once the database signed two trees that cannot be one log's, and keeps the proof of it. */
export class ForkStop {
  readonly #ops: Pick<SumdbOps, 'keepForkEvidence' | 'readForkEvidence'>
  readonly #name: string
  readonly #listeners = new Set<(fork: SumdbForkError) => void>()
  #fork: SumdbForkError | undefined
  /** Evidence that the disk would not take yet: without it a restart would forget the fork. */
  #unkept: ForkNotes | undefined

  constructor(
    components: { readonly ops: Pick<SumdbOps, 'keepForkEvidence' | 'readForkEvidence'> },
    init: { readonly name: string },
  ) {
    this.#ops = components.ops
    this.#name = init.name
  }

  /** The fork that was found first, by this process or one before whose evidence was recalled. */
  get fork(): SumdbForkError | undefined {
    return this.#fork
  }

  /** Calls the listener once with the fork, at once when it is known. */
  onFork(listener: (fork: SumdbForkError) => void): () => void {
    if (this.#fork !== undefined) listener(this.#fork)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reads what an earlier process kept. */
  async recall(): Promise<void> {
    const evidence = await this.#ops.readForkEvidence()
    if (evidence !== undefined) this.#declare(evidence)
  }

  /** Throws the SumdbForkError after which nothing new is trusted. */
  refuse(): void {
    if (this.#fork !== undefined) throw this.#fork
  }

  /** As `refuse`, after offering the disk what it has not taken yet. */
  async refuseAndKeep(): Promise<void> {
    if (this.#unkept !== undefined) await this.#keep(this.#unkept)
    this.refuse()
  }

  /** Stops: both notes carry the database's signature, so this is proof of a fork by itself. */
  async stop(notes: ForkNotes): Promise<never> {
    const fork = this.#declare(notes)
    await this.#keep(notes)
    throw fork
  }

  #declare(notes: ForkNotes): SumdbForkError {
    const message = `${this.#name} signed two trees that cannot be one log's`
    const fork = new SumdbForkError(message, notes)
    if (this.#fork === undefined) {
      this.#fork = fork
      for (const listener of this.#listeners) listener(fork)
    }
    return fork
  }

  /** The stop must not depend on a disk: what it does not take now is offered again with the next refusal. */
  async #keep(notes: ForkNotes): Promise<void> {
    this.#unkept = notes
    try {
      await this.#ops.keepForkEvidence(notes)
      this.#unkept = undefined
    } catch {
      // The store tells of its own trouble; the error thrown to the caller carries the same two notes.
    }
  }
}
