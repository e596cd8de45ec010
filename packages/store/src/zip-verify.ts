import { createHash, hash } from 'node:crypto'
import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from 'node:zlib'
import { HashMismatchError } from '@modmesh/fill'
import {
  checkZipEntries,
  formatManifest,
  hashManifest,
  type ManifestLine,
  type ModuleVersion,
  type ZipHash,
  ZipRulesError,
} from '@modmesh/module'
import { asError, errnoOf } from './errors.ts'
import { freeBuffer } from './free-buffer.ts'
import { inflateChunkBytes, pieceBytes, verifiedAtOnceBytes } from './limits.ts'
import { type DirectoryEntry, parseZipDirectory } from './zip-directory.ts'
import { type EntrySpan, locateEntry, orderEntries } from './zip-entries.ts'
import { type PlacedEntry, planRewrite, type RewritePart } from './zip-rewrite.ts'
import { ZipWindow } from './zip-window.ts'

/** What a zip turned out to be. */
export interface VerifiedZip {
  readonly zipHash: ZipHash
  readonly entries: number
  /** Bytes of all entries inflated. */
  readonly contentBytes: number
  /** Set when parsers could differ about this zip: why, and the plain form in which to keep it. */
  readonly rewrite: { readonly reason: string; readonly parts: readonly RewritePart[] } | undefined
}

/** How a verification may be steered. */
export interface VerifyOptions {
  readonly expected?: ZipHash | undefined
  /** Asked between entries and pieces; true makes the verification reject with ABORT_ERR. */
  readonly isAborted?: () => boolean
}

/**
 * Reads a module zip as Go does and computes its h1. Throws ZipRulesError for what Go would refuse
 * (and more), HashMismatchError when `expected` is given and differs. Memory stays below some MiB.
 */
export async function verifyZipFile(
  path: string,
  module: ModuleVersion,
  options: VerifyOptions = {},
): Promise<VerifiedZip> {
  const zip = new ZipWindow(path)
  try {
    const verified = await verifyZip(zip, module, options)
    if (options.expected !== undefined && verified.zipHash !== options.expected) {
      throw new HashMismatchError(module, {
        expected: options.expected,
        actual: verified.zipHash,
      })
    }
    return verified
  } finally {
    zip.close()
  }
}

/** SHA-256 of all bytes of a file, in hex; blocks the thread. */
export function digestFile(path: string): string {
  const zip = new ZipWindow(path)
  try {
    const sha = createHash('sha256')
    for (const piece of packedPieces(zip, { start: 0, end: zip.size })) sha.update(piece)
    return sha.digest('hex')
  } finally {
    zip.close()
  }
}

async function verifyZip(
  zip: ZipWindow,
  module: ModuleVersion,
  options: VerifyOptions,
): Promise<VerifiedZip> {
  const directory = parseZipDirectory((start, end) => zip.read(start, end), zip.size)
  checkZipEntries(module, directory.entries, zip.size)
  const lines: ManifestLine[] = []
  const placed = new Map<DirectoryEntry, EntrySpan>()
  let oddity = directory.oddity
  let contentBytes = 0
  let next = 0
  for (const entry of orderEntries(directory.entries, directory.start)) {
    if (options.isAborted?.() === true) throw aborted()
    const span = locateEntry((start, end) => zip.read(start, end), entry, directory.start)
    if (entry.offset < next) throw new ZipRulesError(`${entry.name}: overlaps another entry`)
    if (entry.offset > next) oddity ??= 'bytes between entries'
    oddity ??= span.oddity
    next = span.next
    contentBytes += entry.size
    placed.set(entry, span)
    lines.push({ name: entry.name, sha256: await hashEntry(zip, entry, span, options) })
  }
  if (next > directory.start) throw new ZipRulesError('entries overlap the directory')
  if (next < directory.start) oddity ??= 'bytes before the directory'
  const zipHash = hashManifest(formatManifest(lines))
  const rewrite = oddity === undefined ? undefined : planOf(oddity, directory.entries, placed)
  return { zipHash, entries: lines.length, contentBytes, rewrite }
}

function planOf(
  reason: string,
  entries: readonly DirectoryEntry[],
  spans: ReadonlyMap<DirectoryEntry, EntrySpan>,
): VerifiedZip['rewrite'] {
  const placed = entries.flatMap((entry): PlacedEntry[] => {
    const span = spans.get(entry)
    return span === undefined ? [] : [{ entry, start: span.start, end: span.end }]
  })
  return { reason, parts: planRewrite(placed) }
}

/** SHA-256 of an entry's content, after its size and CRC-32 proved exact. */
function hashEntry(
  zip: ZipWindow,
  entry: DirectoryEntry,
  span: EntrySpan,
  options: VerifyOptions,
): Uint8Array | Promise<Uint8Array> {
  const isSmall = Math.max(entry.size, entry.compressedSize) <= verifiedAtOnceBytes
  if (!isSmall) return hashLargeEntry(zip, entry, span, options)
  const packed = zip.read(span.start, span.end)
  if (entry.method === 0) return hashSmall(entry, packed)
  const content = inflateSmall(entry, packed)
  try {
    return hashSmall(entry, content)
  } finally {
    freeBuffer(content)
  }
}

