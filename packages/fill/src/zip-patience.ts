import type { Budgets } from './budgets.ts'
import { PeerError } from './errors.ts'
import { minHedgeMs, minHedgeRtts } from './limits.ts'
import type { Holder } from './peers.ts'

/** How long the first byte of a holder may take before others join (design, section 6), ms. */
export function firstByteWindowMs(
  { rttMs }: Pick<Holder, 'rttMs'>,
  { firstByteMs, firstByteRtts }: Budgets,
): number {
  return Math.max(firstByteMs, firstByteRtts * (rttMs ?? 0))
}

/** When a first byte is later than nine of ten of this peer's, within the budgets; undefined when nobody knows. */
export function hedgeMs(
  { usualFirstByteMs, rttMs }: Pick<Holder, 'usualFirstByteMs' | 'rttMs'>,
  windowMs: number,
): number | undefined {
  if (usualFirstByteMs === undefined) return undefined
  const leastMs = Math.max(minHedgeMs, minHedgeRtts * (rttMs ?? 0))
  return Math.min(windowMs, Math.max(leastMs, usualFirstByteMs))
}

/** Whether a peer gives too many others something now. */
export function isBusy(error: unknown): boolean {
  return error instanceof PeerError && error.fault === 'busy'
}
