import { type FileHandle, open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommandError, errorCode, errorText, UsageError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Surroundings } from '../settings.ts'
import { ageIntro, type Decrypted, decryptWith } from './age.ts'
import type { SeenFile } from './own-file.ts'

/** A bundle is read in pieces of this size. Bytes. */
const pieceBytes: number = 256 << 10
/** The header of an encrypted file: some hundred bytes for each recipient, 2 KiB with keys against quantum computers. Bytes. */
const maxHeaderBytes: number = 256 << 10

/** A bundle in the clear, as it is read. */
export interface BundleSource {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Undefined for what is no regular file. Bytes. */
  readonly size: number | undefined
  /** Set for a regular file that is not encrypted. */
  readonly file?: SeenFile | undefined
  /** Whether its last bytes could not be decrypted, so that it ended before them: they were altered, or it was cut off. */
  readonly isBroken?: (() => boolean) | undefined
}

/** Opens a bundle, `-` for standard input, and decrypts it where it is encrypted. Throws CommandError. */
export async function openBundle(
  name: string,
  around: Surroundings,
  { identity }: { readonly identity: string | undefined },
): Promise<BundleSource> {
  const source = await openFile(name, around)
  const { first, chunks } = await peek(source.chunks)
  if (!startsWith(first, ageIntro)) return { ...source, chunks }
  if (identity === undefined) {
    throw new UsageError(`${name} is encrypted: --identity FILE names the age keys to open it with`)
  }
  if (!Buffer.from(first).includes('\n---')) throw unreadable(name, 'its header is too long')
  const keys = await readIdentity(resolve(around.cwd, identity))
  return await decrypt(name, { ...source, chunks }, keys)
}

async function decrypt(
  name: string,
  { chunks, size }: BundleSource,
  identityFile: string,
): Promise<BundleSource> {
  const state: ReadState = { error: undefined, isAtEnd: false, isBroken: false }
  const decrypted = await decryptWith(
    identityFile,
    ReadableStream.from(watched(chunks, state)),
  ).catch((error: unknown) => {
    throw error instanceof CommandError ? error : unreadable(name, errorText(error), error)
  })
  return {
    chunks: checked(decrypted.bytes, state),
    size: size === undefined ? undefined : clearSize(decrypted, size),
    isBroken: () => state.isBroken,
  }
}

interface ReadState {
  error: Error | undefined
  isAtEnd: boolean
  isBroken: boolean
}

/** Notes how reading went: what comes out of decryption tells only that it failed. */
async function* watched(
  chunks: AsyncIterable<Uint8Array>,
  state: ReadState,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
    state.isAtEnd = true
  } catch (error) {
    state.error = error instanceof Error ? error : new Error(errorText(error), { cause: error })
    throw error
  }
}

async function* checked(
  bytes: ReadableStream<Uint8Array>,
  state: ReadState,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (cause) {
    if (state.error !== undefined) throw state.error
    if (!state.isAtEnd) throw refused('BUNDLE_ALTERED', 'it is not what was encrypted', cause)
    // Whoever reads the bundle knows its length, and so which of the two it is.
    state.isBroken = true
  }
}

function clearSize(decrypted: Decrypted, size: number): number {
  try {
    return decrypted.size(size)
  } catch (cause) {
    throw refused('BUNDLE_TRUNCATED', 'no encrypted file has its length', cause)
  }
}

async function openFile(name: string, around: Surroundings): Promise<BundleSource> {
  if (name === '-') return { chunks: process.stdin as AsyncIterable<Buffer>, size: undefined }
  const path = resolve(around.cwd, name)
  try {
    const file = await open(path, 'r')
    const found = await file.stat()
    const chunks = chunksOf(file)
    if (!found.isFile()) return { chunks, size: undefined }
    const { size, dev, ino } = found
    return { chunks, size, file: { path, dev, ino } }
  } catch (error) {
    const isAbsent = errorCode(error) === 'ENOENT'
    throw new UsageError(isAbsent ? `${path}: there is no such file` : errorText(error), {
      cause: error,
    })
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  try {
    const chunk = Buffer.allocUnsafeSlow(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length)
      if (bytesRead === 0) return
      // A copy: with no node running pieces are kept for a while.
      yield Uint8Array.from(chunk.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** Looks at the first bytes, as many as a header may have. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly first: Uint8Array; readonly chunks: AsyncIterable<Uint8Array> }> {
  const rest = chunks[Symbol.asyncIterator]()
  const taken: Uint8Array[] = []
  let size = 0
  while (size < maxHeaderBytes) {
    const next = await rest.next()
    if (next.done === true) break
    taken.push(next.value)
    size += next.value.length
  }
  return { first: Buffer.concat(taken), chunks: joined(taken, rest) }
}

async function* joined(
  taken: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* taken
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value
  } finally {
    await rest.return?.()
  }
}

async function readIdentity(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--identity: ${errorText(error)}`, { cause: error })
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}

function refused(code: 'BUNDLE_ALTERED' | 'BUNDLE_TRUNCATED', why: string, cause: unknown): Error {
  const message = `bundle refused (${code}): ${why}`
  return new CommandError(message, { exitCode: exitCodes.hashMismatch, cause })
}

function unreadable(name: string, why: string, cause?: unknown): CommandError {
  return new CommandError(`${name} cannot be decrypted: ${why}`, {
    exitCode: exitCodes.failed,
    cause,
  })
}
