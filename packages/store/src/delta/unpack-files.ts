import { createHash, hash } from 'node:crypto'
import { closeSync, constants as fsConstants, openSync, writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { constants, crc32, createDeflateRaw, createZstdDecompress, deflateRawSync } from 'node:zlib'
import { ZipRulesError } from '@modmesh/module'
import { errnoOf } from '../errors.ts'
import { oneShotEntryBytes } from '../limits.ts'
import { contentPieces, inflateSmall } from '../zip-verify.ts'
import { ZipWindow } from '../zip-window.ts'
import { ChunkReader, MalformedError } from './chunk-reader.ts'
import { codecs, unpackAgainst } from './codec.ts'
import { deflateLevel, jobChunkBytes, maxDictionaryBytes, maxFrameWindowLog } from './limits.ts'
import { isDictionary } from './pack-files.ts'
import { ZipContents } from './zip-contents.ts'

/** A file that is to come. */
export interface WantedFile {
  /** Its number in the manifest. */
  readonly index: number
  readonly sha256: Uint8Array
  /** Its name in the base, where that has it. */
  readonly oldName: string | undefined
}

/** Files that come, and where they are kept. */
export interface UnpackJob {
  readonly kind: 'unpack'
  readonly form: 'P' | 'S' | 'F'
  /** The file of parts, and where in it there is room. */
  readonly path: string
  readonly at: number
  readonly base: string | undefined
  readonly wanted: readonly WantedFile[]
  /** Bytes that the contents may have all together. */
  readonly maxBytes: number
}

/** A verified file, as a zip will hold it. */
export interface KeptFile {
  readonly index: number
  /** Where its bytes begin in the file of parts. */
  readonly at: number
  readonly method: 0 | 8
  readonly crc: number
  readonly size: number
  readonly compressedSize: number
}

/**
 * Takes what packFiles gave, verifies each file by itself and writes it down as a zip will have it.
 * `onKept` is told of each. Throws MalformedError for what is not of the form, UnequalError for a file
 * that is another one.
 */
export async function unpackFiles(
  job: UnpackJob,
  chunks: AsyncIterable<Uint8Array>,
  onKept: (file: KeptFile) => void,
): Promise<void> {
  using run = new Unpacking(job, onKept)
  try {
    await (job.form === 'S' ? run.frame(chunks) : run.records(chunks))
  } catch (error) {
    throw asMalformed(error)
  }
}

/** A file that came whole and has another hash. */
export class UnequalError extends Error {
  readonly code = 'UNEQUAL'
  constructor() {
    super('a file has another hash than its manifest says')
    this.name = 'UnequalError'
  }
}

class Unpacking implements Disposable {
  readonly #job: UnpackJob
  readonly #onKept: (file: KeptFile) => void
  readonly #fd: number
  readonly #base: ZipContents | undefined
  #at: number
  #left: number

  constructor(job: UnpackJob, onKept: (file: KeptFile) => void) {
    this.#job = job
    this.#onKept = onKept
    this.#at = job.at
    this.#left = job.maxBytes
    this.#base = job.base === undefined ? undefined : new ZipContents(job.base)
    this.#fd = openSync(job.path, fsConstants.O_RDWR | fsConstants.O_NOFOLLOW)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
    this.#base?.[Symbol.dispose]()
  }

  /** Form S. */
  async frame(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const source = Readable.from(chunks, { highWaterMark: 1 })
    const params = { [constants.ZSTD_d_windowLogMax]: maxFrameWindowLog }
    const unpacked = createZstdDecompress({ params, chunkSize: jobChunkBytes })
    source.on('error', (error) => unpacked.destroy(error))
    try {
      const reader = new ChunkReader(source.pipe(unpacked))
      for (const file of this.#job.wanted) await this.#contentOf(reader, file)
      if (!(await reader.isAtEnd())) throw new MalformedError('more than was asked for')
    } finally {
      source.destroy()
      unpacked.destroy()
    }
  }

  /** Forms P and F. */
  async records(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = new ChunkReader(chunks)
    for (const file of this.#job.wanted) await this.#record(reader, file)
    if (!(await reader.isAtEnd())) throw new MalformedError('more than was asked for')
  }

  async #contentOf(reader: ChunkReader, file: WantedFile): Promise<void> {
    const size = await this.#size(reader)
    if (size <= oneShotEntryBytes) this.#keepContent(file, await reader.whole(size))
    else await this.#keepLarge(file, size, reader.pieces(size))
  }

  async #record(reader: ChunkReader, file: WantedFile): Promise<void> {
    const codec = await reader.number(codecs.patched)
    const size = await this.#size(reader)
    // Deflate and zstd never make a file longer than by some bytes; stored ones have no slack at all.
    const packedSize = await reader.number(size + (size >> 8) + 1_024)
    if (codec === codecs.patched) await this.#patched(reader, file, { size, packedSize })
    else if (codec === codecs.deflated) await this.#deflated(reader, file, { size, packedSize })
    else if (codec !== codecs.stored || packedSize !== size) throw new MalformedError('odd codec')
    else if (size <= oneShotEntryBytes) this.#keepContent(file, await reader.whole(size))
    else await this.#keepLarge(file, size, reader.pieces(size))
  }

  async #patched(reader: ChunkReader, file: WantedFile, sizes: Sizes): Promise<void> {
    const old = file.oldName === undefined ? undefined : this.#base?.find(file.oldName)
    const isFit = old !== undefined && isDictionary(old) && sizes.size <= maxDictionaryBytes
    if (!isFit || this.#base === undefined) throw new MalformedError('a dictionary that is none')
    const packed = await reader.whole(sizes.packedSize)
    const dictionary = Buffer.from(this.#base.content(old))
    const content = unpackAgainst(dictionary, packed, sizes.size)
    if (content.length !== sizes.size) throw new MalformedError('another size than declared')
    this.#keepContent(file, content)
  }

  /** Written as it is, and read again to be verified where it is large. */
  async #deflated(reader: ChunkReader, file: WantedFile, sizes: Sizes): Promise<void> {
    const { size, packedSize } = sizes
    const name = `file ${file.index}`
    if (size <= oneShotEntryBytes) {
      const packed = Buffer.from(await reader.whole(packedSize))
      const content = inflateSmall({ name, size }, packed)
      this.#expect(file, hash('sha256', content, 'buffer'), { size, seen: content.length })
      this.#keep(file, { crc: crc32(content), size, method: 8 }, packed)
      return
    }
    let end = this.#at
    for await (const piece of reader.pieces(packedSize)) end = this.#write(piece, end)
    const zip = new ZipWindow(this.#job.path)
    try {
      const span = { start: this.#at, end }
      const entry = { name, method: 8, compressedSize: packedSize } as const
      const seen = await digestOf(contentPieces(zip, entry, span), size)
      this.#expect(file, seen.sha256, { size, seen: seen.bytes })
      this.#done(file, { crc: seen.crc, size, method: 8, compressedSize: packedSize }, end)
    } finally {
      zip.close()
    }
  }

  #keepContent(file: WantedFile, content: Uint8Array): void {
    const size = content.length
    this.#expect(file, hash('sha256', content, 'buffer'), { size, seen: size })
    const crc = crc32(content)
    const packed = deflateRawSync(content, { level: deflateLevel })
    if (packed.length < size) this.#keep(file, { crc, size, method: 8 }, packed)
    else this.#keep(file, { crc, size, method: 0 }, content)
  }

  async #keepLarge(
    file: WantedFile,
    size: number,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const deflate = createDeflateRaw({ level: deflateLevel, chunkSize: jobChunkBytes })
    const seen = digesting()
    const source = Readable.from(seen.through(pieces, size), { highWaterMark: 1 })
    source.on('error', (error) => deflate.destroy(error))
    let end = this.#at
    try {
      for await (const piece of source.pipe(deflate)) end = this.#write(piece as Buffer, end)
    } finally {
      source.destroy()
      deflate.destroy()
    }
    const { sha256, crc, bytes } = seen.result()
    this.#expect(file, sha256, { size, seen: bytes })
    const compressedSize = end - this.#at
    this.#done(file, { crc, size, method: 8, compressedSize }, end)
  }

  async #size(reader: ChunkReader): Promise<number> {
    const size = await reader.number(this.#left)
    this.#left -= size
    return size
  }

  #expect(
    file: WantedFile,
    sha256: Uint8Array,
    { size, seen }: { readonly size: number; readonly seen: number },
  ): void {
    if (seen !== size) throw new MalformedError('another size than declared')
    if (!Buffer.from(sha256).equals(file.sha256)) throw new UnequalError()
  }

  #keep(
    file: WantedFile,
    what: Pick<KeptFile, 'crc' | 'size' | 'method'>,
    packed: Uint8Array,
  ): void {
    const end = this.#write(packed, this.#at)
    this.#done(file, { ...what, compressedSize: packed.length }, end)
  }

  #done({ index }: WantedFile, what: Omit<KeptFile, 'index' | 'at'>, end: number): void {
    const at = this.#at
    this.#at = end
    this.#onKept({ index, at, ...what })
  }

  #write(bytes: Uint8Array, at: number): number {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done)
    }
    return at + bytes.length
  }
}

