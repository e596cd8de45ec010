import type { RefusedAnswer, SumdbOps } from './sumdb-ops.ts'

/**
 * Keeps answers of the database that do not verify, behind the error that refused them: whoever runs the
 * node can show what was sent.
 */
export class Refusals {
  readonly #ops: Pick<SumdbOps, 'keepRefused'>
  readonly #running = new Set<Promise<void>>()
  #count = 0

  constructor(ops: Pick<SumdbOps, 'keepRefused'>) {
    this.#ops = ops
  }

  /** How many answers were refused since the start. */
  get count(): number {
    return this.#count
  }

  keep(answer: RefusedAnswer): void {
    this.#count += 1
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
