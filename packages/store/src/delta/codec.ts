import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { maxDictionaryWindowLog, maxFrameWindowLog, minWindowLog, zstdLevel } from './limits.ts'

/** How one file travels by itself. */
export const codecs = {
  /** As it is. */
  stored: 0,
  /** Deflated, as it lies in a zip. */
  deflated: 8,
  /** zstd, with the old file of its name as the dictionary. */
  patched: 9,
} as const

/** The window of a frame that holds so many bytes, a power of two. */
export function frameWindowLog(bytes: number): number {
  return windowLog(bytes, maxFrameWindowLog)
}

/** Packs a file against the old one. */
export function packAgainst(old: Uint8Array, bytes: Uint8Array): Uint8Array {
  const dictionary = asDictionary(old)
  const params = {
    [constants.ZSTD_c_compressionLevel]: zstdLevel,
    [constants.ZSTD_c_windowLog]: patchWindowLog(old, bytes.length),
  }
  return zstdCompressSync(bytes, { dictionary, params, pledgedSrcSize: bytes.length })
}

/** Unpacks a file of `size` bytes. Throws what zlib throws; takes no more memory than the size says. */
export function unpackAgainst(old: Uint8Array, packed: Uint8Array, size: number): Uint8Array {
  const dictionary = asDictionary(old)
  const params = { [constants.ZSTD_d_windowLogMax]: patchWindowLog(old, size) }
  return zstdDecompressSync(packed, { dictionary, params, maxOutputLength: Math.max(size, 1) })
}

function patchWindowLog(old: Uint8Array, size: number): number {
  return windowLog(old.length + 1 + size, maxDictionaryWindowLog)
}

function windowLog(bytes: number, max: number): number {
  return Math.min(max, Math.max(minWindowLog, Math.ceil(Math.log2(bytes + 1))))
}

/** A file that begins like a dictionary or a frame of zstd would be read as one: a byte before it ends that. */
function asDictionary(old: Uint8Array): Buffer {
  const isMagic = magics.some((magic) => magic.every((byte, at) => old[at] === byte))
  return isMagic
    ? Buffer.concat([Buffer.from([0]), old])
    : Buffer.from(old.buffer, old.byteOffset, old.length)
}

const magics: readonly (readonly number[])[] = [
  [0x37, 0xa4, 0x30, 0xec],
  [0x28, 0xb5, 0x2f, 0xfd],
]
