import { keyBytes } from './ed25519.ts'

// A libp2p peer id of an Ed25519 key is the key itself: identity multihash (00), 36 bytes of
// protobuf: type Ed25519 (08 01), 32 bytes of key (12 20).
const prefix = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
// libp2p's protobuf of an Ed25519 private key: type, then 64 bytes of seed and public key.
const privatePrefix = Uint8Array.of(0x08, 0x01, 0x12, 0x40)

/** Returns the public key inside a peer id, or undefined for one of another kind of key. */
export function publicKeyOfPeer(peer: Uint8Array): Uint8Array | undefined {
  if (peer.byteLength !== prefix.byteLength + keyBytes) return undefined
  if (!prefix.every((byte, i) => peer[i] === byte)) return undefined
  return peer.subarray(prefix.byteLength)
}

/** Returns the seed inside libp2p's protobuf of an Ed25519 private key. Throws RangeError on others. */
export function seedOfPrivateKey(protobuf: Uint8Array): Uint8Array {
  const isEd25519 = privatePrefix.every((byte, i) => protobuf[i] === byte)
  if (!isEd25519 || protobuf.byteLength !== privatePrefix.byteLength + 2 * keyBytes) {
    throw new RangeError('not an Ed25519 private key')
  }
  return protobuf.slice(privatePrefix.byteLength, privatePrefix.byteLength + keyBytes)
}
