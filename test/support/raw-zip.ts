import { constants, crc32, deflateRawSync } from 'node:zlib'

/** `size` zero bytes, deflated to about a thousandth and never held in memory at once. */
interface Bomb {
  readonly bomb: number
}

/** What an entry holds. */
export type Content = string | Uint8Array | Bomb

/** How one entry is written; everything but the first two lines is for zips that lie. */
export interface EntryTweak {
  /** Default: deflate. */
  readonly method?: 'store' | 'deflate'
  /** Default: true with a signature and zeros in the local header, as Go's writer does. */
  readonly dataDescriptor?: boolean | 'no-signature'
  /** Name in both headers instead of the file's own; bytes for names that are not UTF-8. */
  readonly storedName?: string | Uint8Array
  /** Name in the local header alone. */
  readonly localName?: string | Uint8Array
  /** CRC-32 that is claimed everywhere. */
  readonly crc?: number
  /** Uncompressed size that is claimed everywhere. */
  readonly size?: number
  /** Compressed size that is claimed everywhere. */
  readonly compressedSize?: number
  /** Uncompressed size, compressed size, CRC-32 and method claimed by the local header alone. */
  readonly local?: {
    readonly size?: number
    readonly compressedSize?: number
    readonly crc?: number
    readonly method?: number
  }
  /** Method number claimed by both headers, the bytes staying what `method` made. */
  readonly claimedMethod?: number
  /** General purpose bits to set beside those that follow from the rest (1 is "encrypted"). */
  readonly flags?: number
  /** Adds an Info-ZIP Unicode Path field (0x7075) with this name, to both headers. */
  readonly unicodePath?: string
  /** More extra field bytes in the central directory, in the local header. */
  readonly extra?: Uint8Array
  readonly localExtra?: Uint8Array
  /** Sizes and offset in a zip64 field, 0xffffffff in the plain ones. */
  readonly zip64?: boolean
  /** Points the central directory at the local header of the entry with this index, and writes no bytes; with equal content Go reads both. */
  readonly overlap?: number
  /** Shifts the offset that the central directory gives. */
  readonly offsetShift?: number
  /** Bytes between the previous entry and this one. */
  readonly gap?: Uint8Array
  /** Unix mode in the external attributes, e.g. 0o120777 for a symbolic link. */
  readonly mode?: number
  /** Leaves the entry out of the central directory. */
  readonly hidden?: boolean
}

/** One entry of a raw zip. */
export interface RawEntry extends EntryTweak {
  readonly name: string
  readonly content: Content
}

/** How the zip around the entries is written. */
export interface RawZipOptions {
  /** Bytes before the first entry; offsets stay as they were without them unless `shiftOffsets`. */
  readonly leading?: Uint8Array
  readonly shiftOffsets?: boolean
  /** Bytes after the end record. */
  readonly trailing?: Uint8Array
  /** Archive comment. */
  readonly comment?: string
  /** Writes the zip64 end record and locator. */
  readonly zip64?: boolean
  /** Bytes between the last entry and the central directory. */
  readonly gapBeforeDirectory?: Uint8Array
  /** Number of entries that the end record claims. */
  readonly claimedEntries?: number
}

interface Written {
  readonly entry: RawEntry
  readonly crc: number
  readonly size: number
  readonly compressedSize: number
  readonly offset: number
}

/** Builds a zip byte by byte: the same input gives the same bytes; time stamps are zero. */
export function buildRawZip(entries: readonly RawEntry[], options: RawZipOptions = {}): Uint8Array {
  const leading = options.leading ?? none
  const parts: Uint8Array[] = [leading]
  const base = options.shiftOffsets === true ? leading.length : 0
  const written: Written[] = []
  let at = base
  for (const entry of entries) {
    const { bytes, ...sums } = pack(entry)
    const overlapped = entry.overlap === undefined ? undefined : written[entry.overlap]
    if (overlapped !== undefined) {
      written.push({ entry, ...sums, offset: overlapped.offset })
      continue
    }
    const gap = entry.gap ?? none
    written.push({ entry, ...sums, offset: at + gap.length })
    const body = [gap, localHeader(entry, sums), bytes, descriptor(entry, sums)]
    parts.push(...body)
    at += body.reduce((sum, part) => sum + part.length, 0)
  }
  const gap = options.gapBeforeDirectory ?? none
  const directory = written.filter(({ entry }) => entry.hidden !== true).map(centralHeader)
  const count = options.claimedEntries ?? directory.length
  const end = endRecords(Buffer.concat(directory).length, at + gap.length, count, options)
  return Uint8Array.from(
    Buffer.concat([...parts, gap, ...directory, end, options.trailing ?? none]),
  )
}

interface Sums {
  readonly crc: number
  readonly size: number
  readonly compressedSize: number
}

function pack(entry: RawEntry): Sums & { readonly bytes: Uint8Array } {
  const packed = isBomb(entry.content) ? packBomb(entry.content.bomb) : packBytes(entry)
  return {
    bytes: packed.bytes,
    crc: entry.crc ?? packed.crc,
    size: entry.size ?? packed.size,
    compressedSize: entry.compressedSize ?? packed.bytes.length,
  }
}

function packBytes(entry: RawEntry): { bytes: Uint8Array; crc: number; size: number } {
  const content = contentBytes(entry.content)
  const bytes = entry.method === 'store' ? content : deflateRawSync(content)
  return { bytes, crc: crc32(content), size: content.length }
}

