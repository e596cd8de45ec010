import type { Dispatcher } from 'undici'
import { maxDetailBytes } from '../limits.ts'
import { FetchError } from './fetch-error.ts'
import { mayRedirect } from './reach.ts'
import { type BodyWatch, readBody } from './read-body.ts'
import { readStart } from './read-start.ts'

/** An answer with status 200, 206 when a part was asked for, or 304 when a change was. */
export interface HttpAnswer {
  readonly status: 200 | 206 | 304
  /** A header's value; the first one of several. */
  header(name: string): string | undefined
  /** Rejects with FetchError, or the signal's reason. Must be read to its end, left by `return`, or discarded. */
  readonly body: AsyncIterable<Uint8Array>
  /** Gives up what was not read of the body. */
  discard(): void
}

/** Lines of an upstream's own error text that are passed on. */
const maxDetailLines = 4

/** Accepts 200 (206 for a continuation, 304 for a condition) and nothing else, as cmd/go. Throws FetchError. */
export async function acceptAnswer(
  origin: string,
  response: Dispatcher.ResponseData,
  options: {
    readonly partial: boolean
    readonly conditional: boolean
    /** Said beside a status that is an error. */
    readonly note: string | undefined
    readonly watch: BodyWatch
  },
): Promise<HttpAnswer> {
  const { statusCode: status } = response
  const isPart = status === 206 && options.partial
  const isUnchanged = status === 304 && options.conditional
  if (status !== 200 && !isPart && !isUnchanged)
    throw await statusError(origin, response, options.note)
  const encoding = headerOf(response, 'content-encoding') ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    response.body.destroy()
    throw new FetchError('malformed', `${origin}: answered with content-encoding ${encoding}`)
  }
  return {
    status,
    header: (name) => headerOf(response, name),
    body: readBody(origin, response.body, options.watch),
    discard: () => {
      response.body.destroy()
      options.watch.onEnd?.()
    },
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

async function statusError(
  origin: string,
  response: Dispatcher.ResponseData,
  note: string | undefined,
): Promise<FetchError> {
  const { statusCode: status } = response
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'))
  const detail = await readDetail(response)
  return new FetchError(
    status === 404 || status === 410 ? 'absent' : 'status',
    `${origin}: ${response.statusText === '' ? status : `${status} ${response.statusText}`}${detail}${note === undefined ? '' : `; ${note}`}`,
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
  const { bytes } = await readStart(response.body, maxDetailBytes)
  const lines = new TextDecoder().decode(bytes).split('\n').slice(0, maxDetailLines)
  const text = lines.map((line) => line.trim()).filter((line) => line !== '')
  return text.length === 0 ? '' : `: ${text.join('\n')}`
}

/** The body of an answer that is an error already: failing to read it adds nothing. */
function ignoreDiscarded(_error: unknown): void {}

/** Seconds or an HTTP date (RFC 9110 section 10.2.3), as milliseconds from now. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined || value.length > 40 || value.trim() === '') return undefined
  const seconds = Number(value)
  const ms = Number.isNaN(seconds) ? Date.parse(value) - Date.now() : seconds * 1_000
  return Number.isFinite(ms) ? Math.max(ms, 0) : undefined
}

/** A header's value; the first one of several. */
export function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value[0] : value
}
