import type { Clock, FillEvent, OwnerOutcome, PeerId, Source } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import { printableName } from './printable.ts'

export type SourceKind = Source['kind']

/** Answers given and their bytes. */
interface Count {
  readonly answers: number
  readonly bytes: number
}

export type CountBySource = Readonly<Record<SourceKind, Count>>

/**
 * Where answers are found, the quickest first. All but `negative` make up the answers given (`memory` and `disk` are
 * the store's; a zip counts as `disk`); `negative` is "not found" that was known already, a part of what failed.
 */
export type Level = 'memory' | 'disk' | 'negative' | Exclude<SourceKind, 'store'>

/** Answers by level. */
export type CountByLevel = Readonly<Record<Level, number>>

/** An answer that did not verify, and who gave it. */
export interface Refusal {
  /** Milliseconds since 1970. */
  readonly atMs: number
  readonly source: 'peer' | 'remote' | 'upstream'
  /** Set when a peer gave it. */
  readonly peer: PeerId | undefined
  readonly module: string
  readonly reason: string
}

/** What was answered, and from where. */
export interface TrafficReport {
  readonly sinceStart: CountBySource
  readonly lastHour: CountBySource
  readonly levels: CountByLevel
  /** Requests that could not be answered, "not found" included, since the start. */
  readonly failed: number
  readonly lastAnswerMs: number | undefined
  readonly refusedTotal: number
  /** The newest first, at most `keptRefusals`. */
  readonly refused: readonly Refusal[]
  readonly lastUpstream: UpstreamOutcome | undefined
  /** Objects for the remote store, by what became of them. */
  readonly remoteWrites: RemoteWrites
  /** Questions to and from others of our site. */
  readonly site: SiteCounts
}

/** Objects that were to be written to a remote store. */
export type RemoteWrites = Readonly<
  Record<Extract<FillEvent, { readonly kind: 'remote-write' }>['outcome'], number>
>

/** One fetch per site: what was asked of owners, how that ended, and what we did for others. */
export interface SiteCounts {
  /** Questions to owners, by how they ended; all but `answered` we then answered ourselves. */
  readonly asked: Readonly<Record<OwnerOutcome, number>>
  /** Questions of others, by how they ended. */
  readonly answered: Readonly<
    Record<Extract<FillEvent, { readonly kind: 'site-answered' }>['outcome'], number>
  >
}

/** How the last question to upstream ended. */
export type UpstreamOutcome =
  | { readonly ok: true; readonly atMs: number }
  | { readonly ok: false; readonly atMs: number; readonly reason: string }

const minutesKept = 60
const minuteMs = 60_000

/** Enough to see a pattern; the log has them all. */
const keptRefusals = 20

type MutableCounts = Record<SourceKind, { answers: number; bytes: number }>

/** Counts what was answered by source, since the start and in the last hour, by the minute. */
export class Traffic {
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly #sinceStart: MutableCounts = noCounts()
  readonly #levels = noLevels()
  readonly #minutes: { minute: number; counts: MutableCounts }[] = []
  readonly #refused: Refusal[] = []
  #refusedTotal = 0
  #failed = 0
  #lastAnswerMs: number | undefined
  #lastUpstream: UpstreamOutcome | undefined
  readonly #remoteWrites = { written: 0, exists: 0, failed: 0, dropped: 0 }
  readonly #ownerAsked = noOutcomes()
  readonly #siteAnswered = { answered: 0, nothing: 0, declined: 0, failed: 0 }

