import { isUtf8 } from 'node:buffer'
import { maxZipEntries, ZipRulesError } from '@modmesh/module'
import { maxDirectoryBytes } from './limits.ts'

/** One entry as the central directory describes it (APPNOTE 4.3.12), read as Go's archive/zip does. */
export interface DirectoryEntry {
  readonly name: string
  readonly rawName: Uint8Array
  readonly method: 0 | 8
  readonly flags: number
  readonly crc: number
  readonly compressedSize: number
  readonly size: number
  /** Where its local header begins in the file. */
  readonly offset: number
}

/** A zip's list of contents. */
export interface ZipDirectory {
  readonly entries: readonly DirectoryEntry[]
  /** Where the central directory begins, which is where the entries must end. */
  readonly start: number
  /** Why another parser might read this zip differently, judged by the directory alone. */
  readonly oddity: string | undefined
}

/** Reads bytes of the zip; at most what was asked for and never outside the file. */
export type ReadBytes = (start: number, end: number) => Buffer

const endSignature = 0x06054b50
const end64Signature = 0x06064b50
const locator64Signature = 0x07064b50
const headerSignature = 0x02014b50
const endBytes = 22
const end64Bytes = 56
const locator64Bytes = 20
const headerBytes = 46
/** Go looks in the last 65 KiB for the end record. */
const endSearchBytes = 65 << 10
/** Data descriptor (bit 3) and UTF-8 (bit 11) change how an entry is read; bits 1 and 2 only tell how it was packed. */
const knownFlags = 0x0002 | 0x0004 | 0x0008 | 0x0800
export const descriptorFlag = 0x0008
export const utf8Flag = 0x0800

interface End {
  readonly records: number
  readonly size: number
  /** Where the directory begins in the file. */
  readonly start: number
  /** What is added to every declared offset: the length of what precedes the zip. */
  readonly shift: number
  readonly oddity: string | undefined
}

/**
 * Reads a zip's central directory. Throws ZipRulesError where Go would not read it, and where two
 * readers could find two directories.
 */
export function parseZipDirectory(read: ReadBytes, fileSize: number): ZipDirectory {
  const end = findEnd(read, fileSize)
  if (end.records > maxZipEntries) throw new ZipRulesError(`${end.records} entries`)
  if (end.size > maxDirectoryBytes) throw new ZipRulesError(`a directory of ${end.size} bytes`)
  // A copy: the reader may reuse its memory, and names are kept.
  return readHeaders(Buffer.from(read(end.start, end.start + end.size)), end)
}

function readHeaders(bytes: Buffer, end: End): ZipDirectory {
  const entries: DirectoryEntry[] = []
  let oddity = end.oddity
  let at = 0
  let previous = -1
  for (let i = 0; i < end.records; i++) {
    const header = readHeader(bytes, at, end.shift)
    oddity ??= header.oddity
    if (header.entry.offset <= previous) oddity ??= 'entries are not in the order of their data'
    previous = header.entry.offset
    entries.push(header.entry)
    at = header.next
  }
  if (at !== bytes.length) throw new ZipRulesError('the directory has another length than declared')
  return { entries, start: end.start, oddity }
}

function findEnd(read: ReadBytes, fileSize: number): End {
  if (fileSize < endBytes) throw new ZipRulesError('too short for a zip')
  const tailStart = Math.max(0, fileSize - endSearchBytes)
  const tail = read(tailStart, fileSize)
  const at = lastEndSignature(tail)
  const commentBytes = tail.readUInt16LE(at + 20)
  const endAt = tailStart + at
  let oddity: string | undefined
  if (at + endBytes !== tail.length) oddity = 'bytes after the end of the directory'
  if (at + endBytes + commentBytes > tail.length) throw new ZipRulesError('truncated comment')
  if (tail.readUInt16LE(at + 4) !== 0 || tail.readUInt16LE(at + 6) !== 0) {
    throw new ZipRulesError('more than one disk')
  }
  const records = tail.readUInt16LE(at + 10)
  if (tail.readUInt16LE(at + 8) !== records) throw new ZipRulesError('entry counts disagree')
  const size = tail.readUInt32LE(at + 12)
  const offset = tail.readUInt32LE(at + 16)
  // Go's conditions for zip64, its 0xffff for the size included.
  if (records === 0xffff || size === 0xffff || offset === 0xffffffff) {
    const end64 = findEnd64(read, endAt, { records, size, offset })
    if (end64 !== undefined) return end64
  } else if (hasLocator64(read, endAt)) {
    throw new ZipRulesError('a zip64 directory that Go does not read')
  }
  return placeDirectory(read, { records, size, offset, endAt, oddity })
}

