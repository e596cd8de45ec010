import { STATUS_CODES } from 'node:http'
import type { Dispatcher } from 'undici'
import * as limits from '../limits.ts'
import type { ViaChain } from '../via.ts'
import type { HeaderList } from './credentials/credential-set.ts'
import type { Credentials } from './credentials/credentials.ts'
import type { Dispatchers } from './dispatchers.ts'
import { headerOf } from './http-answer.ts'
import type { OriginHealth } from './origin-health.ts'
import type { FileKind, OriginProtocols, SentRequest } from './origin-protocols.ts'
import type { HttpEntry } from './proxy-list.ts'
import { toFetchError } from './to-fetch-error.ts'
import type { Validator } from './validator.ts'

/** The rest of a body whose beginning was received. */
interface Continuation {
  readonly start: number
  /** A strong ETag, quotes included, or a Last-Modified that is as good as one. */
  readonly validator: string
}

/** What is asked beside the path. */
export interface Conditions {
  readonly continuation?: Continuation
  /** Ask for the file only when it is another one by now; else the answer is 304. */
  readonly unless?: Validator
}

interface SendOptions extends Conditions {
  /** What is asked for, also behind a redirect. */
  readonly kind: FileKind
  readonly signal: AbortSignal
}

/** An answer of any status. */
interface Sent {
  readonly response: Dispatcher.ResponseData
  /** Why there were no better credentials, for the error's text. */
  readonly note: string | undefined
}

interface SenderComponents {
  readonly dispatchers: Dispatchers
  readonly health: OriginHealth
  readonly protocols: OriginProtocols
  readonly credentials?: Credentials
  readonly via?: ViaChain
}

/** Sends single requests with the credentials of the configured origin, and tells who answers at all. */
export class HttpSender {
  readonly #components: SenderComponents
  readonly #userAgent: string

  constructor(components: SenderComponents, init: { readonly userAgent: string }) {
    this.#components = components
    this.#userAgent = init.userAgent
  }

  /** Sends one request, and once more where other credentials are to be had for a 4xx. Throws FetchError. */
  async send(entry: HttpEntry, url: URL, target: string, options: SendOptions): Promise<Sent> {
    if (url.origin !== entry.origin) return await this.#sendPlain(url, target, [], options)
    if (entry.authorization !== undefined) {
      const own = ['authorization', entry.authorization]
      return await this.#sendPlain(url, target, own, options)
    }
    const { credentials } = this.#components
    if (credentials === undefined || url.protocol !== 'https:') {
      return await this.#sendPlain(url, target, [], options)
    }
    return await this.#sendWith(credentials, entry, target, options)
  }

  /** Whether an origin says anything at all. Sends no credentials; never rejects. */
  async answers(origin: string): Promise<boolean> {
    try {
      // Over a connection of its own, where there is a choice: one that is dead itself may hold those that failed.
      const response = await this.#request(new URL(origin), 'zip', {
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

  async #sendWith(
    credentials: Credentials,
    entry: HttpEntry,
    target: string,
    options: SendOptions,
  ): Promise<Sent> {
    const url = new URL(entry.origin)
    // Joined as text: a target that begins with two slashes must not become a host.
    const full = new URL(entry.origin + target)
    const headers = await credentials.headersFor(full)
    const first = await this.#sendPlain(url, target, headers, options)
    const { statusCode: status, statusText, headers: fields } = first.response
    if (status < 400 || status > 499) return first
    const answer = { status, statusText, headers: fields }
    const base = entry.origin + entry.basePath
    const renewal = await credentials.renew(full, base, headers, answer)
    if (renewal.headers === undefined) return { ...first, note: renewal.trouble }
    first.response.body.destroy()
    const second = await this.#sendPlain(url, target, renewal.headers, options)
    void credentials.judge(full, second.response.statusCode)
    return { ...second, note: renewal.trouble }
  }

  async #sendPlain(
    url: URL,
    target: string,
    credentials: HeaderList,
    options: SendOptions,
  ): Promise<Sent> {
    const { health } = this.#components
    const startedMs = performance.now()
    try {
      const response = await this.#request(url, options.kind, {
        path: target,
        method: 'GET',
        headers: [...this.#headers(options), ...credentials],
        signal: options.signal,
      })
      health.sawAnswer(url.origin)
      return { response, note: undefined }
    } catch (error) {
      const reason: unknown = options.signal.aborted ? options.signal.reason : error
      const failure = toFetchError(url.origin, reason)
      // Our own deadline may be shorter than an attempt's; a caller who left says nothing of the origin.
      const left = options.signal.aborted && failure.failure !== 'timeout'
      if (!left) health.sawFailure(url.origin, startedMs, failure)
      throw options.signal.aborted ? reason : failure
    }
  }

  /** Sends over the protocol that fits, and anew over another one where the origin cannot be asked so. */
  async #request(
    url: URL,
    kind: FileKind,
    request: Omit<Dispatcher.RequestOptions, 'origin'>,
  ): Promise<Dispatcher.ResponseData> {
    const { dispatchers, protocols } = this.#components
    const { origin } = url
    for (let turn = 0; ; turn++) {
      const protocol = protocols.choose(url, kind)
      const sent = { origin, protocol, kind, startedMs: performance.now() }
      try {
        const response = await dispatchers.for(url, protocol).request({ ...request, origin })
        this.#watchBody(sent, response)
        if (protocols.sawAnswer(sent, endIsKnown(response)) || turn >= maxTurns) {
          return named(response)
        }
        response.body.destroy()
      } catch (error) {
        const isOurs = request.signal instanceof AbortSignal && request.signal.aborted
        const again = !isOurs && protocols.sawFailure(sent, toFetchError(origin, error))
        if (!again || turn >= maxTurns) throw error
      }
    }
  }

  /** A body that nobody reads any more may still fail, and must not take the process with it. */
  #watchBody(sent: SentRequest, { body }: Dispatcher.ResponseData): void {
    const { protocols } = this.#components
    body.on('error', (error) => protocols.sawFailure(sent, toFetchError(sent.origin, error)))
  }

  /** All header fields that an upstream sees beside Host and credentials. */
  #headers({ continuation, unless }: Conditions): string[] {
    const headers = ['user-agent', this.#userAgent, 'accept-encoding', 'identity']
    const { via } = this.#components
    if (via !== undefined) headers.push('via', via.header())
    if (continuation !== undefined) {
      headers.push('range', `bytes=${continuation.start}-`, 'if-range', continuation.validator)
    }
    if (unless?.etag !== undefined) headers.push('if-none-match', unless.etag)
    if (unless?.lastModified !== undefined) headers.push('if-modified-since', unless.lastModified)
    return headers
  }
}

/** From HTTP/2 to HTTP/1.1 for a body without a length, and back where that is not spoken. */
const maxTurns = 2

/** Whether a body that was cut would be noticed: its length is told, or its last chunk is marked. */
function endIsKnown(response: Dispatcher.ResponseData): boolean {
  if (response.statusCode !== 200) return true
  const marks = ['content-length', 'transfer-encoding']
  return marks.some((name) => headerOf(response, name) !== undefined)
}

/** HTTP/2 has no words beside its status; errors name it in those of HTTP/1.1. */
function named(response: Dispatcher.ResponseData): Dispatcher.ResponseData {
  if (response.statusText !== '') return response
  return { ...response, statusText: STATUS_CODES[response.statusCode] ?? '' }
}