function hashSmall(entry: DirectoryEntry, content: Buffer): Uint8Array {
  checkContent(entry, { bytes: content.length, crc: crc32(content) })
  return hash('sha256', content, 'buffer')
}

/** The content of an entry that is known not to be large. Throws ZipRulesError. */
export function inflateSmall(entry: Pick<DirectoryEntry, 'name' | 'size'>, packed: Buffer): Buffer {
  try {
    const { buffer, engine } = inflateInfo(packed, entry.size)
    if (engine.bytesWritten !== packed.length) {
      throw new ZipRulesError(`${entry.name}: bytes after its compressed data`)
    }
    return buffer
  } catch (error) {
    throw asZipError(entry, error)
  }
}

/** `info` is documented, but missing in the types. */
function inflateInfo(
  packed: Buffer,
  size: number,
): { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } } {
  // One byte more than needed: zlib then sees the end of the stream in the same call.
  const limits = {
    info: true,
    maxOutputLength: Math.max(size, 1),
    chunkSize: Math.max(size + 1, 64),
  }
  return inflateRawSync(packed, limits) as unknown as ReturnType<typeof inflateInfo>
}

async function hashLargeEntry(
  zip: ZipWindow,
  entry: DirectoryEntry,
  span: EntrySpan,
  options: VerifyOptions,
): Promise<Uint8Array> {
  const sha = createHash('sha256')
  let crc = 0
  let bytes = 0
  try {
    for await (const piece of contentPieces(zip, entry, span)) {
      if (options.isAborted?.() === true) throw aborted()
      bytes += piece.length
      if (bytes > entry.size) throw new ZipRulesError(`${entry.name}: larger than declared`)
      crc = crc32(piece, crc)
      sha.update(piece)
    }
  } catch (error) {
    throw asZipError(entry, error)
  }
  checkContent(entry, { bytes, crc })
  return sha.digest()
}

/** An entry's content. A piece is valid until the next one is asked for. Throws ZipRulesError and zlib's errors. */
export async function* contentPieces(
  zip: ZipWindow,
  entry: Pick<DirectoryEntry, 'name' | 'method' | 'compressedSize'>,
  span: Pick<EntrySpan, 'start' | 'end'>,
): AsyncGenerator<Buffer> {
  if (entry.method === 0) {
    yield* packedPieces(zip, span)
    return
  }
  const inflate = createInflateRaw({ chunkSize: inflateChunkBytes })
  void feed(inflate, packedPieces(zip, span))
  for await (const piece of inflate) yield piece as Buffer
  if (inflate.bytesWritten !== entry.compressedSize) {
    throw new ZipRulesError(`${entry.name}: bytes after its compressed data`)
  }
}

/**
 * Gives it each piece when it is done with the one before; whoever reads it gets the errors. May never resolve: one
 * that was destroyed, or has seen the end of its stream, takes nothing more.
 */
async function feed(inflate: InflateRaw, pieces: Iterable<Buffer>): Promise<void> {
  try {
    for (const piece of pieces) {
      const isTaken = await new Promise<boolean>((resolve) => {
        inflate.write(piece, (error) => resolve(!error))
      })
      if (!isTaken) return
    }
    inflate.end()
  } catch (error) {
    inflate.destroy(asError(error))
  }
}

/** All pieces are in the same memory: hundreds of megabytes of garbage come together before a collection. */
function* packedPieces(zip: ZipWindow, span: Pick<EntrySpan, 'start' | 'end'>): Generator<Buffer> {
  const memory = Buffer.allocUnsafeSlow(Math.min(pieceBytes, span.end - span.start))
  for (let at = span.start; at < span.end; at += pieceBytes) {
    const piece = memory.subarray(0, Math.min(pieceBytes, span.end - at))
    zip.readInto(piece, at)
    yield piece
  }
}

function checkContent(
  entry: DirectoryEntry,
  seen: { readonly bytes: number; readonly crc: number },
): void {
  if (seen.bytes !== entry.size) {
    throw new ZipRulesError(`${entry.name}: ${seen.bytes} bytes instead of ${entry.size}`)
  }
  if (seen.crc !== entry.crc) throw new ZipRulesError(`${entry.name}: checksum differs`)
}

/** zlib's own errors say that the data is bad; all others are passed on. */
function asZipError(entry: Pick<DirectoryEntry, 'name'>, error: unknown): Error {
  const code = errnoOf(error)
  if (code === 'ERR_BUFFER_TOO_LARGE') {
    return new ZipRulesError(`${entry.name}: larger than declared`)
  }
  if (code?.startsWith('Z_')) return new ZipRulesError(`${entry.name}: damaged data`)
  return asError(error)
}

function aborted(): DOMException {
  return new DOMException('verification aborted', 'AbortError')
}