function lastEndSignature(tail: Buffer): number {
  for (let i = tail.length - endBytes; i >= 0; i--) {
    if (tail[i] === 0x50 && tail.readUInt32LE(i) === endSignature) return i
  }
  throw new ZipRulesError('no end of directory')
}

interface DeclaredEnd {
  readonly records: number
  readonly size: number
  readonly offset: number
  readonly endAt: number
  readonly oddity: string | undefined
}

/** Go takes the directory to end where the end record begins, and shifts all offsets accordingly. */
function placeDirectory(read: ReadBytes, end: DeclaredEnd): End {
  const start = end.endAt - end.size
  const shift = start - end.offset
  if (start < 0 || shift < 0) throw new ZipRulesError('the directory is not inside the file')
  if (shift === 0) return { records: end.records, size: end.size, start, shift, oddity: end.oddity }
  // Go tries the unshifted place first: with a header there, two readers find two directories.
  if (
    end.offset + 4 <= end.endAt &&
    read(end.offset, end.offset + 4).readUInt32LE(0) === headerSignature
  ) {
    throw new ZipRulesError('two directories')
  }
  return { records: end.records, size: end.size, start, shift, oddity: 'bytes before the zip' }
}

function hasLocator64(read: ReadBytes, endAt: number): boolean {
  const at = endAt - locator64Bytes
  return at >= 0 && read(at, at + 4).readUInt32LE(0) === locator64Signature
}

function findEnd64(
  read: ReadBytes,
  endAt: number,
  end: { readonly records: number; readonly size: number; readonly offset: number },
): End | undefined {
  if (!hasLocator64(read, endAt)) return undefined
  const locator = read(endAt - locator64Bytes, endAt)
  const at = endAt - locator64Bytes - end64Bytes
  const isAdjacent = at >= 0 && locator.readBigUInt64LE(8) === BigInt(at)
  if (!isAdjacent || locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) !== 1) {
    throw new ZipRulesError('a zip64 directory in an odd place')
  }
  const end64 = read(at, at + end64Bytes)
  if (end64.readUInt32LE(0) !== end64Signature || end64.readBigUInt64LE(4) !== 44n) {
    throw new ZipRulesError('malformed zip64 end of directory')
  }
  if (end64.readUInt32LE(16) !== 0 || end64.readUInt32LE(20) !== 0) {
    throw new ZipRulesError('more than one disk')
  }
  const records = Number(end64.readBigUInt64LE(32))
  const size = Number(end64.readBigUInt64LE(40))
  if (end64.readBigUInt64LE(24) !== BigInt(records)) {
    throw new ZipRulesError('entry counts disagree')
  }
  if (Number(end64.readBigUInt64LE(48)) !== at - size || size > at) {
    throw new ZipRulesError('the directory is not where it is said to be')
  }
  const agrees =
    (end.records === records || end.records === 0xffff) &&
    (end.size === size || end.size === 0xffffffff) &&
    (end.offset === at - size || end.offset === 0xffffffff)
  if (!agrees) throw new ZipRulesError('two directory ends that disagree')
  const oddity = records >= 0xffff ? undefined : 'zip64 without need'
  return { records, size, start: at - size, shift: 0, oddity }
}

