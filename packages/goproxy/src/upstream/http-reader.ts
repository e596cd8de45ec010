import type { ByteSink } from '@modmesh/fill'
import { maxRestarts } from '../limits.ts'
import { collect, tooLarge } from './body.ts'
import { FetchError } from './fetch-error.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { HttpFetcher } from './http-fetcher.ts'
import type { HttpEntry } from './proxy-list.ts'
import type { CopyOptions, ReadAgain, ReadOptions, UpstreamReader } from './upstream-reader.ts'
import { formatValidator, parseValidator, type Validator } from './validator.ts'

/** What is known of a body that is coming in pieces. */
interface Progress {
  written: number
  /** Strong only: a weak one may name other bytes. */
  etag: string | undefined
  /** Of the whole body, bytes. */
  total: number | undefined
}

/** Reads an http or https upstream. */
export class HttpReader implements UpstreamReader {
  readonly name: string
  readonly #entry: HttpEntry
  readonly #http: HttpFetcher
  readonly #encode: (path: string) => string

  constructor(entry: HttpEntry, http: HttpFetcher, encode: (path: string) => string) {
    this.name = entry.origin
    this.#entry = entry
    this.#http = http
    this.#encode = encode
  }

  async read(path: string, options: ReadOptions): Promise<Uint8Array> {
    const { bytes } = await this.#read(path, undefined, options)
    return bytes
  }

  async readAgain(
    path: string,
    validator: string | undefined,
    options: ReadOptions,
  ): Promise<ReadAgain> {
    const unless = validator === undefined ? undefined : parseValidator(this.#entry, validator)
    const { answer, bytes } = await this.#read(path, unless, options)
    if (answer.status === 304) return { kind: 'unchanged' }
    return { kind: 'read', bytes, validator: formatValidator(this.#entry, answer) }
  }

  async #read(
    path: string,
    unless: Validator | undefined,
    options: ReadOptions,
  ): Promise<{ readonly answer: HttpAnswer; readonly bytes: Uint8Array }> {
    for (let restart = 0; ; restart++) {
      try {
        const conditions = unless === undefined ? {} : { unless }
        const answer = await this.#http.get(this.#entry, this.#encode(path), {
          signal: options.signal,
          ...conditions,
        })
        const limit = { maxBytes: options.maxBytes, name: this.name }
        await refuseLong(answer, limit)
        return { answer, bytes: await collect(answer.body, limit) }
      } catch (error) {
        await this.#beforeRestart(error, restart, options.signal)
      }
    }
  }

  /** Goes on behind a cut where the strong ETag allows it (If-Range), else starts over. */
  async copy(path: string, sink: ByteSink, options: CopyOptions): Promise<void> {
    const progress: Progress = { written: 0, etag: undefined, total: undefined }
    for (let restart = 0; ; restart++) {
      try {
        await this.#copyRest(path, sink, progress, options)
        return
      } catch (error) {
        await this.#beforeRestart(error, restart, options.signal)
      }
    }
  }

  async #copyRest(
    path: string,
    sink: ByteSink,
    progress: Progress,
    options: CopyOptions,
  ): Promise<void> {
    const { written, etag } = progress
    const resumes = written > 0 && etag !== undefined
    const answer = await this.#http.get(this.#entry, this.#encode(path), {
      signal: options.signal,
      ...(resumes ? { continuation: { start: written, etag } } : {}),
    })
    if (answer.status === 206) await this.#checkPart(answer, progress)
    else await startOver(answer, progress, options)
    await refuseLong(answer, { maxBytes: options.maxBytes - progress.written, name: this.name })
    for await (const chunk of answer.body) {
      if (progress.written + chunk.length > options.maxBytes) {
        throw tooLarge({ maxBytes: options.maxBytes, name: this.name })
      }
      await sink.write(chunk)
      progress.written += chunk.length
    }
  }

  /** A part that is not exactly the rest of the same file must not be joined to what we have. */
  async #checkPart(answer: HttpAnswer, progress: Progress): Promise<void> {
    const { written, etag, total } = progress
    const given = answer.header('content-range') ?? ''
    const size = total ?? Number(given.slice(given.indexOf('/') + 1))
    const fits = given === `bytes ${written}-${size - 1}/${size}`
    const sameTag = (answer.header('etag') ?? etag) === etag
    if (fits && sameTag) return
    await discard(answer)
    // The next attempt starts over.
    progress.etag = undefined
    throw new FetchError('reset', `${this.name}: continued with another part than asked`)
  }

  async #beforeRestart(error: unknown, restart: number, signal: AbortSignal): Promise<void> {
    const cut = error instanceof FetchError && error.failure === 'reset'
    if (!cut || restart >= maxRestarts) throw error
    await this.#http.pause(restart, error, signal)
  }
}

async function startOver(
  answer: HttpAnswer,
  progress: Progress,
  options: CopyOptions,
): Promise<void> {
  if (progress.written > 0) await options.onReset()
  progress.written = 0
  const etag = answer.header('etag')
  progress.etag = etag?.startsWith('"') ? etag : undefined
  const length = answer.header('content-length')
  progress.total = length === undefined ? undefined : Number(length)
}

/** A declared length over the limit is refused before its body is read. */
async function refuseLong(
  answer: HttpAnswer,
  limit: { readonly maxBytes: number; readonly name: string },
): Promise<void> {
  if (Number(answer.header('content-length') ?? 0) <= limit.maxBytes) return
  await discard(answer)
  throw tooLarge(limit)
}

async function discard(answer: HttpAnswer): Promise<void> {
  await answer.body[Symbol.asyncIterator]().return?.()
}
