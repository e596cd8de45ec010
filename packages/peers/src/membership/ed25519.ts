import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'

/** Bytes of a raw Ed25519 public key or seed. */
export const keyBytes = 32
/** Bytes of an Ed25519 signature. */
export const signatureBytes = 64

// RFC 8410: the fixed DER headers before a raw Ed25519 seed and public key.
const pkcs8Header = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiHeader = Buffer.from('302a300506032b6570032100', 'hex')

/** Makes a new secret seed. */
export function newSeed(): Uint8Array {
  return new Uint8Array(randomBytes(keyBytes))
}

/** Derives the raw public key of a seed. */
export function publicKeyOf(seed: Uint8Array): Uint8Array {
  const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' })
  return new Uint8Array(spki.subarray(spkiHeader.length))
}

/** Signs `domain` followed by `body`; the domain keeps one kind of signature from passing for another. */
export function signBody(domain: string, body: Uint8Array, seed: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message(domain, body), privateKey(seed)))
}

/** Tells whether a signature of `domain` followed by `body` is by the owner of a raw public key. */
export function isSignedBy(
  domain: string,
  body: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  const key = createPublicKey({
    key: Buffer.concat([spkiHeader, publicKey]),
    format: 'der',
    type: 'spki',
  })
  return verify(null, message(domain, body), key, signature)
}

function privateKey(seed: Uint8Array): ReturnType<typeof createPrivateKey> {
  return createPrivateKey({
    key: Buffer.concat([pkcs8Header, seed]),
    format: 'der',
    type: 'pkcs8',
  })
}

function message(domain: string, body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(domain, 'utf8'), body])
}
