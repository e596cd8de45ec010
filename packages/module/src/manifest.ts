import { createHash } from 'node:crypto'
import { sortByBytes } from './byte-order.ts'
import { ZipRulesError } from './errors.ts'
import { type ZipHash, zipHashFromBytes } from './zip-hash.ts'

/** One file of a module zip as its h1 sees it. */
export interface ManifestLine {
  /** The entry's name as stored, with the `path@version/` prefix. */
  readonly name: string
  /** SHA-256 of the file's bytes, 32 bytes. */
  readonly sha256: Uint8Array
}

/** The text whose SHA-256 is the h1: `hex  name LF` per file, in byte order of the names. Throws ZipRulesError. */
export function formatManifest(lines: readonly ManifestLine[]): Uint8Array {
  let text = ''
  for (const line of sortByBytes(lines, ({ name }) => name)) {
    checkName(line.name)
    text += `${formatHex(line.sha256)}  ${line.name}\n`
  }
  return new TextEncoder().encode(text)
}

/** The h1 that a manifest text has. */
export function hashManifest(manifest: Uint8Array): ZipHash {
  return zipHashFromBytes(createHash('sha256').update(manifest).digest())
}

/** Hashes a file list (x/mod dirhash.Hash1): `open` gives each file's bytes in chunks. Throws ZipRulesError. */
export async function hash1(
  names: readonly string[],
  open: (name: string) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ZipHash> {
  const lines: ManifestLine[] = []
  for (const name of names) {
    checkName(name)
    const hash = createHash('sha256')
    for await (const chunk of open(name)) hash.update(chunk)
    lines.push({ name, sha256: hash.digest() })
  }
  return hashManifest(formatManifest(lines))
}

/** A line feed could forge a second line; a lone surrogate has no bytes of its own. */
function checkName(name: string): void {
  if (name.includes('\n')) throw new ZipRulesError('file name with a line feed')
  if (!name.isWellFormed()) throw new ZipRulesError('file name is not valid UTF-8')
}

function formatHex(bytes: Uint8Array): string {
  if (bytes.length !== 32) throw new RangeError(`a SHA-256 has 32 bytes, not ${bytes.length}`)
  let hex = ''
  for (const byte of bytes) hex += hexPairs[byte]
  return hex
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
