import { fruitlessSearches, trialSearches } from './limits.ts'

/**
 * How long peers, or a remote store, are asked about a module version before upstream and the database
 * join. Who knew nothing for a while, or was late, loses the head start, so that a cold build does not
 * pay for it; the next answer gives it back.
 */
export class EarnedHeadStart {
  readonly #budgetMs: number
  #fruitless = 0
  #waited = 0

  constructor(init: { readonly headStartMs: number }) {
    this.#budgetMs = init.headStartMs
  }

  get ms(): number {
    return this.#fruitless < fruitlessSearches ? this.#budgetMs : 0
  }

  /**
   * Whether the next search may wait until upstream is late: those before found nothing. Now and then
   * one does not wait, and may show that peers know something again.
   */
  mayWait(): boolean {
    if (this.#fruitless < fruitlessSearches) return false
    this.#waited = (this.#waited + 1) % trialSearches
    return this.#waited !== 0
  }

  /** One knew something. */
  found(): void {
    this.#fruitless = 0
  }

  /** All answered and none knew anything, or the time was over before. */
  missed(): void {
    this.#fruitless++
  }
}
