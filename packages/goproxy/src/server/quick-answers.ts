import type { IncomingMessage } from 'node:http'
import type { Answer, FillKind, ModuleSource, Source } from '@modmesh/fill'
import type { ModulePath } from '@modmesh/module'
import { splitHostPort } from '../host.ts'
import { maxQuickTargetChars, maxQuickTargets } from '../limits.ts'
import type { ProxyRequest } from '../request-path.ts'
import { isOwnHost } from './gate.ts'
import { headersOf } from './headers.ts'

/** An answer that is all in memory. `headers` holds names and values in turn. */
export interface QuickAnswer {
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** What a target asks for, and the headers of its last answer: hot files are asked for again and again. */
interface QuickTarget {
  readonly what: Exclude<FillKind, 'zip'>
  readonly path: ModulePath
  readonly version: string | undefined
  last:
    | (QuickAnswer & { readonly source: Source; readonly ageSeconds: number | undefined })
    | undefined
}

/** Fields that change nothing in an answer; one that is not here sends the request the usual way. */
const plainFields: ReadonlySet<string> = new Set(
  ['Host', 'User-Agent', 'Accept-Encoding', 'Accept', 'Connection'].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
)

/** Names and values of a plain request: beyond that Node may have cut some, and the gate is to say so. */
const maxPlainFields = 20

/**
 * Answers repeated requests for what is in memory without a wait, a parse or a timer. Only what passed the gate and
 * the parser once, under the same target and Host, is answered here.
 */
export class QuickAnswers {
  readonly #source: ModuleSource
  readonly #hosts: ReadonlySet<string>
  readonly #targets = new Map<string, QuickTarget>()
  readonly #knownHosts = new Set<string>()

  constructor(source: ModuleSource, init: { readonly hosts: ReadonlySet<string> }) {
    this.#source = source
    this.#hosts = init.hosts
  }

  /** Takes note of a request that passed. */
  learn(request: IncomingMessage, parsed: ProxyRequest): void {
    const { url = '', headers } = request
    const asked = quickTarget(parsed)
    if (this.#source.peek === undefined || asked === undefined) return
    if (url.length > maxQuickTargetChars || !this.#knowsHost(headers.host ?? '')) return
    if (this.#targets.has(url)) return
    // All at once: what is hot is learnt again with its next request.
    if (this.#targets.size >= maxQuickTargets) this.#targets.clear()
    this.#targets.set(url, asked)
  }

  /** The answer, where it is known and the request is plain; undefined sends it the usual way. */
  find(request: IncomingMessage): QuickAnswer | undefined {
    const target = this.#targets.get(request.url ?? '')
    if (target === undefined || !this.#isPlain(request)) return undefined
    const answer = this.#source.peek?.(target.what, target.path, target.version)
    return answer && quickAnswer(target, answer)
  }

  /** Whether the gate would let it pass, and nothing narrows the answer. */
  #isPlain({ method, rawHeaders }: IncomingMessage): boolean {
    if (method !== 'GET' && method !== 'HEAD') return false
    if (rawHeaders.length > maxPlainFields) return false
    let hosts = 0
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? ''
      if (!plainFields.has(name)) return false
      if (name.length !== 4) continue
      hosts++
      if (!this.#knownHosts.has(rawHeaders[i + 1] ?? '')) return false
    }
    return hosts === 1
  }

  /** A Host that is ours wherever the request came in. */
  #knowsHost(host: string): boolean {
    if (this.#knownHosts.has(host)) return true
    const name = splitHostPort(host)?.host
    if (name === undefined || !isOwnHost(name, this.#hosts)) return false
    if (this.#knownHosts.size >= maxQuickTargets) this.#knownHosts.clear()
    this.#knownHosts.add(host)
    return true
  }
}

function quickTarget(parsed: ProxyRequest): QuickTarget | undefined {
  if (!('cachedOnly' in parsed) || parsed.cachedOnly) return undefined
  switch (parsed.kind) {
    case 'mod':
    case 'info':
      return { what: parsed.kind, ...parsed.module, last: undefined }
    case 'list':
    case 'latest':
      return { what: parsed.kind, path: parsed.path, version: undefined, last: undefined }
    case 'query':
      return { what: 'query', path: parsed.path, version: parsed.query, last: undefined }
    default:
      return undefined
  }
}

function quickAnswer(target: QuickTarget, answer: Answer<Uint8Array>): QuickAnswer {
  const { value, source, ageMs } = answer
  const ageSeconds = ageMs === undefined ? undefined : Math.floor(ageMs / 1_000)
  const { last } = target
  if (last?.body === value && last.source === source && last.ageSeconds === ageSeconds) return last
  const headers = Object.entries(headersOf(target.what, answer)).flat()
  headers.push('content-length', String(value.length), 'x-content-type-options', 'nosniff')
  target.last = { headers, body: value, source, ageSeconds }
  return target.last
}
