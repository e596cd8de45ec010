import { createPublicKey, hash, verify } from 'node:crypto'

/** What comes before the inventory where it is signed: the node's key signs other things, too. */
const context = 'modmesh bundle inventory\n'

/** Bytes of an Ed25519 public key. */
export const signerBytes = 32
/** Bytes of an Ed25519 signature. */
export const signatureBytes = 64

/** The bytes that the exporting node signs. */
export function signedBytes(inventory: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(context), inventory])
}

/** Whether an inventory was signed with the key of this Ed25519 public key. */
export function isSignedBy(
  signer: Uint8Array,
  inventory: Uint8Array,
  signature: Uint8Array,
): boolean {
  const x = Buffer.from(signer).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return verify(null, signedBytes(inventory), key, signature)
}

/** Names a bundle: the SHA-256 of its inventory. */
export function bundleId(inventory: Uint8Array): string {
  return hash('sha256', inventory)
}
