/** What decides whether a connection to a peer is kept. */
export interface KeptPeer {
  readonly peer: string
  /** Named by the user: never closed by us. */
  readonly isConfigured: boolean
  readonly isOwnSite: boolean
  /** Something is being asked or sent over it. */
  readonly isBusy: boolean
  readonly ageMs: number
}

/**
 * Chooses which peers to leave, so that `max` remain: those of other sites first, then the newest.
 * Busy ones and those younger than `graceMs` are left alone: they are looked at again.
 */
export function chooseExcess(
  peers: readonly KeptPeer[],
  { max, graceMs }: { readonly max: number; readonly graceMs: number },
): readonly KeptPeer[] {
  const best = peers.toSorted((a, b) => rank(b) - rank(a) || b.ageMs - a.ageMs)
  return best
    .slice(max)
    .filter(({ isConfigured, isBusy, ageMs }) => !isConfigured && !isBusy && ageMs >= graceMs)
}

function rank({ isConfigured, isOwnSite }: KeptPeer): number {
  return (isConfigured ? 2 : 0) + (isOwnSite ? 1 : 0)
}
