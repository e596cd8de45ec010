import type { Clock, FillEvent, PeerId, Source, UpstreamReason } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { errorText } from './errors.ts'
import { toIso, toIsoOrNull } from './iso-time.ts'
import { printableName } from './printable.ts'

/** One thing that happened on the way to an answer. Absent is null, times are ISO 8601. */
export interface TraceStep {
  /** When it ended. */
  readonly at: string
  readonly step:
    | 'answered'
    | 'failed'
    /** Peers were asked what they know of it. */
    | 'peers-told'
    /** Somebody was asked for the zip. */
    | 'asked'
    /** The peer that asks upstream for our site was asked. */
    | 'owner-asked'
    /** A peer asked us, for the site. */
    | 'for-site'
    | 'upstream-chosen'
    | 'refused'
    | 'kept'
  /** The part of the version it was about: `zip`, `mod`, `info`, `sums`. */
  readonly what: string | null
  /** `store`, `peer`, `owner`, `remote`, `upstream`, `direct`. */
  readonly source: string | null
  readonly peer: PeerId | null
  readonly outcome: string | null
  readonly reason: string | null
  readonly bytes: number | null
  readonly tookMs: number | null
  /** Of `peers-told`: those that knew something. */
  readonly answers?: readonly { readonly peer: PeerId; readonly holdsZip: boolean }[]
  /** Of `asked`, when the zip was told in parts: how, and the bytes that took. */
  readonly changes?: { readonly form: string; readonly receivedBytes: number }
  /** Of `upstream-chosen`. */
  readonly why?: UpstreamReason
}

/** What became of requests for one module version. */
export interface Trace {
  readonly steps: readonly TraceStep[]
  /** Steps that there was no more room for: the middle ones. */
  readonly dropped: number
  /** Answers from the store since its fill, and the last of them. */
  readonly hits: number
  readonly lastHitAt: string | null
}

interface Entry {
  readonly first: TraceStep[]
  readonly last: TraceStep[]
  dropped: number
  hits: number
  lastHitMs: number | undefined
}

/** Module versions remembered: a large build. About 2 KiB each. */
const maxModules = 2_000
/** Steps kept of the beginning and of the end of each. */
const maxFirst = 24
const maxLast = 24
/** Peers named in one step. */
const maxAnswers = 32

type Fields = Partial<Omit<TraceStep, 'at' | 'step'>>

/** Remembers what became of the last requests that the store alone could not answer. In memory, bounded. */
export class FillTrace {
  readonly #clock: Pick<Clock, 'wallMs'>
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>()

  constructor(components: { readonly clock: Pick<Clock, 'wallMs'> }) {
    this.#clock = components.clock
  }

  /** What is remembered of `PATH@VERSION`; undefined when nothing is. */
  of(module: string): Trace | undefined {
    const entry = this.#entries.get(module)
    if (entry === undefined) return undefined
    const { first, last, dropped, hits, lastHitMs } = entry
    const lastHitAt = toIsoOrNull(lastHitMs)
    return { steps: [...first, ...last], dropped, hits, lastHitAt }
  }

