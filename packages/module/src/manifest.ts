import { createHash } from 'node:crypto'
import { compareBytes, sortByBytes } from './byte-order.ts'
import { InvalidFileError, ZipRulesError } from './errors.ts'
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
  const room = lines.reduce((sum, line) => sum + hexLength + 3 + 3 * line.name.length, 0)
  const manifest = new Uint8Array(room)
  let at = 0
  for (const line of sortByBytes(lines, ({ name }) => name)) {
    checkName(line.name)
    writeHex(line.sha256, manifest, at)
    manifest.fill(space, at + hexLength, at + nameOffset)
    at += nameOffset
    at += encoder.encodeInto(line.name, manifest.subarray(at)).written
    manifest[at++] = lineFeed
  }
  return manifest.slice(0, at)
}

/**
 * Reads what formatManifest wrote, and nothing else: names in byte order, lower-case hex, a last line feed.
 * Throws InvalidFileError. Whether the text is the right one only hashManifest can say.
 */
export function parseManifest(manifest: Uint8Array): ManifestLine[] {
  const lines: ManifestLine[] = []
  let start = 0
  while (start < manifest.length) {
    const end = manifest.indexOf(lineFeed, start)
    const number = lines.length + 1
    if (end < 0) throw new InvalidFileError('manifest', 'no line feed at the end', number)
    const line = parseLine(manifest.subarray(start, end), number)
    const last = lines.at(-1)
    if (last !== undefined && compareBytes(last.name, line.name) > 0) {
      throw new InvalidFileError('manifest', 'names are not in order', number)
    }
    lines.push(line)
    start = end + 1
  }
  return lines
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

function parseLine(line: Uint8Array, number: number): ManifestLine {
  const sha256 = readHex(line)
  if (sha256 === undefined || line[hexLength] !== space || line[hexLength + 1] !== space) {
    throw new InvalidFileError('manifest', 'no SHA-256 at the start of the line', number)
  }
  try {
    return { name: decoder.decode(line.subarray(nameOffset)), sha256 }
  } catch {
    throw new InvalidFileError('manifest', 'name is not valid UTF-8', number)
  }
}

function writeHex(bytes: Uint8Array, target: Uint8Array, at: number): void {
  if (bytes.length !== 32) throw new RangeError(`a SHA-256 has 32 bytes, not ${bytes.length}`)
  let next = at
  for (const byte of bytes) {
    target[next++] = hexDigits.charCodeAt(byte >> 4)
    target[next++] = hexDigits.charCodeAt(byte & 15)
  }
}

function readHex(line: Uint8Array): Uint8Array | undefined {
  if (line.length < nameOffset) return undefined
  const bytes = new Uint8Array(32)
  for (let i = 0; i < hexLength; i++) {
    const digit = hexDigits.indexOf(String.fromCharCode(line[i] ?? 0))
    if (digit < 0) return undefined
    bytes[i >> 1] = ((bytes[i >> 1] ?? 0) << 4) | digit
  }
  return bytes
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const hexDigits = '0123456789abcdef'
const hexLength = 64
/** The hash is followed by two spaces. */
const nameOffset = hexLength + 2
const space = 0x20
const lineFeed = 0x0a
