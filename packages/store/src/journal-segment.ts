import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Disk, DiskFile } from './disk.ts'
import type { JournalChange } from './journal-contents.ts'
import {
  formatFrame,
  formatSegmentHeader,
  frameHeaderBytes,
  frameLength,
  type JournalRecord,
  parseFrame,
  parseSegmentHeader,
  saltBytes,
  segmentHeaderBytes,
} from './journal-frame.ts'
import { placeOf } from './journal-place.ts'

/** A file of the journal, open for reading and, the newest, for appending. */
export interface Segment {
  readonly number: number
  readonly path: string
  readonly file: DiskFile
  readonly salt: Buffer
  /** Where the next frame goes. */
  end: number
}

/** What a scan finds. */
export type Scanned =
  | {
      readonly kind: 'record'
      readonly at: number
      readonly end: number
      readonly record: JournalRecord
    }
  | { readonly kind: 'damaged'; readonly at: number }

/** Bytes looked through at a time. */
const scanBytes = 1 << 20
/** Most frames are smaller, and so read in one call. */
const guessBytes = 4096

/** The path of a segment. */
export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(8, '0')}.log`)
}

/** The numbers of the segments in a folder, ascending. */
export async function listSegments(disk: Disk, folder: string): Promise<number[]> {
  const numbers: number[] = []
  for (const name of await disk.list(folder)) {
    const number = Number.parseInt(name, 10)
    if (segmentPath('', number) === name) numbers.push(number)
  }
  return numbers.toSorted((a, b) => a - b)
}

/** Makes a new segment; its name is durable when this resolves. */
export async function createSegment(disk: Disk, folder: string, number: number): Promise<Segment> {
  const path = segmentPath(folder, number)
  const file = await disk.open(path, 'create')
  try {
    const salt = randomBytes(saltBytes)
    await file.write(formatSegmentHeader(salt), 0)
    await file.fsync()
    await disk.fsyncFolder(folder)
    return { number, path, file, salt, end: segmentHeaderBytes }
  } catch (error) {
    await file.close()
    await disk.remove(path).catch(() => {
      // A segment without a sound header is removed at the next start.
    })
    throw error
  }
}

/** Opens a segment; undefined when its header is none (a crash while it was made). */
export async function openSegment(
  disk: Disk,
  folder: string,
  number: number,
): Promise<Segment | undefined> {
  const path = segmentPath(folder, number)
  const file = await disk.open(path, 'write')
  try {
    const salt = await readSalt(file)
    const { size } = await file.identity()
    if (salt !== undefined) return { number, path, file, salt, end: size }
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}

/** The salt stands in the header and in each frame: one of them may have rotted. */
async function readSalt(file: DiskFile): Promise<Buffer | undefined> {
  const head = Buffer.alloc(segmentHeaderBytes + frameHeaderBytes)
  const read = head.subarray(0, await file.read(head, 0))
  const frame = read.subarray(segmentHeaderBytes)
  const repeated = frame.subarray(0, saltBytes)
  const isSound = frameLength(repeated, frame) !== undefined
  return isSound ? repeated : parseSegmentHeader(read)
}

/** Reads the frame at a place; undefined when it is damaged. */
export async function readRecord(segment: Segment, at: number): Promise<JournalRecord | undefined> {
  const guess = Buffer.alloc(guessBytes)
  const bytesRead = await segment.file.read(guess, at)
  const length = frameLength(segment.salt, guess.subarray(0, bytesRead))
  if (length === undefined) return undefined
  if (length <= bytesRead) return parseFrame(segment.salt, guess.subarray(0, length))
  const whole = Buffer.allocUnsafe(length)
  if ((await segment.file.read(whole, at)) < length) return undefined
  return parseFrame(segment.salt, whole)
}

/** Reads all frames from a place on, skipping what is damaged. */
export async function* scanSegment(segment: Segment, from: number): AsyncGenerator<Scanned> {
  const reader = new ScanReader(segment)
  for (let at = from; at < segment.end; ) {
    const header = await reader.read(at, frameHeaderBytes)
    const length = frameLength(segment.salt, header)
    if (length === undefined) {
      yield { kind: 'damaged', at }
      at = await findFrame(reader, segment, at + 1)
      continue
    }
    const record = parseFrame(segment.salt, await reader.read(at, length))
    if (record === undefined) yield { kind: 'damaged', at }
    else yield { kind: 'record', at, end: at + length, record }
    at += length
  }
}

/** The next place with a sound header, or the segment's end. */
async function findFrame(reader: ScanReader, segment: Segment, from: number): Promise<number> {
  for (let at = from; at < segment.end; ) {
    const window = await reader.read(at, scanBytes)
    const found = window.indexOf(segment.salt)
    if (found < 0) {
      at += Math.max(window.length - saltBytes, 1)
      continue
    }
    at += found
    const header = await reader.read(at, frameHeaderBytes)
    if (frameLength(segment.salt, header) !== undefined) return at
    at += 1
  }
  return segment.end
}

/** Reads forward through a segment with few calls. */
class ScanReader {
  readonly #segment: Segment
  #bytes: Buffer = Buffer.alloc(0)
  #start = 0

  constructor(segment: Segment) {
    this.#segment = segment
  }

  /** Up to `length` bytes; fewer at the end. */
  async read(at: number, length: number): Promise<Buffer> {
    const end = Math.min(at + length, this.#segment.end)
    if (at < this.#start || end > this.#start + this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(Math.max(length, scanBytes))
      const bytesRead = await this.#segment.file.read(bytes, at)
      this.#bytes = bytes.subarray(0, bytesRead)
      this.#start = at
    }
    return this.#bytes.subarray(at - this.#start, Math.max(end, at) - this.#start)
  }
}

/** One write, one fsync. Returns where the records are now. */
export async function appendRecords(
  segment: Segment,
  records: readonly JournalRecord[],
): Promise<JournalChange[]> {
  const frames = records.map((record) => formatFrame(segment.salt, record))
  const start = segment.end
  const bytes = Buffer.concat(frames)
  await segment.file.write(bytes, start)
  await segment.file.fsync()
  segment.end = start + bytes.length
  let at = start
  return records.map((record, i) => {
    const place = placeOf(segment.number, at)
    at += frames[i]?.length ?? 0
    return { key: record.key, place: record.bytes === undefined ? undefined : place }
  })
}

/** What a record that was found in a segment says of its key. */
export function changeOf(
  segment: Segment,
  found: Scanned & { readonly kind: 'record' },
): JournalChange {
  const { key, bytes } = found.record
  return { key, place: bytes === undefined ? undefined : placeOf(segment.number, found.at) }
}
