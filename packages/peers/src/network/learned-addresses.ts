import type { PeerInfo, PeerStore } from '@libp2p/interface'
import { maxLearnedAddresses } from './limits.ts'

/** Notes where a member was seen. Old addresses never run out by themselves: the newest take their places. */
export async function learnAddresses(
  peerStore: PeerStore,
  { id, multiaddrs }: PeerInfo,
): Promise<void> {
  const known = (await peerStore.has(id)) ? (await peerStore.get(id)).addresses : []
  const all = [...multiaddrs, ...known.map(({ multiaddr }) => multiaddr)]
  const unique = [...new Map(all.map((address) => [address.toString(), address])).values()]
  await peerStore.patch(id, { multiaddrs: unique.slice(0, maxLearnedAddresses) })
}
