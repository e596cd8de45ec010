import { InvalidHashError } from './errors.ts'
import { formatH1, parseH1 } from './h1.ts'

declare const brand: unique symbol

/** The h1 of a module zip, `h1:` and base64: names its content, not its bytes. */
export type ZipHash = string & { readonly [brand]: 'ZipHash' }

/** SHA-256 of one concrete zip file's bytes, 64 lower-case hex digits. */
export type ZipDigest = string & { readonly [brand]: 'ZipDigest' }

/** Parses `h1:…` as found in go.sum. Throws InvalidHashError. */
export function parseZipHash(text: string): ZipHash {
  parseH1(text)
  return text as ZipHash
}

/** Parses 64 hex digits. Throws InvalidHashError. */
export function parseZipDigest(text: string): ZipDigest {
  if (text.length !== 64) throw new InvalidHashError(text)
  for (let i = 0; i < text.length; i++) {
    if (!hexDigits.has(text.charAt(i))) throw new InvalidHashError(text)
  }
  return text as ZipDigest
}

/** The 32 bytes inside an h1. */
export function zipHashBytes(hash: ZipHash): Uint8Array {
  return parseH1(hash)
}

/** The h1 whose 32 bytes are given. Throws InvalidHashError for another length. */
export function zipHashFromBytes(bytes: Uint8Array): ZipHash {
  if (bytes.length !== 32) throw new InvalidHashError(`${bytes.length} bytes`)
  return formatH1(bytes) as ZipHash
}

const hexDigits = new Set('0123456789abcdef')
