import { ZipRulesError } from '@modmesh/module'
import { type DirectoryEntry, descriptorFlag, type ReadBytes, readExtra } from './zip-directory.ts'

/** Where an entry's compressed bytes are, and what of its surroundings another parser might read differently. */
export interface EntrySpan {
  readonly start: number
  readonly end: number
  /** Where the next entry must begin. */
  readonly next: number
  readonly oddity: string | undefined
}

const localSignature = 0x04034b50
const descriptorSignature = 0x08074b50
const localBytes = 30
const descriptorBytes = 16

/**
 * Refuses entries that share bytes, before anything is inflated: a bomb of overlapping entries
 * inflates the same bytes many times. Returns the entries in the order of their data.
 */
export function orderEntries(
  entries: readonly DirectoryEntry[],
  directoryStart: number,
): readonly DirectoryEntry[] {
  const ordered = entries.toSorted((a, b) => a.offset - b.offset)
  let end = 0
  for (const entry of ordered) {
    if (entry.offset < end) throw new ZipRulesError(`${entry.name}: overlaps another entry`)
    end = entry.offset + localBytes + entry.compressedSize
    if (end > directoryStart) throw new ZipRulesError(`${entry.name}: outside the file`)
  }
  return ordered
}

/** Reads an entry's local header as Go does, and compares it with the directory. Throws ZipRulesError. */
export function locateEntry(
  read: ReadBytes,
  entry: DirectoryEntry,
  directoryStart: number,
): EntrySpan {
  const fixed = read(entry.offset, entry.offset + localBytes)
  if (fixed.readUInt32LE(0) !== localSignature) {
    throw new ZipRulesError(`${entry.name}: no local header`)
  }
  const nameBytes = fixed.readUInt16LE(26)
  const start = entry.offset + localBytes + nameBytes + fixed.readUInt16LE(28)
  const end = start + entry.compressedSize
  if (end > directoryStart) throw new ZipRulesError(`${entry.name}: outside the file`)
  const header = read(entry.offset, start)
  const oddity = compareHeader(header, nameBytes, entry)
  if ((entry.flags & descriptorFlag) === 0) return { start, end, next: end, oddity }
  const descriptor = checkDescriptor(read, entry, end)
  const next = descriptor === undefined ? end + descriptorBytes : end
  return { start, end, next, oddity: oddity ?? descriptor }
}

/** Name, method, flags and sizes in the local header must be the directory's. */
function compareHeader(
  header: Buffer,
  nameBytes: number,
  entry: DirectoryEntry,
): string | undefined {
  const name = header.subarray(localBytes, localBytes + nameBytes)
  if (!name.equals(entry.rawName)) return `${entry.name}: another name in its local header`
  if (header.readUInt16LE(8) !== entry.method) return `${entry.name}: another method`
  if (header.readUInt16LE(6) !== entry.flags) return `${entry.name}: other flags`
  const said = [header.readUInt32LE(14), header.readUInt32LE(18), header.readUInt32LE(22)]
  const known = [entry.crc, entry.compressedSize, entry.size]
  const agrees = said.every((value, i) => value === known[i])
  const isLeftToDescriptor =
    (entry.flags & descriptorFlag) !== 0 && said.every((value) => value === 0)
  if (!agrees && !isLeftToDescriptor) return `${entry.name}: other sizes in its local header`
  // A reader that goes from front to back cannot tell where stored bytes end.
  if (isLeftToDescriptor && entry.method === 0) return `${entry.name}: stored with a descriptor`
  return readExtra(header.subarray(localBytes + nameBytes)).oddity
}

/** Go compares the descriptor's CRC only; its other forms and values count as odd. */
function checkDescriptor(read: ReadBytes, entry: DirectoryEntry, at: number): string | undefined {
  const bytes = read(at, at + descriptorBytes)
  const isSigned = bytes.readUInt32LE(0) === descriptorSignature
  if (bytes.readUInt32LE(isSigned ? 4 : 0) !== entry.crc) {
    throw new ZipRulesError(`${entry.name}: another checksum in its descriptor`)
  }
  const agrees =
    isSigned &&
    bytes.readUInt32LE(8) === entry.compressedSize &&
    bytes.readUInt32LE(12) === entry.size
  return agrees ? undefined : `${entry.name}: an odd descriptor`
}
