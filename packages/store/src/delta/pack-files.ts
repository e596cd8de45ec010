import { Readable } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import { VarintWriter, ZipRulesError } from '@modmesh/module'
import type { DirectoryEntry } from '../zip-directory.ts'
import { codecs, frameWindowLog, packAgainst } from './codec.ts'
import { jobChunkBytes, maxDictionaryBytes, minDictionaryBytes, zstdLevel } from './limits.ts'
import { ZipContents } from './zip-contents.ts'

/** Files of a held zip that are to be packed. */
export interface PackJob {
  readonly kind: 'pack'
  readonly form: 'P' | 'S' | 'F'
  readonly path: string
  readonly prefix: string
  /** The zip whose files are the dictionaries; of form P. */
  readonly base: { readonly path: string; readonly prefix: string } | undefined
  /** Numbers of files in the manifest. */
  readonly files: readonly number[]
}

/** Gives the bytes that UnpackFiles takes. Throws ZipRulesError for a zip that is not what it was. */
export async function* packFiles(job: PackJob): AsyncGenerator<Uint8Array> {
  using zip = new ZipContents(job.path)
  const entries = job.files.map((index) => zip.entries[index])
  if (!entries.every((entry) => entry !== undefined)) throw new ZipRulesError('no such file')
  if (job.form === 'S') yield* packTogether(zip, entries)
  else yield* joined(job.form === 'P' ? packEach(zip, entries, job) : copyEach(zip, entries))
}

/** Sizes and contents, one after the other, in one frame. */
async function* packTogether(
  zip: ZipContents,
  entries: readonly DirectoryEntry[],
): AsyncGenerator<Uint8Array> {
  const bytes = entries.reduce((sum, { size }) => sum + size, 0)
  const params = {
    [constants.ZSTD_c_compressionLevel]: zstdLevel,
    [constants.ZSTD_c_windowLog]: frameWindowLog(bytes),
  }
  const source = Readable.from(joined(contents(zip, entries)), { highWaterMark: 1 })
  const frame = createZstdCompress({ params, chunkSize: jobChunkBytes })
  source.on('error', (error) => frame.destroy(error))
  try {
    for await (const chunk of source.pipe(frame)) yield chunk as Buffer
  } finally {
    source.destroy()
    frame.destroy()
  }
}

async function* contents(
  zip: ZipContents,
  entries: readonly DirectoryEntry[],
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield head([entry.size])
    yield* zip.pieces(entry)
  }
}

/** Each file against the old one of its name, or as it is in the zip where that is shorter. */
async function* packEach(
  zip: ZipContents,
  entries: readonly DirectoryEntry[],
  { base, prefix }: PackJob,
): AsyncGenerator<Uint8Array> {
  if (base === undefined) throw new ZipRulesError('no base')
  using old = new ZipContents(base.path)
  for (const entry of entries) {
    const before = old.find(base.prefix + entry.name.slice(prefix.length))
    const isFit = entry.size <= maxDictionaryBytes && before !== undefined && isDictionary(before)
    const packed = isFit
      ? packAgainst(Buffer.from(old.content(before)), zip.content(entry))
      : undefined
    if (packed === undefined || packed.length >= entry.compressedSize) yield* copyOne(zip, entry)
    else {
      yield head([codecs.patched, entry.size, packed.length])
      yield packed
    }
  }
}

async function* copyEach(
  zip: ZipContents,
  entries: readonly DirectoryEntry[],
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) yield* copyOne(zip, entry)
}

function* copyOne(zip: ZipContents, entry: DirectoryEntry): Generator<Uint8Array> {
  const codec = entry.method === 0 ? codecs.stored : codecs.deflated
  yield head([codec, entry.size, entry.compressedSize])
  const { start, end } = zip.span(entry)
  for (let at = start; at < end; at += jobChunkBytes) {
    yield zip.copy(at, Math.min(end, at + jobChunkBytes))
  }
}

/** Whether a file may be a dictionary: the asker decides the same way. */
export function isDictionary({ size }: { readonly size: number }): boolean {
  return size >= minDictionaryBytes && size <= maxDictionaryBytes
}

function head(numbers: readonly number[]): Uint8Array {
  const writer = new VarintWriter()
  for (const number of numbers) writer.number(number)
  return writer.finish()
}

/** Small pieces as few large ones, in new memory. */
async function* joined(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let memory = Buffer.allocUnsafeSlow(jobChunkBytes)
  let filled = 0
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + jobChunkBytes - filled)
      memory.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < jobChunkBytes) continue
      yield memory
      memory = Buffer.allocUnsafeSlow(jobChunkBytes)
      filled = 0
    }
  }
  if (filled > 0) yield memory.subarray(0, filled)
}
