const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** An identity multihash of libp2p's protobuf of an Ed25519 public key. */
const prefix: Uint8Array = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const publicKeyBytes = 32

/** Writes the peer id of an Ed25519 public key as everywhere else, without loading the mesh for it. */
export function peerIdOf(publicKey: Uint8Array): string {
  if (publicKey.length !== publicKeyBytes) throw new RangeError('not an Ed25519 public key')
  return base58(Buffer.concat([prefix, publicKey]))
}

function base58(bytes: Uint8Array): string {
  let text = ''
  for (let rest = BigInt(`0x${Buffer.from(bytes).toString('hex')}`); rest > 0n; rest /= 58n) {
    text = (alphabet[Number(rest % 58n)] ?? '') + text
  }
  const zeros = bytes.findIndex((byte) => byte !== 0)
  return alphabet.slice(0, 1).repeat(zeros) + text
}
