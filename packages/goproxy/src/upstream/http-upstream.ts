import {
  type ByteSink,
  ModuleNotFoundError,
  type MutableAsk,
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
import type { HttpFetcher } from './http-fetcher.ts'
import type { FallThrough, ProxyList } from './proxy-list.ts'
import { openReader } from './readers.ts'
import type { ReadAgain, ReadOptions, UpstreamReader } from './upstream-reader.ts'
import { routeFor, type UpstreamRoutes } from './upstream-routes.ts'

/** Who is asked, and for how long. */
export interface HttpUpstreamInit {
  readonly upstreams: UpstreamRoutes
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

/** What an answer may be. `check` throws FetchError. */
interface AnswerRules {
  readonly maxBytes: number
  readonly check: (bytes: Uint8Array) => void
}

const modRules: AnswerRules = { maxBytes: maxModBytes, check: refuseHtml }
const listRules: AnswerRules = { maxBytes: limits.maxListBytes, check: refuseHtml }
const jsonRules: AnswerRules = {
  maxBytes: maxInfoBytes,
  check: (bytes) => refuseUnlike(bytes, '{', 'JSON'),
}

/** A file of an upstream, and how messages name what is in it. */
interface Wanted {
  readonly what: string
  readonly file: string
}

const directNote = 'direct: fetching from version control is not available here yet'

/** The upstreams of GOPROXY lists, one for each route. Checks no hash: that is the fill's. */
export class HttpUpstream implements Upstream {
  readonly #routes: UpstreamRoutes['routes']
  readonly #entriesOf: ReadonlyMap<ProxyList, readonly Entry[]>
  readonly #defaultList: ProxyList
  readonly #offline: boolean
  readonly #fetchTimeoutMs: number

  /** `http` is shared and stays its owner's to dispose of. */
  constructor({ http }: { readonly http: HttpFetcher }, init: HttpUpstreamInit) {
    const { routes, defaultList } = init.upstreams
    this.#offline = init.offline
    this.#fetchTimeoutMs = init.fetchTimeoutMs ?? limits.fetchTimeoutMs
    this.#routes = routes
    this.#defaultList = defaultList
    const lists = [defaultList, ...routes.map(({ list }) => list)]
    this.#entriesOf = new Map(lists.map((list) => [list, openEntries(list, http)]))
  }

  isEnabled(path?: ModulePath): boolean {
    if (this.#offline) return false
    const asked = path === undefined ? [...this.#entriesOf.values()].flat() : this.#entriesFor(path)
    return asked.some(({ reader }) => reader !== undefined)
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
    return this.#ask(module.path, formatModuleVersion(module), options, async (reader, signal) => {
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
    const what = formatModuleVersion(module)
    return this.#read(module.path, { what, file: filePath(module, 'mod') }, modRules, options)
  }

  fetchInfo(module: ModuleVersion, options: Options): Promise<UpstreamAnswer> {
    const what = formatModuleVersion(module)
    return this.#read(module.path, { what, file: filePath(module, 'info') }, jsonRules, options)
  }

  fetchList(path: ModulePath, ask: MutableAsk): Promise<UpstreamAnswer> {
    const file = `/${escapeModulePath(path)}/@v/list`
    return this.#read(path, { what: path, file }, listRules, ask)
  }

  fetchLatest(path: ModulePath, ask: MutableAsk): Promise<UpstreamAnswer> {
    const file = `/${escapeModulePath(path)}/@latest`
    return this.#read(path, { what: path, file }, jsonRules, ask)
  }

  fetchQuery(path: ModulePath, query: string, ask: MutableAsk): Promise<UpstreamAnswer> {
    const file = `/${escapeModulePath(path)}/@v/${escapeVersion(query)}.info`
    return this.#read(path, { what: `${path}@${query}`, file }, jsonRules, ask)
  }

  /** Asks only whether what is known still holds, where this upstream told how to ask that. */
  #read(
    path: ModulePath,
    { what, file }: Wanted,
    rules: AnswerRules,
    ask: MutableAsk,
  ): Promise<UpstreamAnswer> {
    return this.#ask(path, what, ask, async (reader, signal) => {
      const { maxBytes, check } = rules
      const from = reader.name
      const again = await readAgain(reader, file, ask.known?.validator, { maxBytes, signal })
      if (again.kind === 'unchanged') {
        if (ask.known !== undefined) return { ...ask.known, from }
        throw new FetchError('malformed', `${from}: unchanged, though nothing was known`)
      }
      check(again.bytes)
      const { bytes, validator } = again
      return validator === undefined ? { bytes, from } : { bytes, from, validator }
    })
  }

  async #ask<T>(
    path: ModulePath,
    what: string,
    options: Options,
    ask: (reader: UpstreamReader, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const entries = this.#entriesFor(path)
    if (!this.isEnabled(path)) throw new OfflineError(this.#disabledReason(what, entries))
    return withDeadline(this.#fetchTimeoutMs, options.signal, async (signal) => {
      try {
        return await askInOrder(entries.map((entry) => toCandidate(entry, ask, signal)))
      } catch (error) {
        throw error instanceof AllFailedError ? toUpstreamError(what, error) : error
      }
    })
  }

  #entriesFor(path: ModulePath): readonly Entry[] {
    const list = routeFor(this.#routes, path)?.list ?? this.#defaultList
    return this.#entriesOf.get(list) ?? []
  }

  #disabledReason(what: string, entries: readonly Entry[]): string {
    if (this.#offline) return `${what}: not held here, and this node is offline`
    const onlyDirect = entries.length > 0
    return `${what}: not held here, and no upstream is configured${onlyDirect ? `\n${directNote}` : ''}`
  }
}

async function readAgain(
  reader: UpstreamReader,
  file: string,
  validator: string | undefined,
  options: ReadOptions,
): Promise<ReadAgain> {
  const again = await reader.readAgain?.(file, validator, options)
  return again ?? { kind: 'read', bytes: await reader.read(file, options) }
}

function openEntries(list: ProxyList, http: HttpFetcher): readonly Entry[] {
  return list.entries.map((entry) => ({
    fallThrough: entry.fallThrough,
    reader: entry.kind === 'direct' ? undefined : openReader(entry, http, encodePath),
  }))
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
