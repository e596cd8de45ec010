import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { decodeBase64, isPlainText } from './bytes.ts'
import { InvalidVerifierKeyError, SumdbUntrustedError } from './errors.ts'
import { maxNoteBytes, maxNoteSignatures } from './limits.ts'

const ed25519 = 1
const signaturePrefix = '— '

/** The public key of a checksum database: `{name}+{hash}+{base64(1 || Ed25519 key)}`. */
export interface VerifierKey {
  readonly name: string
  /** The first 4 bytes of SHA-256(name LF key bytes), big-endian. */
  readonly hash: number
  readonly publicKey: KeyObject
  /** The key as it was written. */
  readonly text: string
}

interface Signature {
  readonly name: string
  readonly hash: number
  readonly bytes: Uint8Array
  readonly line: string
}

/** Parses a verifier key (x/mod note.NewVerifier). Throws InvalidVerifierKeyError. */
export function parseVerifierKey(text: string): VerifierKey {
  // Base64 can contain `+`, so only the first two divide.
  const first = text.indexOf('+')
  const second = text.indexOf('+', first + 1)
  if (first < 0 || second < 0) throw new InvalidVerifierKeyError(text, 'not name+hash+key')
  const name = text.slice(0, first)
  if (!isKeyName(name)) throw new InvalidVerifierKeyError(text, 'malformed name')
  const hash = parseKeyHash(text.slice(first + 1, second))
  const key = decodeBase64(text.slice(second + 1))
  if (hash === undefined || key === undefined) {
    throw new InvalidVerifierKeyError(text, 'malformed hash or key')
  }
  if (key[0] !== ed25519 || key.length !== 33) {
    throw new InvalidVerifierKeyError(text, 'not an Ed25519 key')
  }
  if (keyHash(name, key) !== hash) {
    throw new InvalidVerifierKeyError(text, 'the hash is not that of name and key')
  }
  return { name, hash, publicKey: ed25519PublicKey(key.subarray(1)), text }
}

/** Computes the hash that names a key among those of equal name. */
export function keyHash(name: string, key: Uint8Array): number {
  return createHash('sha256').update(`${name}\n`).update(key).digest().readUInt32BE(0)
}

/** A note whose signature was verified. */
export interface OpenedNote {
  /** What was signed; ends in LF. */
  readonly text: string
  /** The note with the signature of the verifier alone: any stranger can add others and make it long. */
  readonly note: string
}

/**
 * Verifies a signed note (x/mod note.Open). Signatures of unknown keys are left out; a bad one of
 * `key`, or none, is refused. Throws SumdbUntrustedError.
 */
export function openNote(note: string, key: VerifierKey): OpenedNote {
  if (note.length > maxNoteBytes || Buffer.byteLength(note) > maxNoteBytes) refuse('too long')
  if (!isPlainText(note)) refuse('not plain UTF-8 text')
  const split = note.lastIndexOf('\n\n')
  if (split < 0) refuse('no signatures')
  const text = note.slice(0, split + 1)
  const signature = parseSignatures(note.slice(split + 2)).find(
    ({ name, hash }) => name === key.name && hash === key.hash,
  )
  if (signature === undefined) return refuse(`not signed by ${key.name}`)
  if (!verify(null, Buffer.from(text), key.publicKey, signature.bytes)) {
    refuse(`the signature of ${key.name} is wrong`)
  }
  return { text, note: `${text}\n${signature.line}\n` }
}

function refuse(reason: string): never {
  throw new SumdbUntrustedError(`signed note refused: ${reason}`)
}

function parseSignatures(block: string): Signature[] {
  if (!block.endsWith('\n')) refuse('no signatures')
  const signatures: Signature[] = []
  for (let start = 0; start < block.length; ) {
    const end = block.indexOf('\n', start)
    if (signatures.length === maxNoteSignatures) refuse('too many signatures')
    signatures.push(parseSignature(block.slice(start, end)))
    start = end + 1
  }
  return signatures
}

function parseSignature(line: string): Signature {
  if (!line.startsWith(signaturePrefix)) refuse('malformed signature')
  const space = line.indexOf(' ', signaturePrefix.length)
  const name = line.slice(signaturePrefix.length, space)
  const bytes = decodeBase64(line.slice(space + 1))
  if (space < 0 || !isKeyName(name) || bytes === undefined || bytes.length < 5) {
    return refuse('malformed signature')
  }
  return { name, hash: Buffer.from(bytes).readUInt32BE(0), bytes: bytes.subarray(4), line }
}

function isKeyName(name: string): boolean {
  if (name === '' || !name.isWellFormed()) return false
  for (const character of name) {
    if (character === '+' || character.trim() === '') return false
  }
  return true
}

function parseKeyHash(text: string): number | undefined {
  if (text.length !== 8) return undefined
  const bytes = Buffer.from(text, 'hex')
  return bytes.length === 4 ? bytes.readUInt32BE(0) : undefined
}

function ed25519PublicKey(key: Uint8Array): KeyObject {
  const x = Buffer.from(key).toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
}
