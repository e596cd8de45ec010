import { UpstreamUnavailableError } from '@modmesh/fill'
import { SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import * as limits from '../limits.ts'
import { untilAborted } from '../until-aborted.ts'
import { AllFailedError, askInOrder, type Candidate } from './ask-in-order.ts'
import { withDeadline } from './deadline.ts'
import { FetchError } from './fetch-error.ts'
import type { HttpFetcher } from './http-fetcher.ts'
import { type FallThrough, type ProxyList, parseUpstreamUrl } from './proxy-list.ts'
import { openReader } from './readers.ts'
import type { Turn } from './turn.ts'
import type { UpstreamReader } from './upstream-reader.ts'

/** Which checksum database, and over which ways. */
export interface HttpSumdbInit {
  readonly name: string
  /** Asked alone when given, also with `list` off. */
  readonly url: string | undefined
  /** Each entry's `/sumdb/<name>` is tried before the database itself. */
  readonly list: ProxyList
  readonly offline: boolean
  /** Longest wait of one call in all, ms. */
  readonly fetchTimeoutMs?: number
}

/** A way to the database: a reader and the path that its files are under. */
interface Way {
  readonly reader: UpstreamReader
  readonly base: string
  readonly fallThrough: FallThrough
  /** Must say `supported` before it is used. */
  readonly mustSupport: boolean
}

type Options = { readonly signal: AbortSignal }

/**
 * Brings the bytes of a checksum database, unverified. Finds the way as `go` does (design, section 7): a URL
 * alone, else each upstream that says `supported`, else `https://<name>`; the way found is kept while it works.
 */
export class HttpSumdb {
  readonly #name: string
  readonly #http: HttpFetcher
  readonly #ways: readonly Way[]
  readonly #fetchTimeoutMs: number
  #chosen: Promise<Way> | undefined

  /** `http` is shared and stays its owner's to dispose of. Throws InvalidProxyListError for a wrong `url`. */
  constructor({ http }: { readonly http: HttpFetcher }, init: HttpSumdbInit) {
    this.#name = init.name
    this.#http = http
    this.#fetchTimeoutMs = init.fetchTimeoutMs ?? limits.fetchTimeoutMs
    this.#ways = init.offline ? [] : this.#listWays(init)
  }

  /** False when nobody may be asked: offline, or upstream is off and no URL was given. */
  isEnabled(): boolean {
    return this.#ways.length > 0
  }

  /**
   * Reads `/lookup/…`, `/tile/…` or `/latest`. Throws SumdbNotFoundError for 404 and 410 and
   * SumdbUnavailableError for all else.
   */
  async read(path: string, options: Options): Promise<Uint8Array> {
    if (!this.isEnabled()) {
      throw new SumdbUnavailableError(
        `checksum database ${this.#name}: not asked, this node is offline`,
      )
    }
    try {
      return await withDeadline(this.#fetchTimeoutMs, options.signal, (signal) =>
        this.#read(path, signal),
      )
    } catch (error) {
      if (error instanceof FetchError || error instanceof AllFailedError) throw this.#toError(error)
      if (error instanceof UpstreamUnavailableError) throw this.#unavailable(error)
      throw error
    }
  }

  #listWays(init: HttpSumdbInit): readonly Way[] {
    const open = (entry: Parameters<typeof openReader>[0]): UpstreamReader =>
      openReader(entry, this.#http, encodeSumdbPath)
    if (init.url !== undefined) {
      const reader = open(parseUpstreamUrl(init.url))
      return [{ reader, base: '', fallThrough: 'absent', mustSupport: false }]
    }
    const { entries } = init.list
    if (entries.length === 0) return []
    const proxies = entries.flatMap((entry) => {
      if (entry.kind === 'direct') return []
      const { fallThrough } = entry
      return [{ reader: open(entry), base: `/sumdb/${init.name}`, fallThrough, mustSupport: true }]
    })
    const database = open(parseUpstreamUrl(`https://${init.name}`))
    return [...proxies, { reader: database, base: '', fallThrough: 'absent', mustSupport: false }]
  }

  async #read(path: string, signal: AbortSignal): Promise<Uint8Array> {
    const way = await this.#way(signal)
    const maxBytes = path.startsWith('/tile/') ? limits.maxTileBytes : limits.maxLookupBytes
    try {
      return await way.reader.read(way.base + path, { maxBytes, signal })
    } catch (error) {
      const absent = error instanceof FetchError && error.failure === 'absent'
      // A way that fails is looked for anew: a daemon outlives its upstreams' troubles.
      if (!absent) this.#chosen = undefined
      throw error
    }
  }

  /** One search at a time; it is cut only by its own deadline, because others wait for it too. */
  async #way(signal: AbortSignal): Promise<Way> {
    this.#chosen ??= this.#search()
    const chosen = this.#chosen
    try {
      return await untilAborted(chosen, signal)
    } catch (error) {
      if (!signal.aborted && this.#chosen === chosen) this.#chosen = undefined
      throw error
    }
  }

  #search(): Promise<Way> {
    const never = new AbortController().signal
    return askInOrder(this.#ways.map(toCandidate), { ms: this.#fetchTimeoutMs, signal: never })
  }

  #toError(error: FetchError | AllFailedError): Error {
    const absent = error instanceof FetchError && error.failure === 'absent'
    if (!absent) return this.#unavailable(error)
    return new SumdbNotFoundError(`checksum database ${this.#name}\n${error.message}`, {
      cause: error,
    })
  }

  #unavailable(error: Error): SumdbUnavailableError {
    return new SumdbUnavailableError(
      `checksum database ${this.#name} cannot be asked\n${error.message}`,
      { cause: error },
    )
  }
}

function toCandidate(way: Way): Candidate<Way> {
  const { fallThrough, reader, base, mustSupport } = way
  const ask = async ({ signal }: Turn): Promise<Way> => {
    if (mustSupport) {
      await reader.read(`${base}/supported`, { maxBytes: limits.maxLookupBytes, signal })
    }
    return way
  }
  return { name: reader.name, fallThrough, answers: reader.answers?.bind(reader), ask }
}

/** cmd/go sends lookups with a raw `!`; the paths come from our own client and need no more. */
function encodeSumdbPath(path: string): string {
  return path
}
