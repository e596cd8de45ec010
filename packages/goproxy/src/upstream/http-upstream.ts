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
import { FetchError } from './fetch-error.ts'
import type { HttpFetcher } from './http-fetcher.ts'
import type { FallThrough, ProxyList } from './proxy-list.ts'
import { openReader } from './readers.ts'
import type { Turn } from './turn.ts'
import type { ReadAgain, ReadOptions, UpstreamReader } from './upstream-reader.ts'
import { listFor, type UpstreamRoutes } from './upstream-routes.ts'

/** Who is asked, and for how long. */
export interface HttpUpstreamInit {
  readonly upstreams: UpstreamRoutes
  /** Paths that are asked of version control alone, whatever their list says; none of a list that is `off`. */
  readonly noproxy?: (path: ModulePath) => boolean
  /** Touch no network. */
  readonly offline: boolean
  /** Longest wait of one call in all, ms. */
  readonly fetchTimeoutMs?: number
}

/** Who is there to ask. Both are shared and stay their owner's to dispose of. */
export interface HttpUpstreamComponents {
  readonly http: HttpFetcher
  /** Reads version control; without it `direct` is nobody. */
  readonly direct?: UpstreamReader
}

interface Entry {
  readonly fallThrough: FallThrough
  readonly reader: UpstreamReader
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

/** The upstreams of GOPROXY lists, one for each route. Checks no hash: that is the fill's. */
export class HttpUpstream implements Upstream {
  readonly #upstreams: UpstreamRoutes
  readonly #entriesOf: ReadonlyMap<ProxyList, readonly Entry[]>
  /** Version control alone. */
  readonly #directEntries: readonly Entry[]
  readonly #noproxy: (path: ModulePath) => boolean
  readonly #offline: boolean
  readonly #fetchTimeoutMs: number

  constructor(components: HttpUpstreamComponents, init: HttpUpstreamInit) {
    const { routes, defaultList } = init.upstreams
    this.#noproxy = init.noproxy ?? (() => false)
    this.#offline = init.offline
    this.#fetchTimeoutMs = init.fetchTimeoutMs ?? limits.fetchTimeoutMs
    this.#upstreams = init.upstreams
    const lists = [defaultList, ...routes.map(({ list }) => list)]
    this.#entriesOf = new Map(lists.map((list) => [list, openEntries(list, components)]))
    const { direct } = components
    this.#directEntries = direct === undefined ? [] : [{ fallThrough: 'absent', reader: direct }]
  }

  isEnabled(path?: ModulePath): boolean {
    if (this.#offline) return false
    const asked = path === undefined ? [...this.#entriesOf.values()].flat() : this.#entriesFor(path)
    return asked.length > 0
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: Options & { readonly onReset: () => Promise<void> },
  ): Promise<Pick<UpstreamAnswer, 'from' | 'via'>> {
    let dirty = false
    const guard = (turn: Turn): ByteSink => ({
      write: (chunk) => {
        turn.moved(chunk.length)
        if (!dirty) refuseUnlike(chunk, 'PK', 'a zip')
        dirty = true
        return sink.write(chunk)
      },
    })
    const onReset = async (): Promise<void> => {
      if (dirty) await options.onReset()
      dirty = false
    }
    const what = formatModuleVersion(module)
    return this.#ask(module.path, what, options, async (reader, turn) => {
      await onReset()
      const { signal } = turn
      const how = { maxBytes: maxZipBytes, signal, onReset }
      await reader.copy(filePath(module, 'zip'), guard(turn), how)
      return nameOf(reader)
    })
  }

  async forget(module: ModuleVersion): Promise<void> {
    if (!this.isEnabled(module.path)) return
    for (const { reader } of this.#entriesFor(module.path)) {
      // Whatever kept it from that: it answers from what it has, as it would have.
      await reader.forget?.(module).catch(() => {})
    }
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
    return this.#ask(path, what, ask, async (reader, { signal }) => {
      const { maxBytes, check } = rules
      const name = nameOf(reader)
      const again = await readAgain(reader, file, ask.known?.validator, { maxBytes, signal })
      if (again.kind === 'unchanged') {
        if (ask.known !== undefined) return { ...ask.known, ...name }
        throw new FetchError('malformed', `${name.from}: unchanged, though nothing was known`)
      }
      check(again.bytes)
      const { bytes, validator } = again
      return validator === undefined ? { bytes, ...name } : { bytes, ...name, validator }
    })
  }

  async #ask<T>(
    path: ModulePath,
    what: string,
    options: Options,
    ask: (reader: UpstreamReader, turn: Turn) => Promise<T>,
  ): Promise<T> {
    const entries = this.#entriesFor(path)
    if (!this.isEnabled(path)) throw new OfflineError(this.#disabledReason(what))
    const candidates = entries.map(({ fallThrough, reader }): Candidate<T> => {
      const { name } = reader
      const answers = reader.answers?.bind(reader)
      return { name, fallThrough, answers, ask: (turn) => ask(reader, turn) }
    })
    // A moment less than the caller waits: our error names who did not answer.
    const ms = this.#fetchTimeoutMs * limits.toldInTime
    try {
      return await askInOrder(candidates, { ms, signal: options.signal })
    } catch (error) {
      throw error instanceof AllFailedError ? toUpstreamError(what, error) : error
    }
  }

  #entriesFor(path: ModulePath): readonly Entry[] {
    const list = listFor(this.#upstreams, path)
    const entries = this.#entriesOf.get(list) ?? []
    return list.entries.length > 0 && this.#noproxy(path) ? this.#directEntries : entries
  }

  #disabledReason(what: string): string {
    if (this.#offline) return `${what}: not held here, and this node is offline`
    return `${what}: not held here, and no upstream is configured`
  }
}

function nameOf({ kind, name }: UpstreamReader): Pick<UpstreamAnswer, 'from' | 'via'> {
  return kind === 'direct' ? { from: name, via: kind } : { from: name }
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

function openEntries(list: ProxyList, components: HttpUpstreamComponents): readonly Entry[] {
  return list.entries.flatMap((entry) => {
    const { http, direct } = components
    const reader = entry.kind === 'direct' ? direct : openReader(entry, http, encodePath)
    return reader === undefined ? [] : [{ fallThrough: entry.fallThrough, reader }]
  })
}

function toUpstreamError(what: string, error: AllFailedError): Error {
  const tried = `${what}\n${error.message}`
  if (error.best.failure === 'absent') return new ModuleNotFoundError(tried, { cause: error })
  const timedOut = error.failures.some(({ failure }) => ['timeout', 'stalled'].includes(failure))
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
