import type { PeerStatus } from '@modmesh/peers'
import { toIso, toIsoOrNull } from './iso-time.ts'
import type { PeerLine } from './status.ts'

/** Shows a peer as status does. */
export function peerLine(peer: PeerStatus): PeerLine {
  const { name, site, rttMs, inventorySize, blamed, trouble, otherVersions } = peer
  return {
    id: peer.peer,
    name,
    site,
    connected: peer.isConnected,
    connectedSince: toIsoOrNull(peer.connectedSinceMs),
    rttMs: rttMs ?? null,
    holds: inventorySize ?? null,
    receivedBytes: peer.takenBytes,
    sentBytes: peer.givenBytes,
    blamed: blamed === undefined ? null : toBlame(blamed),
    trouble: trouble === undefined ? null : { reason: trouble.reason, at: toIso(trouble.atMs) },
    incompatible: otherVersions === undefined ? null : incompatible(otherVersions),
  }
}

/** Names at most so many versions that a peer claims to speak. */
const shownVersions = 8

function incompatible({ theirs, ours }: NonNullable<PeerStatus['otherVersions']>): string {
  const named = theirs.slice(0, shownVersions).join(', ')
  const more = theirs.length > shownVersions ? ', …' : ''
  return `it speaks protocol version ${named}${more}, this node ${ours.join(', ')}`
}

function toBlame(blamed: NonNullable<PeerStatus['blamed']>): NonNullable<PeerLine['blamed']> {
  const { reason, count, atMs, isActive } = blamed
  return { reason, count, at: toIso(atMs), avoided: isActive }
}
