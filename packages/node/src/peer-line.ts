import type { PeerStatus } from '@modmesh/peers'
import { toIso, toIsoOrNull } from './iso-time.ts'
import type { PeerLine } from './status.ts'

/** Shows a peer as status does. */
export function peerLine(peer: PeerStatus): PeerLine {
  const { name, site, rttMs, inventorySize, blamed } = peer
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
  }
}

function toBlame(blamed: NonNullable<PeerStatus['blamed']>): NonNullable<PeerLine['blamed']> {
  const { reason, count, atMs, isActive } = blamed
  return { reason, count, at: toIso(atMs), avoided: isActive }
}
