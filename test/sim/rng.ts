/** Seeded randomness. A fork by name has its own stream, so a new draw in one part does not shift the others. */
export class Rng {
  readonly #seed: number
  #state: number

  constructor(seed: number) {
    this.#seed = seed >>> 0
    this.#state = mix(this.#seed)
  }

  fork(name: string): Rng {
    let hash = this.#seed
    for (let i = 0; i < name.length; i++)
      hash = mix(hash ^ Math.imul(name.charCodeAt(i), 0x9e3779b1))
    return new Rng(hash)
  }

  /** From 0 up to and without 2**32. */
  u32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    return mix(this.#state)
  }

  /** From 0 up to and without 1. */
  unit(): number {
    return this.u32() / 0x1_0000_0000
  }

  /** From `low` up to and without `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low))
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length)]!
  }
}

/** Spreads 32 bits (the finaliser of splitmix32). */
export function mix(value: number): number {
  let bits = value >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad)
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97)
  return (bits ^ (bits >>> 15)) >>> 0
}
