import { createHash } from 'node:crypto'
import { formatH1, parseH1 } from './h1.ts'
import { formatManifest, hashManifest } from './manifest.ts'

declare const brand: unique symbol

/** The h1 of a go.mod alone: the `/go.mod` line of go.sum. */
export type ModHash = string & { readonly [brand]: 'ModHash' }

/** Parses `h1:…` of a `/go.mod` line. Throws InvalidHashError. */
export function parseModHash(text: string): ModHash {
  return formatH1(parseH1(text)) as ModHash
}

/** Hashes the bytes of a go.mod. */
export function hashMod(bytes: Uint8Array): ModHash {
  const sha256 = createHash('sha256').update(bytes).digest()
  return parseModHash(hashManifest(formatManifest([{ name: 'go.mod', sha256 }])))
}
