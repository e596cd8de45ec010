import type { ZipHash } from './zip-hash.ts'

/** One file of a module zip as its h1 sees it. */
export interface ManifestLine {
  /** The entry's name as stored, with the `path@version/` prefix. */
  readonly name: string
  /** SHA-256 of the file's bytes, 32 bytes. */
  readonly sha256: Uint8Array
}

/** The text whose SHA-256 is the h1: `hex  name LF` per file, in byte order of the names. */
export function formatManifest(lines: readonly ManifestLine[]): Uint8Array {
  throw new Error(`to come: ${lines.length}`)
}

/** The h1 that a manifest text has. */
export function hashManifest(manifest: Uint8Array): ZipHash {
  throw new Error(`to come: ${manifest.length}`)
}

/** Hashes a file list (x/mod dirhash.Hash1): `open` gives each file's bytes in chunks. */
export async function hash1(
  names: readonly string[],
  open: (name: string) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ZipHash> {
  throw new Error(`to come: ${names.length} ${open.length}`)
}
