import * as limits from '../limits.ts'
import type { ViaChain } from '../via.ts'
import type { Credentials } from './credentials/credentials.ts'
import { type AttemptLimits, Dispatchers } from './dispatchers.ts'
import { FetchError, isRetryable } from './fetch-error.ts'
import { acceptAnswer, type HttpAnswer, redirectTarget } from './http-answer.ts'
import { type Conditions, HttpSender } from './http-sender.ts'
import { type Lease, OriginGate } from './origin-gate.ts'
import { OriginHealth, type OriginTrouble } from './origin-health.ts'
import { fileKind, OriginProtocols } from './origin-protocols.ts'
import type { HttpEntry } from './proxy-list.ts'
import { QuietOrigins } from './quiet-origins.ts'
import { RetryBudget } from './retry-budget.ts'
import { backoffPauseMs, sleepUntilAborted } from './sleep.ts'

/** How HTTP is spoken to upstreams. */
export interface HttpFetcherInit {
  /** Certificates trusted in addition, PEM. */
  readonly caFile?: string | undefined
  readonly userAgent?: string
  readonly limits?: Partial<AttemptLimits>
  /** First pause before another attempt, ms. */
  readonly backoffMs?: number
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read. Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** What an HttpFetcher may be given. */
export interface HttpFetcherComponents {
  readonly credentials?: Credentials
  /** Names us to upstreams, in case one of them is us. */
  readonly via?: ViaChain
}

/** What is asked beside the path. */
interface GetOptions extends Conditions {
  readonly signal: AbortSignal
}

const redirects: readonly number[] = [301, 302, 303, 307, 308]

/**
 * GET with redirects, retries, time limits and turns over kept connections. Nothing of a client's request is passed
 * on. One for all upstreams: what it learns of one is good for every list that names it.
 */
export class HttpFetcher implements AsyncDisposable {
  readonly #dispatchers: Dispatchers
  readonly #sender: HttpSender
  readonly #limits: AttemptLimits
  readonly #backoffMs: number
  readonly #health: OriginHealth
  readonly #gate = new OriginGate()
  readonly #budget = new RetryBudget()
  readonly #quiet = new QuietOrigins()

  /** Throws InvalidCaFileError, InvalidEnvProxyError. */
  constructor(components: HttpFetcherComponents, init: HttpFetcherInit = {}) {
    const { connectMs, firstByteMs, stallMs } = limits
    this.#limits = { connectMs, firstByteMs, stallMs, ...init.limits }
    this.#dispatchers = new Dispatchers({
      caFile: init.caFile,
      limits: this.#limits,
      env: init.env,
    })
    this.#backoffMs = init.backoffMs ?? limits.backoffMs
    this.#health = new OriginHealth((origin) => this.#sender.answers(origin))
    this.#sender = new HttpSender(
      {
        ...components,
        dispatchers: this.#dispatchers,
        health: this.#health,
        protocols: new OriginProtocols(),
      },
      { userAgent: init.userAgent ?? 'modmesh' },
    )
  }

  /** Asks with up to maxRetries further attempts. `path` begins with a slash, percent-encoded. Throws FetchError. */
  async get(entry: HttpEntry, path: string, options: GetOptions): Promise<HttpAnswer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(entry, path, options)
      } catch (error) {
        this.#quiet.saw(entry.origin, error)
        if (attempt >= limits.maxRetries || !isRetryable(error)) throw error
        if (!this.#mayRetry(entry.origin, error)) throw error
        await this.pause(attempt, error, options.signal)
      }
    }
  }

  /** Waits between attempts, longer each time and never in step with others; a long Retry-After is thrown. */
  async pause(attempt: number, error: FetchError, signal: AbortSignal): Promise<void> {
    const { retryAfterMs = 0 } = error
    if (retryAfterMs > limits.maxRetryAfterMs) throw error
    const pauseMs = backoffPauseMs(this.#backoffMs, attempt)
    await sleepUntilAborted(Math.max(pauseMs, retryAfterMs), signal)
  }

  /** Whether an origin says anything at all to anybody. Never rejects. */
  async answers(origin: string): Promise<boolean> {
    return await this.#health.answers(origin)
  }

  /** The origins that are not asked now because they did not answer. */
  troubles(): readonly OriginTrouble[] {
    return this.#health.troubles()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#health[Symbol.dispose]()
    this.#gate[Symbol.dispose]()
    await this.#dispatchers[Symbol.asyncDispose]()
  }

  /** A server that says when to come back decides itself; all else draws on the origin's budget. */
  #mayRetry(origin: string, error: FetchError): boolean {
    const isInvited = error.status === 429 && error.retryAfterMs !== undefined
    return isInvited || this.#budget.take(origin)
  }

  async #attempt(entry: HttpEntry, path: string, options: GetOptions): Promise<HttpAnswer> {
    const { origin } = entry
    await this.#health.admit(origin)
    await this.#quiet.wait(origin, options.signal)
    const lease = await this.#gate.enter(origin, {
      module: moduleOf(path),
      isZip: path.endsWith('.zip'),
      signal: options.signal,
    })
    try {
      // It may have died while others were before us.
      await this.#health.admit(origin)
      return await this.#follow(entry, path, options, lease)
    } catch (error) {
      lease.release()
      throw error
    }
  }

  async #follow(
    entry: HttpEntry,
    path: string,
    options: GetOptions,
    lease: Lease,
  ): Promise<HttpAnswer> {
    let url = new URL(entry.origin)
    const configured = url.hostname
    let target = entry.basePath + path
    const sendOptions = { ...options, kind: fileKind(path) }
    for (let hop = 0; hop <= limits.maxRedirects; hop++) {
      // Behind a living upstream there may be a dead store of files.
      if (url.origin !== entry.origin) await this.#health.admit(url.origin)
      const { response, note } = await this.#sender.send(entry, url, target, sendOptions)
      lease.touch()
      if (!redirects.includes(response.statusCode)) {
        return acceptAnswer(url.origin, response, {
          partial: options.continuation !== undefined,
          conditional: options.unless !== undefined,
          note,
          watch: {
            signal: options.signal,
            stallMs: this.#limits.stallMs,
            onProgress: () => lease.touch(),
            onEnd: () => lease.release(),
          },
        })
      }
      response.body.destroy()
      const next = redirectTarget(configured, url, target, response)
      url = new URL(next.origin)
      target = next.pathname + next.search
    }
    throw new FetchError('malformed', `${entry.origin}: more than ${limits.maxRedirects} redirects`)
  }
}

/** Whose turn it is: a module's, or the checksum database's. */
function moduleOf(path: string): string {
  const ends = ['/@v/', '/@latest', '/lookup/', '/tile/'].map((sign) => path.indexOf(sign))
  const end = ends.find((at) => at >= 0)
  return end === undefined ? path : path.slice(0, end)
}