/** Independent deflate blocks of 1 MiB of zeros, one after another. */
function packBomb(size: number): { bytes: Uint8Array; crc: number; size: number } {
  const zeros = Buffer.alloc(2 ** 20)
  const block = deflateRawSync(zeros, { finishFlush: constants.Z_FULL_FLUSH })
  const blocks: Uint8Array[] = []
  let crc = 0
  let left = size
  for (; left >= zeros.length; left -= zeros.length) {
    blocks.push(block)
    crc = crc32(zeros, crc)
  }
  const rest = zeros.subarray(0, left)
  return { bytes: Buffer.concat([...blocks, deflateRawSync(rest)]), crc: crc32(rest, crc), size }
}

/** The bytes of a content; a bomb is not to be held. */
export function contentBytes(content: Content): Uint8Array {
  if (isBomb(content)) throw new TypeError('a bomb has no bytes')
  return typeof content === 'string' ? Buffer.from(content) : content
}

function isBomb(content: Content): content is Bomb {
  return typeof content === 'object' && 'bomb' in content
}

function localHeader(entry: RawEntry, sums: Sums): Uint8Array {
  const name = nameBytes(entry.localName ?? entry.storedName ?? entry.name)
  const described = hasDescriptor(entry)
  const zip64 = entry.zip64 === true && !described
  const claimed = {
    crc: entry.local?.crc ?? (described ? 0 : sums.crc),
    size: entry.local?.size ?? (described ? 0 : sums.size),
    compressedSize: entry.local?.compressedSize ?? (described ? 0 : sums.compressedSize),
  }
  const extra = Buffer.concat([
    zip64 ? zip64Field(u64(claimed.size), u64(claimed.compressedSize)) : none,
    unicodePathField(entry),
    entry.localExtra ?? none,
  ])
  return Buffer.concat([
    u32(0x04034b50),
    u16(zip64 ? 45 : 20),
    u16(flagsOf(entry)),
    u16(entry.local?.method ?? methodOf(entry)),
    u32(0), // time and date
    u32(claimed.crc),
    u32(zip64 ? max32 : claimed.compressedSize),
    u32(zip64 ? max32 : claimed.size),
    u16(name.length),
    u16(extra.length),
    name,
    extra,
  ])
}

function descriptor(entry: RawEntry, sums: Sums): Uint8Array {
  if (!hasDescriptor(entry)) return none
  const size = entry.zip64 === true ? u64 : u32
  const signature = entry.dataDescriptor === 'no-signature' ? none : u32(0x08074b50)
  return Buffer.concat([signature, u32(sums.crc), size(sums.compressedSize), size(sums.size)])
}

function centralHeader({ entry, crc, size, compressedSize, offset }: Written): Uint8Array {
  const name = nameBytes(entry.storedName ?? entry.name)
  const zip64 = entry.zip64 === true
  const place = offset + (entry.offsetShift ?? 0)
  const extra = Buffer.concat([
    zip64 ? zip64Field(u64(size), u64(compressedSize), u64(place)) : none,
    unicodePathField(entry),
    entry.extra ?? none,
  ])
  return Buffer.concat([
    u32(0x02014b50),
    u16(entry.mode === undefined ? 20 : (3 << 8) | 20),
    u16(zip64 ? 45 : 20),
    u16(flagsOf(entry)),
    u16(methodOf(entry)),
    u32(0), // time and date
    u32(crc),
    u32(zip64 ? max32 : compressedSize),
    u32(zip64 ? max32 : size),
    u16(name.length),
    u16(extra.length),
    u16(0), // comment
    u16(0), // disk
    u16(0), // internal attributes
    u32(((entry.mode ?? 0) << 16) >>> 0),
    u32(zip64 ? max32 : place),
    name,
    extra,
  ])
}

function endRecords(size: number, offset: number, count: number, options: RawZipOptions): Buffer {
  const zip64 = options.zip64 === true
  const comment = Buffer.from(options.comment ?? '')
  const wide = [
    u32(0x06064b50),
    u64(44),
    u16(45),
    u16(45),
    u32(0),
    u32(0),
    u64(count),
    u64(count),
    u64(size),
    u64(offset),
    u32(0x07064b50),
    u32(0),
    u64(offset + size),
    u32(1),
  ]
  return Buffer.concat([
    ...(zip64 ? wide : []),
    u32(0x06054b50),
    u32(0), // disks
    u16(zip64 ? 0xffff : count),
    u16(zip64 ? 0xffff : count),
    u32(zip64 ? max32 : size),
    u32(zip64 ? max32 : offset),
    u16(comment.length),
    comment,
  ])
}

function zip64Field(...values: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([u16(1), u16(values.length * 8), ...values])
}

function unicodePathField(entry: RawEntry): Uint8Array {
  if (entry.unicodePath === undefined) return none
  const path = Buffer.from(entry.unicodePath)
  const crc = crc32(nameBytes(entry.storedName ?? entry.name))
  return Buffer.concat([u16(0x7075), u16(path.length + 5), Uint8Array.of(1), u32(crc), path])
}

function flagsOf(entry: RawEntry): number {
  const name = nameBytes(entry.storedName ?? entry.name)
  const utf8 = name.some((byte) => byte >= 0x80) ? 0x800 : 0
  return utf8 | (hasDescriptor(entry) ? 8 : 0) | (entry.flags ?? 0)
}

function hasDescriptor(entry: RawEntry): boolean {
  return entry.dataDescriptor !== false
}

function methodOf(entry: RawEntry): number {
  return entry.claimedMethod ?? (entry.method === 'store' ? 0 : 8)
}

function nameBytes(name: string | Uint8Array): Uint8Array {
  return typeof name === 'string' ? Buffer.from(name) : name
}

function u16(value: number): Uint8Array {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

const none: Uint8Array = new Uint8Array()
const max32 = 0xffffffff