interface Sizes {
  readonly size: number
  readonly packedSize: number
}

/** Hashes what goes through, and ends what is more than it should be. */
function digesting(): {
  readonly through: (pieces: AsyncIterable<Uint8Array>, max: number) => AsyncGenerator<Uint8Array>
  readonly result: () => {
    readonly sha256: Buffer
    readonly crc: number
    readonly bytes: number
  }
} {
  const sha = createHash('sha256')
  let crc = 0
  let bytes = 0
  return {
    async *through(pieces, max) {
      for await (const piece of pieces) {
        bytes += piece.length
        if (bytes > max) throw new MalformedError('larger than declared')
        sha.update(piece)
        crc = crc32(piece, crc)
        yield piece
      }
    },
    result: () => ({ sha256: sha.digest(), crc, bytes }),
  }
}

async function digestOf(
  pieces: AsyncIterable<Uint8Array>,
  max: number,
): Promise<{ readonly sha256: Buffer; readonly crc: number; readonly bytes: number }> {
  const seen = digesting()
  for await (const _ of seen.through(pieces, max)) {
    // Only counted.
  }
  return seen.result()
}

/** Codecs' own errors say that the bytes are bad; all others are passed on. */
function asMalformed(error: unknown): unknown {
  const code = errnoOf(error)
  const isCodec =
    error instanceof ZipRulesError ||
    code === 'ERR_BUFFER_TOO_LARGE' ||
    code?.startsWith('Z_') === true ||
    code?.startsWith('ZSTD_') === true
  return isCodec ? new MalformedError('it cannot be unpacked', { cause: error }) : error
}
