import type { PeerStatus } from '@modmesh/peers'
import type { PeerLine } from './status.ts'

/** Shows a peer as status does. */
export function peerLine(peer: PeerStatus): PeerLine {
  const { name, site, rttMs, inventorySize, blamed } = peer
  return {
    id: peer.peer,
    name,
    site,
    connected: peer.isConnected,
    connectedSince: toIso(peer.connectedSinceMs),
    rttMs: rttMs ?? null,
    holds: inventorySize ?? null,
    receivedBytes: peer.takenBytes,
    sentBytes: peer.givenBytes,
    blamed: blamed === undefined ? null : toBlame(blamed),
  }
}

function toBlame(blamed: NonNullable<PeerStatus['blamed']>): NonNullable<PeerLine['blamed']> {
  const { reason, count, atMs, isActive } = blamed
  return { reason, count, at: new Date(atMs).toISOString(), avoided: isActive }
}

function toIso(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
