import { type DirectoryEntry, isAscii, utf8Flag } from './zip-directory.ts'

/** A part of the new file: bytes of its own, or a range of the old one. */
export type RewritePart =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'copy'
      readonly start: number
      readonly end: number
      readonly from?: PlacedEntry['from']
    }

/** An entry with the place of its compressed bytes. */
export interface PlacedEntry {
  readonly entry: DirectoryEntry
  readonly start: number
  readonly end: number
  /** Which file they are in, where there are two; absent: the only one. */
  readonly from?: 'base' | 'parts'
}

const version = 20

/**
 * Plans the one form in which every zip parser reads the same: plain headers with all sizes, the
 * compressed bytes as they were, nothing else. The same entries always give the same file.
 */
export function planRewrite(entries: readonly PlacedEntry[]): RewritePart[] {
  const parts: RewritePart[] = []
  const directory: Uint8Array[] = []
  let at = 0
  for (const { entry, start, end, from } of entries) {
    const header = localHeader(entry)
    parts.push({ kind: 'bytes', bytes: header })
    if (end > start) parts.push({ kind: 'copy', start, end, ...(from && { from }) })
    directory.push(directoryHeader(entry, at))
    at += header.length + end - start
  }
  const list = Buffer.concat(directory)
  parts.push({ kind: 'bytes', bytes: list })
  parts.push({ kind: 'bytes', bytes: endRecords(entries.length, list.length, at) })
  return parts
}

/** The fields that local header and directory share, from `version needed` to `extra length`; no time, as Go. */
function commonFields(entry: DirectoryEntry): Buffer {
  const bytes = Buffer.alloc(26)
  bytes.writeUInt16LE(version, 0)
  bytes.writeUInt16LE(isAscii(entry.rawName) ? 0 : utf8Flag, 2)
  bytes.writeUInt16LE(entry.method, 4)
  bytes.writeUInt32LE(entry.crc, 10)
  bytes.writeUInt32LE(entry.compressedSize, 14)
  bytes.writeUInt32LE(entry.size, 18)
  bytes.writeUInt16LE(entry.rawName.length, 22)
  return bytes
}

function localHeader(entry: DirectoryEntry): Buffer {
  const signature = Buffer.from([0x50, 0x4b, 3, 4])
  return Buffer.concat([signature, commonFields(entry), entry.rawName])
}

function directoryHeader(entry: DirectoryEntry, offset: number): Buffer {
  const signature = Buffer.from([0x50, 0x4b, 1, 2, version, 0])
  const rest = Buffer.alloc(14)
  rest.writeUInt32LE(offset, 10)
  return Buffer.concat([signature, commonFields(entry), rest, entry.rawName])
}

function endRecords(records: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(Math.min(records, 0xffff), 8)
  end.writeUInt16LE(Math.min(records, 0xffff), 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return records < 0xffff ? end : Buffer.concat([endRecords64(records, size, offset), end])
}

/** Zip64 is needed for the count alone: sizes are below 500 MiB. */
function endRecords64(records: number, size: number, offset: number): Buffer {
  const bytes = Buffer.alloc(56 + 20)
  bytes.writeUInt32LE(0x06064b50, 0)
  bytes.writeBigUInt64LE(44n, 4)
  bytes.writeUInt16LE(45, 12)
  bytes.writeUInt16LE(45, 14)
  bytes.writeBigUInt64LE(BigInt(records), 24)
  bytes.writeBigUInt64LE(BigInt(records), 32)
  bytes.writeBigUInt64LE(BigInt(size), 40)
  bytes.writeBigUInt64LE(BigInt(offset), 48)
  bytes.writeUInt32LE(0x07064b50, 56)
  bytes.writeBigUInt64LE(BigInt(offset + size), 64)
  bytes.writeUInt32LE(1, 72)
  return bytes
}
