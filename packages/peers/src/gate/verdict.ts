import type { RefusalReason } from '../membership/errors.ts'

/** The verdict byte of an accepted chain. */
export const accepted = 0

const codes: ReadonlyMap<RefusalReason, number> = new Map<RefusalReason, number>([
  ['malformed', 1],
  ['too-large', 2],
  ['version', 3],
  ['other-mesh', 4],
  ['bad-signature', 5],
  ['wrong-peer', 6],
  ['not-yet-valid', 7],
  ['expired', 8],
  ['no-mesh', 9],
  ['revoked', 10],
  ['used-up', 11],
  ['old-root', 12],
])

/** Returns the verdict byte of a refusal. */
export function formatVerdict(reason: RefusalReason): number {
  return codes.get(reason) ?? 255
}

/** Returns the refusal that a verdict byte names, or undefined for one that we do not know. */
export function parseVerdict(byte: number): RefusalReason | undefined {
  for (const [reason, code] of codes) if (code === byte) return reason
  return undefined
}
