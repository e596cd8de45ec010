declare const brand: unique symbol

/** The h1 of a go.mod alone: the `/go.mod` line of go.sum. */
export type ModHash = string & { readonly [brand]: 'ModHash' }

/** Parses `h1:…` of a `/go.mod` line. Throws InvalidHashError. */
export function parseModHash(text: string): ModHash {
  throw new Error(`to come: ${text}`)
}

/** Hashes the bytes of a go.mod. */
export function hashMod(bytes: Uint8Array): ModHash {
  throw new Error(`to come: ${bytes.length}`)
}
