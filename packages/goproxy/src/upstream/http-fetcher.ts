import { setTimeout as sleep } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import * as limits from '../limits.ts'
import { type AttemptLimits, Dispatchers } from './dispatchers.ts'
import { FetchError, isRetryable } from './fetch-error.ts'
import { acceptAnswer, type HttpAnswer, redirectTarget, toFetchError } from './http-answer.ts'
import { OriginHealth } from './origin-health.ts'
import type { HttpEntry } from './proxy-list.ts'
import type { Validator } from './validator.ts'

/** How HTTP is spoken to upstreams. */
export interface HttpFetcherInit {
  /** Certificates trusted in addition, PEM. */
  readonly caFile?: string | undefined
  readonly userAgent?: string
  readonly limits?: Partial<AttemptLimits>
  /** First pause before another attempt, ms. */
  readonly backoffMs?: number
}

/** The rest of a body whose beginning was received. */
export interface Continuation {
  readonly start: number
  /** A strong ETag, quotes included. */
  readonly etag: string
}

/** What is asked beside the path. */
interface GetOptions {
  readonly signal: AbortSignal
  readonly continuation?: Continuation
  /** Ask for the file only when it is another one by now; else the answer is 304. */
  readonly unless?: Validator
}

const redirects: readonly number[] = [301, 302, 303, 307, 308]

/** GET with redirects, retries and time limits over kept connections. Nothing of a client's request is passed on. */
export class HttpFetcher implements AsyncDisposable {
  readonly #dispatchers: Dispatchers
  readonly #userAgent: string
  readonly #backoffMs: number
  readonly #health: OriginHealth

  /** Throws InvalidCaFileError. */
  constructor(init: HttpFetcherInit = {}) {
    const { connectMs, firstByteMs, stallMs } = limits
    this.#dispatchers = new Dispatchers({
      caFile: init.caFile,
      limits: { connectMs, firstByteMs, stallMs, ...init.limits },
    })
    this.#userAgent = init.userAgent ?? 'modmesh'
    this.#backoffMs = init.backoffMs ?? limits.backoffMs
    this.#health = new OriginHealth((origin) => this.#answers(origin))
  }

  /** Asks with up to maxRetries further attempts. `path` begins with a slash, percent-encoded. Throws FetchError. */
  async get(entry: HttpEntry, path: string, options: GetOptions): Promise<HttpAnswer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(entry, path, options)
      } catch (error) {
        if (attempt >= limits.maxRetries || !isRetryable(error)) throw error
        await this.pause(attempt, error, options.signal)
      }
    }
  }

  /** Waits between attempts, longer each time and never in step with others; a long Retry-After is thrown. */
  async pause(attempt: number, error: FetchError, signal: AbortSignal): Promise<void> {
    const { retryAfterMs = 0 } = error
    if (retryAfterMs > limits.maxRetryAfterMs) throw error
    const jittered = this.#backoffMs * 2 ** attempt * (0.5 + Math.random() / 2)
    try {
      await sleep(Math.max(jittered, retryAfterMs), undefined, { signal })
    } catch (aborted) {
      throw signal.aborted ? signal.reason : aborted
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatchers[Symbol.asyncDispose]()
  }

  async #attempt(entry: HttpEntry, path: string, options: GetOptions): Promise<HttpAnswer> {
    await this.#health.admit(entry.origin)
    let url = new URL(entry.origin)
    const configured = url.hostname
    let target = entry.basePath + path
    for (let hop = 0; hop <= limits.maxRedirects; hop++) {
      const response = await this.#send(entry, url, target, options)
      if (!redirects.includes(response.statusCode)) {
        return acceptAnswer(url.origin, response, {
          signal: options.signal,
          partial: options.continuation !== undefined,
          conditional: options.unless !== undefined,
        })
      }
      response.body.destroy()
      const next = redirectTarget(configured, url, target, response)
      url = new URL(next.origin)
      target = next.pathname + next.search
    }
    throw new FetchError('malformed', `${entry.origin}: more than ${limits.maxRedirects} redirects`)
  }

  async #send(
    entry: HttpEntry,
    url: URL,
    target: string,
    options: GetOptions,
  ): Promise<Dispatcher.ResponseData> {
    const startedMs = performance.now()
    try {
      const response = await this.#dispatchers.for(url).request({
        origin: url.origin,
        path: target,
        method: 'GET',
        headers: this.#headers(entry, url, options),
        signal: options.signal,
      })
      this.#health.sawAnswer(url.origin)
      // A body that nobody reads any more may still fail, and must not take the process with it.
      response.body.on('error', () => {})
      return response
    } catch (error) {
      const reason: unknown = options.signal.aborted ? options.signal.reason : error
      const failure = toFetchError(url.origin, reason)
      // Our own deadline may be shorter than an attempt's; a caller who left says nothing of the origin.
      const left = options.signal.aborted && failure.failure !== 'timeout'
      if (!left) this.#health.sawFailure(url.origin, startedMs, failure)
      throw options.signal.aborted ? reason : failure
    }
  }

  /** The exact set of header fields an upstream sees; credentials go to the configured origin only. */
  #headers(entry: HttpEntry, url: URL, options: GetOptions): string[] {
    const { continuation, unless } = options
    const headers = ['user-agent', this.#userAgent, 'accept-encoding', 'identity']
    if (entry.authorization !== undefined && url.origin === entry.origin) {
      headers.push('authorization', entry.authorization)
    }
    if (continuation !== undefined) {
      headers.push('range', `bytes=${continuation.start}-`, 'if-range', continuation.etag)
    }
    if (unless?.etag !== undefined) headers.push('if-none-match', unless.etag)
    if (unless?.lastModified !== undefined) headers.push('if-modified-since', unless.lastModified)
    return headers
  }

  /** Whether an origin says anything at all. */
  async #answers(origin: string): Promise<boolean> {
    try {
      const response = await this.#dispatchers.for(new URL(origin)).request({
        origin,
        path: '/',
        method: 'HEAD',
        headers: ['user-agent', this.#userAgent],
        headersTimeout: limits.connectMs,
      })
      await response.body.dump()
      return true
    } catch (error) {
      return toFetchError(origin, error).failure === 'reset'
    }
  }
}
