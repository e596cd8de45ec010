import { closeSync, constants, openSync, readSync } from 'node:fs'
import type { DirectoryEntry } from '../zip-directory.ts'
import { type PlacedEntry, planRewrite } from '../zip-rewrite.ts'
import { jobChunkBytes } from './limits.ts'
import type { KeptFile } from './unpack-files.ts'
import { ZipContents } from './zip-contents.ts'

/** One file of a zip that is put together: of the base, or of what came. */
export interface AssembledFile {
  readonly name: string
  /** Its name in the base. */
  readonly oldName: string | undefined
  readonly kept: KeptFile | undefined
}

/** A zip that is put together. */
export interface AssembleJob {
  readonly kind: 'assemble'
  /** The file of parts. */
  readonly parts: string | undefined
  readonly base: string | undefined
  readonly files: readonly AssembledFile[]
}

/** Gives the bytes of a zip in plain form; compressed bytes are copied. Throws when its sources are not what they were. */
export async function* assembleZip(job: AssembleJob): AsyncGenerator<Uint8Array> {
  using base = job.base === undefined ? undefined : new ZipContents(job.base)
  const fd =
    job.parts === undefined
      ? undefined
      : openSync(job.parts, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const joiner = new Joiner()
    for (const part of planRewrite(job.files.map((file) => placed(file, base)))) {
      if (part.kind === 'bytes') {
        yield* joiner.add(part.bytes)
        continue
      }
      for (let at = part.start; at < part.end; at += jobChunkBytes) {
        const end = Math.min(part.end, at + jobChunkBytes)
        yield* joiner.add(part.from === 'parts' ? readParts(fd, at, end) : base?.copy(at, end))
      }
    }
    yield joiner.rest()
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function placed(file: AssembledFile, base: ZipContents | undefined): PlacedEntry {
  const { name, kept } = file
  const rawName = Buffer.from(name)
  if (kept !== undefined) {
    const { at, method, crc, size, compressedSize } = kept
    const entry: DirectoryEntry = { name, rawName, method, crc, size, compressedSize, ...noPlace }
    return { entry, start: at, end: at + compressedSize, from: 'parts' }
  }
  const old = base?.find(file.oldName ?? '')
  if (old === undefined || base === undefined) throw new Error(`${name} is gone`)
  const { start, end } = base.span(old)
  return { entry: { ...old, name, rawName }, start, end, from: 'base' }
}

const noPlace = { flags: 0, offset: 0 } as const

function readParts(fd: number | undefined, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(end - start)
  for (let done = 0; done < bytes.length; ) {
    const count =
      fd === undefined ? 0 : readSync(fd, bytes, done, bytes.length - done, start + done)
    if (count === 0) throw new Error('the parts became shorter')
    done += count
  }
  return bytes
}

/** Joins small pieces, so that each write is worth its call. */
class Joiner {
  #memory = Buffer.allocUnsafeSlow(jobChunkBytes)
  #filled = 0;

  *add(piece: Uint8Array = new Uint8Array()): Generator<Uint8Array> {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + jobChunkBytes - this.#filled)
      this.#memory.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === jobChunkBytes) yield this.rest()
    }
  }

  rest(): Uint8Array {
    const full = this.#memory.subarray(0, this.#filled)
    this.#memory = Buffer.allocUnsafeSlow(jobChunkBytes)
    this.#filled = 0
    return full
  }
}
