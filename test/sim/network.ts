import type { Clock } from '@modmesh/fill'
import { untilAborted } from '@modmesh/fill/twins'
import type { Plan } from './plan.ts'
import type { Rng } from './rng.ts'

/** Who can reach whom, and how long it takes. Loss and cuts look alike from outside: nothing comes. */
export class SimNetwork {
  readonly #rng: Rng
  readonly #plan: Plan
  readonly #cuts = new Set<string>()
  #isCalm = false

  constructor(rng: Rng, plan: Plan) {
    this.#rng = rng
    this.#plan = plan
  }

  /** Of a usual round trip. */
  get rttMs(): number {
    return 2 * this.#plan.latencyMs
  }

  /** Cuts one direction, both, or a node off from all; returns how to mend it. */
  cut(nodes: number): () => void {
    const node = this.#rng.between(0, nodes)
    const other = this.#rng.between(0, nodes)
    const kind = this.#rng.pick(['one-way', 'both', 'isolated'])
    const keys: string[] = []
    for (let peer = 0; peer < nodes; peer++) {
      if (kind !== 'isolated' && peer !== other) continue
      keys.push(`${node}>${peer}`)
      if (kind !== 'one-way') keys.push(`${peer}>${node}`)
    }
    for (const key of keys) this.#cuts.add(key)
    return () => {
      for (const key of keys) this.#cuts.delete(key)
    }
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }

  /** Whether a node does not see another one that is there. */
  isOverlooked(rng: Rng): boolean {
    return !this.#isCalm && rng.chance(this.#plan.overlooked)
  }

  /** No more loss and no more cuts. */
  calm(): void {
    this.#isCalm = true
    this.#cuts.clear()
  }

  /** Resolves when a message has arrived; a lost one waits for the signal. */
  async travel(
    from: number,
    to: number,
    options: { readonly clock: Clock; readonly signal: AbortSignal },
  ): Promise<void> {
    const isLost = !this.#isCalm && this.#rng.chance(this.#plan.loss)
    const ms = this.#plan.latencyMs * (0.5 + this.#rng.unit())
    if (isLost || this.isCut(from, to)) await untilAborted(options.signal)
    await options.clock.sleep(ms, options)
  }
}
