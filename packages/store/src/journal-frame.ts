import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { maxFrameBytes } from './limits.ts'

/** One record of the journal. `bytes` is undefined when the key was dropped. */
export interface JournalRecord {
  readonly key: string
  /** What is known of the bytes, as JSON. */
  readonly meta: string
  readonly bytes: Uint8Array | undefined
}

/*
 * A segment begins with its magic and a salt; each frame repeats the salt. Frames hold bytes that
 * peers chose, and after damage we look for the next frame: without the salt, which no peer can
 * know, a frame hidden in such bytes would be taken for ours.
 *
 *   salt 8 | check of the next 12 bytes 4 | key 2 | meta 2 | bytes 4 | kind 1, zero 3 | sum 16 | key meta bytes
 */
export const saltBytes = 8
export const segmentHeaderBytes = 16
export const frameHeaderBytes = 40
const magic = Buffer.from('modmesh1', 'latin1')
const put = 1
const drop = 2

/** What begins a segment. */
export function formatSegmentHeader(salt: Uint8Array): Buffer {
  return Buffer.concat([magic, salt])
}

/** The salt of a segment; undefined for a file that is none. */
export function parseSegmentHeader(bytes: Buffer): Buffer | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(magic)) return undefined
  return bytes.subarray(8, segmentHeaderBytes)
}

/** Writes a frame. */
export function formatFrame(salt: Uint8Array, record: JournalRecord): Buffer {
  const key = Buffer.from(record.key)
  const meta = Buffer.from(record.meta)
  const bytes = record.bytes ?? Buffer.alloc(0)
  const frame = Buffer.alloc(frameHeaderBytes + key.length + meta.length + bytes.length)
  frame.set(salt, 0)
  frame.writeUInt16LE(key.length, 12)
  frame.writeUInt16LE(meta.length, 14)
  frame.writeUInt32LE(bytes.length, 16)
  frame.writeUInt8(record.bytes === undefined ? drop : put, 20)
  frame.writeUInt32LE(crc32(frame.subarray(12, 24), crc32(salt)), 8)
  frame.set(key, frameHeaderBytes)
  frame.set(meta, frameHeaderBytes + key.length)
  frame.set(bytes, frameHeaderBytes + key.length + meta.length)
  frame.set(frameSum(frame), 24)
  return frame
}

/** Length of the whole frame that begins here; undefined when none does. Needs frameHeaderBytes. */
export function frameLength(salt: Uint8Array, header: Buffer): number | undefined {
  if (header.length < frameHeaderBytes || !header.subarray(0, saltBytes).equals(salt)) {
    return undefined
  }
  if (header.readUInt32LE(8) !== crc32(header.subarray(12, 24), crc32(salt))) return undefined
  const payload = header.readUInt16LE(12) + header.readUInt16LE(14) + header.readUInt32LE(16)
  return payload > maxFrameBytes ? undefined : frameHeaderBytes + payload
}

/** Reads a whole frame; undefined when its bytes are not what was written. */
export function parseFrame(salt: Uint8Array, frame: Buffer): JournalRecord | undefined {
  if (frameLength(salt, frame) !== frame.length) return undefined
  if (!frame.subarray(24, frameHeaderBytes).equals(frameSum(frame))) return undefined
  const keyEnd = frameHeaderBytes + frame.readUInt16LE(12)
  const metaEnd = keyEnd + frame.readUInt16LE(14)
  return {
    key: frame.toString('utf8', frameHeaderBytes, keyEnd),
    meta: frame.toString('utf8', keyEnd, metaEnd),
    // A copy: the frame may be part of a large buffer.
    bytes: frame.readUInt8(20) === drop ? undefined : Uint8Array.from(frame.subarray(metaEnd)),
  }
}

/** 128 bits over all but the sum itself. */
function frameSum(frame: Buffer): Buffer {
  const head = hash('sha256', frame.subarray(0, 24), 'buffer')
  const body = hash('sha256', frame.subarray(frameHeaderBytes), 'buffer')
  return hash('sha256', Buffer.concat([head, body]), 'buffer').subarray(0, 16)
}
