import { asksPerHedge, maxSparedHedges } from './limits.ts'

/**
 * How often a second holder may be asked only because the first is later than usual: once in twenty asks, so
 * that a busy mesh does not get twice the load. Who has used up its whole time does not count here.
 */
export class Hedges {
  /** In asks. */
  #spared = asksPerHedge

  /** A holder was asked. */
  asked(): void {
    this.#spared = Math.min(this.#spared + 1, maxSparedHedges * asksPerHedge)
  }

  get mayHedge(): boolean {
    return this.#spared >= asksPerHedge
  }

  /** A second one was asked early. */
  hedged(): void {
    this.#spared -= asksPerHedge
  }
}
