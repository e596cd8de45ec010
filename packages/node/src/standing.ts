import type { MemberStatus } from '@modmesh/peers'

/** How a member stands: `member`, `provisional`, or why it is refused (`revoked`, `expired`, …). */
export function standingOf({ refusal, admittedMs }: MemberStatus): string {
  return refusal ?? (admittedMs === undefined ? 'provisional' : 'member')
}
