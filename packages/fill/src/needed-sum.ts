import type { ProvenSums } from './checksum-db.ts'

/** Which line of the record is asked for. */
export type NeededSum = 'zip' | 'mod'

/** The sums with the line asked for. Throws MissingSumError. */
export function withNeed<N extends NeededSum>(
  sums: ProvenSums,
  need: N,
): ProvenSums & { readonly [K in N]: NonNullable<ProvenSums[K]> } {
  if (!hasNeed(sums, need)) throw new MissingSumError(need)
  return sums
}

/** Whether there is a line for what is asked. */
export function hasNeed<N extends NeededSum>(
  sums: ProvenSums,
  need: N,
): sums is ProvenSums & { readonly [K in N]: NonNullable<ProvenSums[K]> } {
  return sums[need] !== undefined
}

/** A record verified, but has no line for what was asked. */
export class MissingSumError extends Error {
  readonly code = 'MISSING_SUM'
  constructor(need: NeededSum) {
    super(`the checksum record has no line for the ${need}`)
    this.name = 'MissingSumError'
  }
}
