/** What went wrong when an upstream was asked. */
export type FetchFailure =
  /** 404 or 410, a missing file: the only kind that `,` falls through on. */
  | 'absent'
  /** Any other status. */
  | 'status'
  /** No connection, or a name that does not resolve. */
  | 'unreachable'
  /** Cut while the answer was coming. */
  | 'reset'
  | 'timeout'
  /** Silent, or next to it, in the middle of an answer. */
  | 'stalled'
  /** An answer that breaks the protocol or our limits. */
  | 'malformed'

/** One failed attempt at one upstream. Inside this package only: callers see the errors of their ports. */
export class FetchError extends Error {
  readonly code = 'FETCH'
  readonly failure: FetchFailure
  readonly status: number | undefined
  /** What the server asked us to wait, ms. */
  readonly retryAfterMs: number | undefined
  constructor(
    failure: FetchFailure,
    message: string,
    options: ErrorOptions & { readonly status?: number; readonly retryAfterMs?: number } = {},
  ) {
    super(message, options)
    this.name = 'FetchError'
    this.failure = failure
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Whether the same request may well succeed a moment later. */
export function isRetryable(error: unknown): error is FetchError {
  if (!(error instanceof FetchError)) return false
  if (error.failure === 'reset') return true
  return error.failure === 'status' && [429, 500, 502, 503].includes(error.status ?? 0)
}
