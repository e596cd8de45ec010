declare const brand: unique symbol

/** The h1 of a module zip, `h1:` and base64: names its content, not its bytes. */
export type ZipHash = string & { readonly [brand]: 'ZipHash' }

/** SHA-256 of one concrete zip file's bytes, 64 lower-case hex digits. */
export type ZipDigest = string & { readonly [brand]: 'ZipDigest' }

/** Parses `h1:…` as found in go.sum. Throws InvalidHashError. */
export function parseZipHash(text: string): ZipHash {
  throw new Error(`to come: ${text}`)
}

/** Parses 64 hex digits. Throws InvalidHashError. */
export function parseZipDigest(text: string): ZipDigest {
  throw new Error(`to come: ${text}`)
}

/** The 32 bytes inside an h1. */
export function zipHashBytes(hash: ZipHash): Uint8Array {
  throw new Error(`to come: ${hash}`)
}

/** The h1 whose 32 bytes are given. */
export function zipHashFromBytes(bytes: Uint8Array): ZipHash {
  throw new Error(`to come: ${bytes.length}`)
}