function readHeader(
  bytes: Buffer,
  at: number,
  shift: number,
): { readonly entry: DirectoryEntry; readonly next: number; readonly oddity: string | undefined } {
  if (at + headerBytes > bytes.length || bytes.readUInt32LE(at) !== headerSignature) {
    throw new ZipRulesError('malformed directory entry')
  }
  const nameEnd = at + headerBytes + bytes.readUInt16LE(at + 28)
  const extraEnd = nameEnd + bytes.readUInt16LE(at + 30)
  const commentBytes = bytes.readUInt16LE(at + 32)
  const next = extraEnd + commentBytes
  if (next > bytes.length) throw new ZipRulesError('malformed directory entry')
  if (bytes.readUInt16LE(at + 34) !== 0) throw new ZipRulesError('more than one disk')
  const rawName = bytes.subarray(at + headerBytes, nameEnd)
  if (!isUtf8(rawName)) throw new ZipRulesError('a name that is not UTF-8')
  const extra = readExtra(bytes.subarray(nameEnd, extraEnd))
  const sizes = readSizes(bytes, at, extra.zip64)
  const flags = bytes.readUInt16LE(at + 8)
  const entry: DirectoryEntry = {
    name: rawName.toString('utf8'),
    rawName,
    method: readMethod(bytes.readUInt16LE(at + 10)),
    flags,
    crc: bytes.readUInt32LE(at + 16),
    compressedSize: sizes.compressedSize,
    size: sizes.size,
    offset: sizes.offset + shift,
  }
  if ((flags & ~knownFlags) !== 0) throw new ZipRulesError(`${entry.name}: encrypted or odd flags`)
  const needsUtf8Flag = (flags & utf8Flag) === 0 && !isAscii(rawName)
  const oddity =
    extra.oddity ??
    (commentBytes > 0 ? 'an entry with a comment' : undefined) ??
    (needsUtf8Flag ? 'a name without the UTF-8 flag' : undefined)
  return { entry, next, oddity }
}

function readMethod(method: number): 0 | 8 {
  if (method === 0 || method === 8) return method
  throw new ZipRulesError(`compression method ${method}`)
}

function readSizes(
  bytes: Buffer,
  at: number,
  zip64: Buffer | undefined,
): { readonly compressedSize: number; readonly size: number; readonly offset: number } {
  let rest = zip64
  const take = (value: number): number => {
    if (value !== 0xffffffff || rest === undefined) return value
    if (rest.length < 8) throw new ZipRulesError('malformed zip64 field')
    const wide = Number(rest.readBigUInt64LE(0))
    rest = rest.subarray(8)
    if (!Number.isSafeInteger(wide)) throw new ZipRulesError('absurd zip64 value')
    return wide
  }
  const size = take(bytes.readUInt32LE(at + 24))
  const compressedSize = take(bytes.readUInt32LE(at + 20))
  const offset = take(bytes.readUInt32LE(at + 42))
  return { compressedSize, size, offset }
}

/** What the extra fields say: zip64 values, and whether another parser may care for something in them. */
export function readExtra(extra: Buffer): {
  readonly zip64: Buffer | undefined
  readonly oddity: string | undefined
} {
  let zip64: Buffer | undefined
  let oddity: string | undefined
  let at = 0
  while (at + 4 <= extra.length) {
    const tag = extra.readUInt16LE(at)
    const end = at + 4 + extra.readUInt16LE(at + 2)
    if (end > extra.length) break
    if (tag === 0x0001) {
      zip64 ??= extra.subarray(at + 4, end)
      oddity ??= 'zip64 sizes'
    }
    // Info-ZIP's Unicode path and comment: some readers take the name from there.
    if (tag === 0x7075 || tag === 0x6375) oddity ??= 'a second name in a Unicode path field'
    at = end
  }
  if (at !== extra.length) oddity ??= 'malformed extra field'
  return { zip64, oddity }
}

/** Whether a name reads alike in every encoding that zips use. */
export function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte >= 0x80) return false
  return true
}
