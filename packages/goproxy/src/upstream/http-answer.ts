import { type Dispatcher, errors } from 'undici'
import { maxDetailBytes } from '../limits.ts'
import { FetchError } from './fetch-error.ts'
import { mayRedirect } from './reach.ts'

/** An answer with status 200, 206 when a part was asked for, or 304 when a change was. */
export interface HttpAnswer {
  readonly status: 200 | 206 | 304
  /** A header's value; the first one of several. */
  header(name: string): string | undefined
  /** Rejects with FetchError, or the signal's reason. Must be read to its end or left by `return`. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Lines of an upstream's own error text that are passed on. */
const maxDetailLines = 2

/** Accepts 200 (206 for a continuation, 304 for a condition) and nothing else, as cmd/go. Throws FetchError. */
export async function acceptAnswer(
  origin: string,
  response: Dispatcher.ResponseData,
  options: {
    readonly signal: AbortSignal
    readonly partial: boolean
    readonly conditional: boolean
  },
): Promise<HttpAnswer> {
  const { statusCode: status } = response
  const isPart = status === 206 && options.partial
  const isUnchanged = status === 304 && options.conditional
  if (status !== 200 && !isPart && !isUnchanged) throw await statusError(origin, response)
  const encoding = headerOf(response, 'content-encoding') ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    response.body.destroy()
    throw new FetchError('malformed', `${origin}: answered with content-encoding ${encoding}`)
  }
  return {
    status,
    header: (name) => headerOf(response, name),
    body: readBody(origin, response.body, options.signal),
  }
}

/** The URL a redirect leads to. Throws FetchError for a downgrade, another scheme or a way inwards. */
export function redirectTarget(
  configuredHost: string,
  from: URL,
  path: string,
  response: Dispatcher.ResponseData,
): URL {
  const location = headerOf(response, 'location') ?? ''
  const to = location === '' ? null : URL.parse(location, from.origin + path)
  if (to === null) throw new FetchError('malformed', `${from.origin}: redirect to nowhere`)
  const secure = to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:')
  if (!secure || to.username !== '' || to.password !== '') {
    throw new FetchError(
      'malformed',
      `${from.origin}: refused redirect to ${to.protocol}//${to.host}`,
    )
  }
  if (to.hostname !== configuredHost && !mayRedirect(configuredHost, to.hostname)) {
    throw new FetchError('malformed', `${from.origin}: refused redirect inwards to ${to.host}`)
  }
  return to
}

/** Names what a library's error means for us. */
export function toFetchError(origin: string, error: unknown): FetchError {
  if (error instanceof FetchError) return error
  if (
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError ||
    error instanceof errors.ConnectTimeoutError
  ) {
    const what = error instanceof errors.ConnectTimeoutError ? 'no connection' : 'no answer'
    return new FetchError('timeout', `${origin}: ${what} in time`, { cause: error })
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new FetchError('timeout', `${origin}: no answer in time`, { cause: error })
  }
  const code = codeOf(error)
  const unreachable = unreachableCodes.get(code)
  if (unreachable !== undefined) {
    return new FetchError('unreachable', `${origin}: ${unreachable}`, { cause: error })
  }
  if (resetCodes.has(code)) {
    return new FetchError('reset', `${origin}: connection closed too early`, { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new FetchError('malformed', `${origin}: ${message}`, { cause: error })
}

const unreachableCodes: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the name cannot be resolved now'],
  ['EHOSTUNREACH', 'no route to host'],
  ['ENETUNREACH', 'network is unreachable'],
  ['ENETDOWN', 'network is down'],
  ['ETIMEDOUT', 'no connection in time'],
])
const resetCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

/** Reads a body; rejects with FetchError, or the signal's reason. */
export async function* readBody(
  origin: string,
  body: Dispatcher.ResponseData['body'],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await nextChunk(origin, chunks, signal)
      if (next === undefined) return
      yield next
    }
  } finally {
    body.destroy()
  }
}

async function nextChunk(
  origin: string,
  chunks: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.next()
    return done ? undefined : value
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toFetchError(origin, error)
  }
}

async function statusError(origin: string, response: Dispatcher.ResponseData): Promise<FetchError> {
  const { statusCode: status } = response
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'))
  const detail = await readDetail(response)
  return new FetchError(
    status === 404 || status === 410 ? 'absent' : 'status',
    `${origin}: ${response.statusText === '' ? status : `${status} ${response.statusText}`}${detail}`,
    { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  )
}

/** The upstream's own words, where they are plain text (cmd/go shows no other either). */
async function readDetail(response: Dispatcher.ResponseData): Promise<string> {
  const type = (headerOf(response, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'text/plain') {
    await response.body.dump({ limit: 64 << 10 }).catch(ignoreDiscarded)
    return ''
  }
  const bytes = await readStart(response.body)
  const lines = new TextDecoder().decode(bytes).split('\n').slice(0, maxDetailLines)
  const text = lines.map((line) => line.trim()).filter((line) => line !== '')
  return text.length === 0 ? '' : `: ${text.join('; ')}`
}

async function readStart(body: Dispatcher.ResponseData['body']): Promise<Uint8Array> {
  const start = Buffer.alloc(maxDetailBytes)
  let length = 0
  try {
    for await (const chunk of body) {
      length += Buffer.from(chunk).copy(start, length)
      if (length === start.length) break
    }
  } catch (error) {
    ignoreDiscarded(error)
  }
  return start.subarray(0, length)
}

/** The body of an answer that is an error already: failing to read it adds nothing. */
function ignoreDiscarded(_error: unknown): void {}

function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined || value.length > 6 || value.trim() === '') return undefined
  const seconds = Number(value)
  return Number.isInteger(seconds) && seconds >= 0 ? seconds * 1_000 : undefined
}

/** A header's value; the first one of several. */
export function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value[0] : value
}
