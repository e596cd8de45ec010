import type { RefusedAnswer, SumdbOps } from './sumdb-ops.ts'

/** Which answer was refused, and why. */
export type Refusal = Pick<RefusedAnswer, 'path' | 'reason'>

/**
 * Keeps answers of the database that do not verify, behind the error that refused them: whoever runs the
 * node can show what was sent.
 */
export class Refusals {
  readonly #ops: Pick<SumdbOps, 'keepRefused'>
  readonly #running = new Set<Promise<void>>()
  #count = 0
  #latest: Refusal | undefined

  constructor(ops: Pick<SumdbOps, 'keepRefused'>) {
    this.#ops = ops
  }

  /** How many answers were refused since the start. */
  get count(): number {
    return this.#count
  }

  /** The last one; undefined before the first. */
  get latest(): Refusal | undefined {
    return this.#latest
  }

  keep(answer: RefusedAnswer): void {
    this.#count += 1
    this.#latest = { path: answer.path, reason: answer.reason }
    // Evidence is an aid: the answer is refused whether or not the disk takes it.
    const kept = this.#ops.keepRefused(answer).catch(() => {})
    this.#running.add(kept)
    void kept.then(() => this.#running.delete(kept))
  }

  /** Resolves when everything kept so far is written. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
