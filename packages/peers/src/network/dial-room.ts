import type { TargetOrigin } from './dial-target.ts'
import { maxLearnedConnections } from './limits.ts'

/** How many connections there are, and how many the node keeps. */
export interface Connections {
  /** Connected peers, and those that are being dialled. */
  readonly count: number
  readonly max: number
}

/** Tells whether a target may be dialled now: half of the connections are left to those who dial us, else nobody new finds anybody. */
export function hasRoom(
  target: { readonly origin: TargetOrigin; readonly isForeign: boolean },
  { count, max }: Connections,
): boolean {
  if (target.origin === 'configured') return true
  if (target.origin === 'lan') return count < max
  const most = Math.min(maxLearnedConnections, Math.ceil(max / 2))
  // Our own site comes first: others get half of what is left to choose.
  return count < (target.isForeign ? Math.ceil(most / 2) : most)
}
