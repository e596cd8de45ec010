import type { PeerStatus } from './lone-mesh.ts'
import type { PeerLine } from './status.ts'

/** Shows a peer as status does. */
export function peerLine(peer: PeerStatus): PeerLine {
  return {
    id: peer.id,
    name: peer.name ?? null,
    site: peer.site ?? null,
    connected: peer.connected,
    address: peer.address ?? null,
    rttMs: peer.rttMs ?? null,
    holds: peer.holds ?? null,
    receivedBytes: peer.receivedBytes ?? null,
    blamed: peer.blamed ?? null,
  }
}
