import { errors } from 'undici'
import { h2Incidents, h2TroubleMs, protocolMemoryMs } from '../limits.ts'
import type { FetchError } from './fetch-error.ts'
import { NoH2Error } from './no-h2-error.ts'
import { isProtocolRefusal } from './to-fetch-error.ts'

/** HTTP/1.1 or HTTP/2. */
export type Protocol = 'h1' | 'h2'

/** What is asked for, as far as it decides over what. */
export type FileKind = 'zip' | 'mod' | 'info' | 'list' | '@latest' | 'other'

/** One request of an origin, as it was sent. */
export interface SentRequest {
  readonly origin: string
  readonly protocol: Protocol
  readonly kind: FileKind
  /** When it was sent, on the clock of `performance`, ms. */
  readonly startedMs: number
}

/** Failures of one origin over HTTP/2. Those of requests that ran at the same time are one. */
interface Incidents {
  count: number
  readonly firstMs: number
  lastMs: number
}

const kinds: readonly FileKind[] = ['zip', 'mod', 'info', 'list', '@latest']

/** Names the kind of file that a path asks for. */
export function fileKind(path: string): FileKind {
  const end = path.slice(Math.max(path.lastIndexOf('.'), path.lastIndexOf('/')) + 1)
  return kinds.find((kind) => kind === end) ?? 'other'
}

/**
 * Chooses the protocol for each request: small files over HTTP/2, zips over HTTP/1.1, and the other one for a time
 * where an origin cannot be asked so. Why is written in docs/decisions/0002-http2-to-upstreams.md.
 */
export class OriginProtocols {
  /** Facts about origins, and until when they are believed. */
  readonly #facts = new Map<string, number>()
  readonly #incidents = new Map<string, Incidents>()

  choose({ protocol, origin }: URL, kind: FileKind): Protocol {
    if (protocol !== 'https:') return 'h1'
    if (this.#has(origin, 'h2 only')) return 'h2'
    if (kind === 'zip' || this.#has(origin, 'h1 only') || this.#has(origin, 'h2 ill')) return 'h1'
    return this.#has(origin, `no length of ${kind}`) ? 'h1' : 'h2'
  }

  /**
   * An answer with a body. False when its end could not be told from a cut, so that it is to be asked for anew: Node
   * ends a body alike for END_STREAM and for RST_STREAM with NO_ERROR or CANCEL (RFC 9113 section 8.1).
   */
  sawAnswer({ origin, protocol, kind }: SentRequest, hasLength: boolean): boolean {
    this.#learn(origin, `answers ${protocol}`, protocolMemoryMs)
    if (protocol === 'h1' || hasLength || this.#has(origin, 'h2 only')) return true
    this.#learn(origin, `no length of ${kind}`, protocolMemoryMs)
    return false
  }

  /** A failure, of the body, too. True when the same request is to be sent at once over another protocol. */
  sawFailure({ origin, protocol, startedMs }: SentRequest, failure: FetchError): boolean {
    if (failure.cause instanceof NoH2Error) {
      this.#learn(origin, 'h1 only', protocolMemoryMs)
      this.#facts.delete(`${origin} h2 only`)
      return true
    }
    if (protocol === 'h2') {
      if (isIllness(failure)) this.#countIncident(origin, startedMs)
      return false
    }
    if (isProtocolRefusal(failure)) {
      this.#learn(origin, 'h2 only', protocolMemoryMs)
      return true
    }
    const isCut = failure.failure === 'reset' || failure.failure === 'malformed'
    const isDeaf = this.#has(origin, 'answers h2') && !this.#has(origin, 'answers h1')
    if (!isCut || !isDeaf) return false
    this.#learn(origin, 'h2 only', h2TroubleMs)
    return true
  }

  #countIncident(origin: string, startedMs: number): void {
    const now = performance.now()
    const known = this.#incidents.get(origin)
    if (known === undefined || now - known.firstMs > h2TroubleMs) {
      this.#incidents.set(origin, { count: 1, firstMs: now, lastMs: now })
      return
    }
    if (startedMs <= known.lastMs) return
    known.count++
    known.lastMs = now
    if (known.count < h2Incidents) return
    this.#incidents.delete(origin)
    this.#learn(origin, 'h2 ill', h2TroubleMs)
  }

  #learn(origin: string, fact: string, ms: number): void {
    this.#facts.set(`${origin} ${fact}`, performance.now() + ms)
  }

  #has(origin: string, fact: string): boolean {
    return (this.#facts.get(`${origin} ${fact}`) ?? 0) > performance.now()
  }
}

/** Whether HTTP/1.1 may do better: broken streams, and streams on which nothing came. */
function isIllness({ failure, cause }: FetchError): boolean {
  return failure === 'reset' || failure === 'stalled' || cause instanceof errors.HeadersTimeoutError
}