  /** Takes note of one event of the fill. */
  record(event: FillEvent): void {
    switch (event.kind) {
      case 'answered':
        return this.#answered(event)
      case 'failed': {
        if (event.isRemembered === true) return
        const { what, error, tookMs } = event
        return this.#ofVersion(event, 'failed', { what, reason: oneLine(error), tookMs })
      }
      case 'owner-asked':
      case 'site-answered': {
        const isOurs = event.kind === 'owner-asked'
        const { what, outcome, tookMs } = event
        const peer = isOurs ? event.owner : event.peer
        const fields = { what, peer, outcome, tookMs }
        return this.#ofVersion(event, isOurs ? 'owner-asked' : 'for-site', fields)
      }
      case 'peers-told': {
        const { tookMs } = event
        const answers = event.answers.slice(0, maxAnswers)
        return this.#ofModule(event, 'peers-told', { answers, tookMs })
      }
      case 'zip-asked': {
        const { asked, outcome, error, bytes, tookMs } = event
        const peer = 'peer' in asked ? asked.peer : null
        const reason = error === undefined ? null : oneLine(error)
        const { changes } = event
        const how = {
          outcome,
          reason,
          bytes,
          tookMs,
          ...(changes === undefined ? {} : { changes }),
        }
        return this.#ofModule(event, 'asked', { what: 'zip', source: asked.kind, peer, ...how })
      }
      case 'upstream-chosen':
        return this.#ofModule(event, 'upstream-chosen', { what: event.what, why: event.why })
      case 'peer-blamed':
        return this.#refused(event, { source: 'peer', peer: event.peer, reason: event.reason })
      case 'upstream-refused':
        return this.#refused(event, { source: 'upstream', reason: event.reason })
      case 'published-refused':
        return this.#refused(event, { source: 'peer', reason: event.reason })
      case 'remote-refused':
        return this.#refused(event, { source: 'remote', reason: event.reason })
      case 'hash-changed':
        return this.#refused(event, { source: 'upstream', reason: event.error.message })
      case 'committed':
        return this.#ofModule(event, 'kept', { what: 'zip', bytes: event.bytes })
      case 'store-failed':
        return this.#refused(event, { source: 'store', reason: event.error.message })
      case 'remote-write':
        return
    }
  }

  /** Hits are many: counted where a fill is remembered, and never a reason to forget another. */
  #answered(event: Extract<FillEvent, { readonly kind: 'answered' }>): void {
    const { what, path, version, source, bytes, tookMs } = event
    if (source.kind !== 'store') {
      const reason = sourceDetail(source)
      const peer = source.kind === 'peer' ? source.peer : null
      const fields = { what, source: source.kind, peer, reason, bytes, tookMs }
      return this.#ofVersion(event, 'answered', fields)
    }
    if (version === undefined) return
    const entry = this.#entries.get(`${path}@${version}`)
    if (entry === undefined) return
    entry.hits += 1
    entry.lastHitMs = this.#clock.wallMs()
  }

  #refused(
    event: { readonly module: ModuleVersion },
    fields: Fields & { readonly reason: string },
  ): void {
    this.#ofModule(event, 'refused', { ...fields, reason: printableName(fields.reason) })
  }

  #ofModule(
    event: { readonly module: ModuleVersion },
    step: TraceStep['step'],
    fields: Fields,
  ): void {
    this.#add(formatModuleVersion(event.module), step, fields)
  }

  /** Lists and queries are of no version. */
  #ofVersion(
    event: { readonly what: string; readonly path: string; readonly version: string | undefined },
    step: TraceStep['step'],
    fields: Fields,
  ): void {
    if (event.version === undefined || event.what === 'query') return
    this.#add(`${event.path}@${event.version}`, step, fields)
  }

  #add(module: string, step: TraceStep['step'], fields: Fields): void {
    const at = toIso(this.#clock.wallMs())
    const entry = this.#entry(module)
    const line: TraceStep = { ...nothing, at, step, ...fields }
    if (entry.first.length < maxFirst) entry.first.push(line)
    else entry.last.push(line)
    if (entry.last.length <= maxLast) return
    entry.last.shift()
    entry.dropped += 1
  }

  #entry(module: string): Entry {
    const known = this.#entries.get(module)
    const entry = known ?? { first: [], last: [], dropped: 0, hits: 0, lastHitMs: undefined }
    this.#entries.delete(module)
    this.#entries.set(module, entry)
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > maxModules && oldest !== undefined) this.#entries.delete(oldest)
    return entry
  }
}

const nothing = {
  what: null,
  source: null,
  peer: null,
  outcome: null,
  reason: null,
  bytes: null,
  tookMs: null,
} as const

function sourceDetail(source: Source): string | null {
  if ('from' in source) return printableName(source.from)
  if (source.kind === 'peer' && source.via === 'owner') return 'owner'
  return source.kind === 'stale' ? source.why : null
}

function oneLine(error: Error): string {
  return printableName(errorText(error).split('\n', 1)[0] ?? '')
}
