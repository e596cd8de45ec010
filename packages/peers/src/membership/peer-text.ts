import { peerIdFromString } from '@libp2p/peer-id'
import { base58btc } from 'multiformats/bases/base58'

/** Returns the text of a peer id; of an Ed25519 key, as all of ours are. */
export function peerText(peer: Uint8Array): string {
  return base58btc.baseEncode(peer)
}

/** Returns the bytes of a peer id. */
export function peerBytes(peerId: string): Uint8Array {
  return peerIdFromString(peerId).toMultihash().bytes
}
