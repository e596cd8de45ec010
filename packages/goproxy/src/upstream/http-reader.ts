import type { ByteSink } from '@modmesh/fill'
import { maxRestarts, maxStallRestarts, restartProgressBytes, strongDateMs } from '../limits.ts'
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
  /** Strong only: a weak one may name other bytes. Which header it came in, and what it says. */
  validator: { readonly header: 'etag' | 'last-modified'; readonly value: string } | undefined
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

  async answers(): Promise<boolean> {
    return await this.#http.answers(this.#entry.origin)
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
        refuseLong(answer, limit)
        return { answer, bytes: await collect(answer.body, limit) }
      } catch (error) {
        await this.#beforeRestart(error, restart, options.signal)
      }
    }
  }

  /** Goes on behind a cut or a stall where a strong validator allows it (If-Range), else starts over. */
  async copy(path: string, sink: ByteSink, options: CopyOptions): Promise<void> {
    const progress: Progress = { written: 0, validator: undefined, total: undefined }
    for (let restart = 0; ; restart++) {
      const before = progress.written
      try {
        await this.#copyRest(path, sink, progress, options)
        return
      } catch (error) {
        if (progress.written - before >= restartProgressBytes) restart = 0
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
    const { written, validator } = progress
    const resumes = written > 0 && validator !== undefined
    const answer = await this.#http.get(this.#entry, this.#encode(path), {
      signal: options.signal,
      ...(resumes ? { continuation: { start: written, validator: validator.value } } : {}),
    })
    if (answer.status === 206) this.#checkPart(answer, progress)
    else await startOver(answer, progress, options)
    refuseLong(answer, { maxBytes: options.maxBytes - progress.written, name: this.name })
    for await (const chunk of answer.body) {
      if (progress.written + chunk.length > options.maxBytes) {
        throw tooLarge({ maxBytes: options.maxBytes, name: this.name })
      }
      await sink.write(chunk)
      progress.written += chunk.length
    }
  }

  /** A part that is not exactly the rest of the same file must not be joined to what we have. */
  #checkPart(answer: HttpAnswer, progress: Progress): void {
    const { written, validator, total } = progress
    const given = answer.header('content-range') ?? ''
    const size = total ?? Number(given.slice(given.indexOf('/') + 1))
    const fits = given === `bytes ${written}-${size - 1}/${size}`
    const now = validator === undefined ? undefined : answer.header(validator.header)
    if (fits && (now === undefined || now === validator?.value)) return
    answer.discard()
    // The next attempt starts over.
    progress.validator = undefined
    throw new FetchError('reset', `${this.name}: continued with another part than asked`)
  }

  async #beforeRestart(error: unknown, restart: number, signal: AbortSignal): Promise<void> {
    if (!(error instanceof FetchError) || restart >= restartsAfter(error)) throw error
    await this.#http.pause(restart, error, signal)
  }
}

/** A line that stalls costs its whole limit each time. */
function restartsAfter({ failure }: FetchError): number {
  if (failure === 'stalled') return maxStallRestarts
  return failure === 'reset' ? maxRestarts : 0
}

async function startOver(
  answer: HttpAnswer,
  progress: Progress,
  options: CopyOptions,
): Promise<void> {
  if (progress.written > 0) await options.onReset()
  progress.written = 0
  progress.validator = strongValidator(answer)
  const length = answer.header('content-length')
  progress.total = length === undefined ? undefined : Number(length)
}

function strongValidator(answer: HttpAnswer): Progress['validator'] {
  const etag = answer.header('etag')
  if (etag?.startsWith('"')) return { header: 'etag', value: etag }
  const value = answer.header('last-modified')
  if (etag !== undefined || value === undefined) return undefined
  const ageMs = Date.parse(answer.header('date') ?? '') - Date.parse(value)
  return ageMs >= strongDateMs ? { header: 'last-modified', value } : undefined
}

/** A declared length over the limit is refused before its body is read. */
function refuseLong(
  answer: HttpAnswer,
  limit: { readonly maxBytes: number; readonly name: string },
): void {
  if (Number(answer.header('content-length') ?? 0) <= limit.maxBytes) return
  answer.discard()
  throw tooLarge(limit)
}