  constructor(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Takes note of one event of the fill. */
  record(event: FillEvent): void {
    switch (event.kind) {
      case 'answered':
        this.#lastAnswerMs = this.#clock.wallMs()
        this.#levels[levelOf(event.source)] += 1
        add(this.#sinceStart, event.source.kind, event.bytes)
        add(this.#thisMinute(), event.source.kind, event.bytes)
        this.#noteUpstreamAnswer(event.source)
        return
      case 'failed':
        this.#failed += 1
        if (event.isRemembered === true) this.#levels.negative += 1
        this.#noteUpstreamFailure(event.error)
        return
      case 'peer-blamed':
        this.#refuse({
          source: 'peer',
          peer: event.peer,
          module: formatModuleVersion(event.module),
          reason: event.reason,
        })
        return
      case 'published-refused':
        this.#refuse({
          source: 'peer',
          peer: undefined,
          module: formatModuleVersion(event.module),
          reason: event.reason,
        })
        return
      case 'upstream-refused':
      case 'remote-refused':
        this.#refuse({
          source: event.kind === 'upstream-refused' ? 'upstream' : 'remote',
          peer: undefined,
          module: formatModuleVersion(event.module),
          reason: event.reason,
        })
        return
      case 'owner-asked':
        this.#ownerAsked[event.outcome] += 1
        return
      case 'site-answered':
        this.#siteAnswered[event.outcome] += 1
        return
      case 'remote-write':
        this.#remoteWrites[event.outcome] += 1
        return
      case 'committed':
      case 'store-failed':
      case 'peers-told':
      case 'zip-asked':
      case 'upstream-chosen':
        return // what goes on around an answer, which is counted
      case 'hash-changed':
        return // told by itself, for as long as it waits to be accepted
    }
  }

  report(): TrafficReport {
    this.#dropOldMinutes()
    const lastHour = noCounts()
    for (const { counts } of this.#minutes) {
      for (const kind of sourceKinds) {
        lastHour[kind].answers += counts[kind].answers
        lastHour[kind].bytes += counts[kind].bytes
      }
    }
    return {
      sinceStart: structuredClone(this.#sinceStart),
      lastHour,
      levels: { ...this.#levels },
      failed: this.#failed,
      lastAnswerMs: this.#lastAnswerMs,
      refusedTotal: this.#refusedTotal,
      refused: this.#refused.toReversed(),
      lastUpstream: this.#lastUpstream,
      remoteWrites: { ...this.#remoteWrites },
      site: { asked: { ...this.#ownerAsked }, answered: { ...this.#siteAnswered } },
    }
  }

  #refuse(what: Omit<Refusal, 'atMs'>): void {
    this.#refusedTotal += 1
    const reason = printableName(what.reason)
    this.#refused.push({ ...what, reason, atMs: this.#clock.wallMs() })
    if (this.#refused.length > keptRefusals) this.#refused.shift()
  }

  #noteUpstreamAnswer(source: Source): void {
    const atMs = this.#clock.wallMs()
    if (source.kind === 'upstream') this.#lastUpstream = { ok: true, atMs }
    if (source.kind !== 'stale' || source.why !== 'failed') return
    this.#lastUpstream = { ok: false, atMs, reason: 'gave no newer answer for an older one' }
  }

  #noteUpstreamFailure(error: Error): void {
    if (!('code' in error) || error.code !== 'UPSTREAM_UNAVAILABLE') return
    const reason = printableName(error.message.replaceAll('\n', ': '))
    this.#lastUpstream = { ok: false, atMs: this.#clock.wallMs(), reason }
  }

  #thisMinute(): MutableCounts {
    const minute = Math.floor(this.#clock.monotonicMs() / minuteMs)
    const last = this.#minutes.at(-1)
    if (last?.minute === minute) return last.counts
    const counts = noCounts()
    this.#minutes.push({ minute, counts })
    this.#dropOldMinutes()
    return counts
  }

  #dropOldMinutes(): void {
    const now = Math.floor(this.#clock.monotonicMs() / minuteMs)
    while ((this.#minutes[0]?.minute ?? now) <= now - minutesKept) this.#minutes.shift()
  }
}

/** The kinds of sources, in the order people read them. */
export const sourceKinds: readonly SourceKind[] = [
  'store',
  'peer',
  'remote',
  'upstream',
  'direct',
  'held',
  'stale',
]

function noCounts(): MutableCounts {
  return {
    store: { answers: 0, bytes: 0 },
    peer: { answers: 0, bytes: 0 },
    remote: { answers: 0, bytes: 0 },
    upstream: { answers: 0, bytes: 0 },
    direct: { answers: 0, bytes: 0 },
    held: { answers: 0, bytes: 0 },
    stale: { answers: 0, bytes: 0 },
  }
}

function noOutcomes(): Record<OwnerOutcome, number> {
  const refused = { nothing: 0, busy: 0, declined: 0, failed: 0 }
  return { answered: 0, ...refused, gone: 0, silent: 0, slow: 0, lied: 0 }
}

function noLevels(): Record<Level, number> {
  const local = { memory: 0, disk: 0, negative: 0 }
  return { ...local, peer: 0, remote: 0, upstream: 0, direct: 0, held: 0, stale: 0 }
}

function levelOf(source: Source): Level {
  if (source.kind !== 'store') return source.kind
  return source.level ?? 'disk'
}

function add(counts: MutableCounts, kind: SourceKind, bytes: number): void {
  counts[kind].answers += 1
  counts[kind].bytes += bytes
}
