import {
  type ByteSink,
  ModuleNotFoundError,
  OfflineError,
  type Upstream,
  type UpstreamAnswer,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import {
  escapeModulePath,
  escapeVersion,
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  maxInfoBytes,
  maxModBytes,
  maxZipBytes,
} from '@modmesh/module'
import * as limits from '../limits.ts'
import { encodePath } from '../request-path.ts'
import { AllFailedError, askInOrder, type Candidate } from './ask-in-order.ts'
import { withDeadline } from './deadline.ts'
import { FetchError } from './fetch-error.ts'
import { HttpFetcher, type HttpFetcherInit } from './http-fetcher.ts'
import { type FallThrough, parseProxyList } from './proxy-list.ts'
import { openReader } from './readers.ts'
import type { UpstreamReader } from './upstream-reader.ts'

/** Who is asked, and how. */
export interface HttpUpstreamInit extends HttpFetcherInit {
  /** GOPROXY syntax. */
  readonly list: string
  /** Touch no network. */
  readonly offline: boolean
  /** Longest wait of one call in all, ms. */
  readonly fetchTimeoutMs?: number
}

interface Entry {
  readonly fallThrough: FallThrough
  /** Undefined for `direct`: version control is not available here. */
  readonly reader: UpstreamReader | undefined
}

type Options = { readonly signal: AbortSignal }

const directNote = 'direct: fetching from version control is not available here yet'

/** The upstreams of a GOPROXY list. Checks no hash: that is the fill's. */
export class HttpUpstream implements Upstream, AsyncDisposable {
  readonly #entries: readonly Entry[]
  readonly #http: HttpFetcher
  readonly #offline: boolean
  readonly #fetchTimeoutMs: number

  /** Throws InvalidProxyListError, InvalidCaFileError. */
  constructor(init: HttpUpstreamInit) {
    this.#http = new HttpFetcher(init)
    this.#offline = init.offline
    this.#fetchTimeoutMs = init.fetchTimeoutMs ?? limits.fetchTimeoutMs
    this.#entries = parseProxyList(init.list).entries.map((entry) => ({
      fallThrough: entry.fallThrough,
      reader: entry.kind === 'direct' ? undefined : openReader(entry, this.#http, encodePath),
    }))
  }

  isEnabled(): boolean {
    return !this.#offline && this.#entries.some(({ reader }) => reader !== undefined)
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: Options & { readonly onReset: () => Promise<void> },
  ): Promise<{ readonly from: string }> {
    let dirty = false
    const guarded: ByteSink = {
      write: (chunk) => {
        if (!dirty) refuseUnlike(chunk, 'PK', 'a zip')
        dirty = true
        return sink.write(chunk)
      },
    }
    const onReset = async (): Promise<void> => {
      if (dirty) await options.onReset()
      dirty = false
    }
    return this.#ask(formatModuleVersion(module), options, async (reader, signal) => {
      await onReset()
      await reader.copy(filePath(module, 'zip'), guarded, {
        maxBytes: maxZipBytes,
        signal,
        onReset,
      })
      return { from: reader.name }
    })
  }

  fetchMod(module: ModuleVersion, options: Options): Promise<UpstreamAnswer> {
    return this.#read(formatModuleVersion(module), filePath(module, 'mod'), maxModBytes, options)
  }

  fetchInfo(module: ModuleVersion, options: Options): Promise<UpstreamAnswer> {
    return this.#readJson(formatModuleVersion(module), filePath(module, 'info'), options)
  }

  fetchList(path: ModulePath, options: Options): Promise<UpstreamAnswer> {
    const { maxListBytes } = limits
    return this.#read(path, `/${escapeModulePath(path)}/@v/list`, maxListBytes, options)
  }

  fetchLatest(path: ModulePath, options: Options): Promise<UpstreamAnswer> {
    return this.#readJson(path, `/${escapeModulePath(path)}/@latest`, options)
  }

  fetchQuery(path: ModulePath, query: string, options: Options): Promise<UpstreamAnswer> {
    const file = `/${escapeModulePath(path)}/@v/${escapeVersion(query)}.info`
    return this.#readJson(`${path}@${query}`, file, options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#http[Symbol.asyncDispose]()
  }

  #readJson(what: string, path: string, options: Options): Promise<UpstreamAnswer> {
    return this.#ask(what, options, async (reader, signal) => {
      const bytes = await reader.read(path, { maxBytes: maxInfoBytes, signal })
      refuseUnlike(bytes, '{', 'JSON')
      return { bytes, from: reader.name }
    })
  }

  #read(what: string, path: string, maxBytes: number, options: Options): Promise<UpstreamAnswer> {
    return this.#ask(what, options, async (reader, signal) => {
      const bytes = await reader.read(path, { maxBytes, signal })
      refuseHtml(bytes)
      return { bytes, from: reader.name }
    })
  }

  async #ask<T>(
    what: string,
    options: Options,
    ask: (reader: UpstreamReader, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (!this.isEnabled()) throw new OfflineError(this.#disabledReason(what))
    return withDeadline(this.#fetchTimeoutMs, options.signal, async (signal) => {
      try {
        return await askInOrder(this.#entries.map((entry) => toCandidate(entry, ask, signal)))
      } catch (error) {
        throw error instanceof AllFailedError ? toUpstreamError(what, error) : error
      }
    })
  }

  #disabledReason(what: string): string {
    if (this.#offline) return `${what}: not held here, and this node is offline`
    const onlyDirect = this.#entries.length > 0
    return `${what}: not held here, and no upstream is configured${onlyDirect ? `\n${directNote}` : ''}`
  }
}

function toCandidate<T>(
  { reader, fallThrough }: Entry,
  ask: (reader: UpstreamReader, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Candidate<T> {
  if (reader !== undefined) return { fallThrough, ask: () => ask(reader, signal) }
  return { fallThrough, ask: () => Promise.reject(new FetchError('absent', directNote)) }
}

function toUpstreamError(what: string, error: AllFailedError): Error {
  const tried = `${what}\n${error.message}`
  if (error.best.failure === 'absent') return new ModuleNotFoundError(tried, { cause: error })
  const timedOut = error.best.failure === 'timeout'
  return new UpstreamUnavailableError(tried, { cause: error, timedOut })
}

function filePath(module: ModuleVersion, kind: 'zip' | 'mod' | 'info'): string {
  return `/${escapeModulePath(module.path)}/@v/${escapeVersion(module.version)}.${kind}`
}

/** A login or error page sent with status 200 is this upstream's failure, so that `|` may go on. */
function refuseUnlike(bytes: Uint8Array, start: string, what: string): void {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 64)).trimStart()
  if (text.startsWith(start) || start.startsWith(text)) return
  throw new FetchError('malformed', `answered with something that is not ${what}`)
}

function refuseHtml(bytes: Uint8Array): void {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 64)).trimStart()
  if (text.startsWith('<')) throw new FetchError('malformed', 'answered with a web page')
}
