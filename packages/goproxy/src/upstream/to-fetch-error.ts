import { errors } from 'undici'
import { FetchError } from './fetch-error.ts'

/** Names what a library's error means for us. */
export function toFetchError(origin: string, error: unknown): FetchError {
  if (error instanceof FetchError) return error
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError) {
    const what = error instanceof errors.ConnectTimeoutError ? 'no connection' : 'no answer'
    return new FetchError('timeout', `${origin}: ${what} in time`, { cause: error })
  }
  if (error instanceof errors.BodyTimeoutError) return stalled(origin, error)
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new FetchError('timeout', `${origin}: no answer in time`, { cause: error })
  }
  const code = codeOf(error)
  const unreachable = unreachableCodes.get(code)
  if (unreachable !== undefined) {
    return new FetchError('unreachable', `${origin}: ${unreachable}`, { cause: error })
  }
  if (resetCodes.has(code) || code.startsWith(h2Codes)) {
    return new FetchError('reset', `${origin}: connection closed too early`, { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new FetchError('malformed', `${origin}: ${message}`, { cause: error })
}

/** Whether the server ended TLS because it does not speak the protocols that we offered (RFC 7301 section 3.2). */
export function isProtocolRefusal({ cause }: FetchError): boolean {
  return codeOf(cause) === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'
}

/** The error for a body that brings nothing any more. */
export function stalled(origin: string, cause?: unknown): FetchError {
  return new FetchError('stalled', `${origin}: the answer stalled`, { cause })
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
/** UND_ERR_INFO is how undici names a stream or a session that ended early; a body short of its length is cut. */
const resetCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
])
/** What Node's codes for HTTP/2 begin with: RST_STREAM, GOAWAY and broken frames are all a connection that failed. */
const h2Codes = 'ERR_HTTP2_'

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}
