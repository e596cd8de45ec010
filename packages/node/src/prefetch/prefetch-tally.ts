import type { Clock, FilledFile, FillListener, NeededFile } from '@modmesh/fill'
import type { Origin, PrefetchProgress, PrefetchReport } from './prefetch-report.ts'

/** Between words to the client. Milliseconds. */
const tellMs = 100

type Part = NeededFile['what']

/** Counts what comes in, and tells how it goes on. */
export class PrefetchTally implements FillListener {
  readonly filled: FilledFile[] = []
  readonly failed: { readonly file: NeededFile; readonly error: Error }[] = []
  readonly #clock: Clock
  readonly #originOf: (filled: FilledFile) => Origin
  readonly #tell: (progress: PrefetchProgress) => void
  readonly #startedMs: number
  readonly #sources: Record<Origin, { files: number; bytes: number }> = {
    held: { files: 0, bytes: 0 },
    site: { files: 0, bytes: 0 },
    wan: { files: 0, bytes: 0 },
    remote: { files: 0, bytes: 0 },
    upstream: { files: 0, bytes: 0 },
    direct: { files: 0, bytes: 0 },
  }
  readonly #held: Record<Part, number> = { zip: 0, mod: 0, info: 0 }
  readonly #fetched: Record<Part, number> = { zip: 0, mod: 0, info: 0 }
  readonly #missing: Record<Part, number> = { zip: 0, mod: 0, info: 0 }
  readonly #needed: Record<Part, number> = { zip: 0, mod: 0, info: 0 }
  #total = 0
  #totalWeight = 0
  #weight = 0
  #heldWeight = 0
  #read = 0
  #fillingMs: number | undefined
  #toldMs = Number.NEGATIVE_INFINITY

  constructor(
    components: { readonly clock: Clock },
    init: {
      readonly originOf: (filled: FilledFile) => Origin
      readonly tell: (progress: PrefetchProgress) => void
    },
  ) {
    this.#clock = components.clock
    this.#originOf = init.originOf
    this.#tell = init.tell
    this.#startedMs = components.clock.monotonicMs()
  }

  /** A go.mod was read to find what is needed. */
  onRead(): void {
    this.#read += 1
    this.#tellNow('reading')
  }

  /** All that is needed is known. */
  onKnown(files: readonly NeededFile[]): void {
    this.#total = files.length
    this.#fillingMs = this.#clock.monotonicMs()
    for (const file of files) {
      this.#totalWeight += weightOf(file)
      if (!file.isOptional) this.#needed[file.what] += 1
    }
  }

  onFilled(filled: FilledFile): void {
    const origin = this.#originOf(filled)
    this.filled.push(filled)
    this.#weight += weightOf(filled.file)
    if (origin === 'held') this.#heldWeight += weightOf(filled.file)
    this.#sources[origin].files += 1
    this.#sources[origin].bytes += filled.bytes
    const counts = origin === 'held' ? this.#held : this.#fetched
    if (!filled.file.isOptional) counts[filled.file.what] += 1
    this.#tellNow('fetching')
  }

  onFailed(file: NeededFile, error: Error): void {
    this.failed.push({ file, error })
    this.#weight += weightOf(file)
    if (!file.isOptional) this.#missing[file.what] += 1
    this.#tellNow('fetching')
  }

  /** What was filled and then not kept. */
  onLost({ file }: FilledFile, error: Error): void {
    if (!file.isOptional) this.#fetched[file.what] -= 1
    this.onFailed(file, error)
  }

  counts(): Pick<PrefetchReport, 'zips' | 'mods' | 'infos' | 'sources' | 'tookMs'> {
    const count = (part: Part) => ({
      needed: this.#needed[part],
      held: this.#held[part],
      fetched: this.#fetched[part],
      missing: this.#missing[part],
    })
    const tookMs = Math.round(this.#clock.monotonicMs() - this.#startedMs)
    return {
      zips: count('zip'),
      mods: count('mod'),
      infos: count('info'),
      sources: this.#sources,
      tookMs,
    }
  }

  #tellNow(phase: PrefetchProgress['phase']): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#toldMs < tellMs) return
    this.#toldMs = nowMs
    const isReading = phase === 'reading'
    const bytes = this.#bytes()
    const sinceMs = nowMs - (this.#fillingMs ?? this.#startedMs)
    this.#tell({
      phase,
      done: isReading ? this.#read : this.filled.length + this.failed.length,
      total: isReading ? 0 : this.#total,
      bytes,
      bytesPerSecond: sinceMs < 1 ? 0 : Math.round((bytes * 1_000) / sinceMs),
      leftMs: isReading ? null : this.#leftMs(sinceMs),
      sources: this.#filesBySource(),
      failed: this.failed.length,
    })
  }

  /** What was held took no time: it says nothing about the rest. */
  #leftMs(sinceMs: number): number | null {
    const came = this.#weight - this.#heldWeight
    return came <= 0 ? null : Math.round((sinceMs / came) * (this.#totalWeight - this.#weight))
  }

  #filesBySource(): PrefetchProgress['sources'] {
    const all = Object.entries(this.#sources).map(([origin, { files }]) => [origin, files] as const)
    return Object.fromEntries(all.filter(([, files]) => files > 0))
  }

  #bytes(): number {
    const { held: _, ...sources } = this.#sources
    return Object.values(sources).reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

/** How much longer a zip takes than a small file, about. */
const zipWeight = 20

function weightOf({ what }: NeededFile): number {
  return what === 'zip' ? zipWeight : 1
}
