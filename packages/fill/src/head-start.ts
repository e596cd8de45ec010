import { fruitlessSearches } from './limits.ts'

/**
 * How long peers are asked about a module version before upstream and the database join. Peers that
 * knew nothing for a while lose their head start, so that a cold build does not pay for them; the
 * next answer of any peer gives it back.
 */
export class MeshHeadStart {
  readonly #budgetMs: number
  #fruitless = 0

  constructor(init: { readonly headStartMs: number }) {
    this.#budgetMs = init.headStartMs
  }

  get ms(): number {
    return this.#fruitless < fruitlessSearches ? this.#budgetMs : 0
  }

  /** A peer knew something. */
  found(): void {
    this.#fruitless = 0
  }

  /** All peers answered, and none knew anything. */
  missed(): void {
    this.#fruitless++
  }
}
