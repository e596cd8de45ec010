import { minStealMs } from './limits.ts'
import type { PeerId } from './peers.ts'

/** Bytes of a zip that one source brings, in order. */
export interface Stretch {
  readonly source: PeerId
  readonly start: number
  /** The next byte to come. */
  at: number
  /** Comes nearer when another source takes the rest. */
  end: number
  /** Where the source itself stops. */
  readonly asked: number
  isRunning: boolean
}

/** How fast a source is, bytes per ms; undefined when nobody knows. */
export type PaceOf = (source: PeerId) => number | undefined

/** Which bytes of one zip come from whom, so that all are done at about the same time. */
export class ZipRanges {
  readonly #size: number
  readonly #base: number
  readonly #minBytes: number
  /** By their start; together they are the zip from `base` on. */
  #stretches: Stretch[] = []

  /** `base` bytes are there; no source is asked for less than `minBytes` of what another one brings. */
  constructor(size: number, init: { readonly base: number; readonly minBytes: number }) {
    this.#size = size
    this.#base = init.base
    this.#minBytes = init.minBytes
  }

  /** Everything before has come. */
  get front(): number {
    let front = this.#base
    for (const { start, at, end } of this.#stretches) {
      if (start > front) break
      front = at
      if (at < end) break
    }
    return front
  }

  get isWhole(): boolean {
    return this.front === this.#size
  }

  /** Bytes still to come. */
  get left(): number {
    return this.#stretches.reduce((left, { at, end }) => left + end - at, 0)
  }

  /** What each source brought. */
  get brought(): readonly Pick<Stretch, 'source' | 'start' | 'at'>[] {
    return this.#stretches.filter(({ start, at }) => at > start)
  }

  /** The first source brings everything. */
  first(source: PeerId): Stretch {
    return this.#begin(source, this.#base, this.#size)
  }

  /**
   * What a source that has nothing to do brings next: what nobody brings, else the end of what takes the
   * longest. Undefined when neither is worth it.
   */
  next(source: PeerId, paceOf: PaceOf): Stretch | undefined {
    const hole = this.#stretches.find(({ at, end, isRunning }) => !isRunning && at < end)
    if (hole !== undefined) {
      const { at, end } = hole
      this.#cut(hole, at)
      return this.#begin(source, at, end)
    }
    const slowest = this.#slowest(paceOf)
    if (slowest === undefined) return undefined
    const { end } = slowest
    const middle = this.#middle(slowest, paceOf(slowest.source), paceOf(source))
    this.#cut(slowest, middle)
    return this.#begin(source, middle, end)
  }

  /** Its source brings no more of it; what is missing is for another one. */
  stop(stretch: Stretch): void {
    stretch.isRunning = false
    const at = this.#stretches.indexOf(stretch)
    const before = this.#stretches[at - 1]
    const isUntouched = stretch.at === stretch.start && stretch.at < stretch.end
    if (!isUntouched || before?.isRunning !== true || before.asked < stretch.end) return
    before.end = stretch.end
    this.#stretches.splice(at, 1)
  }

  #begin(source: PeerId, start: number, end: number): Stretch {
    const stretch = { source, start, at: start, end, asked: end, isRunning: true }
    const after = this.#stretches.findIndex((each) => each.start >= start)
    this.#stretches.splice(after < 0 ? this.#stretches.length : after, 0, stretch)
    return stretch
  }

  #cut(stretch: Stretch, end: number): void {
    stretch.end = end
    if (end === stretch.start) this.#stretches = this.#stretches.filter((each) => each !== stretch)
  }

  #slowest(paceOf: PaceOf): Stretch | undefined {
    const msLeft = ({ at, end, source }: Stretch) => {
      const pace = paceOf(source)
      return pace === undefined ? Number.POSITIVE_INFINITY : (end - at) / pace
    }
    let slowest: Stretch | undefined
    for (const each of this.#stretches) {
      if (each.end - each.at < 2 * this.#minBytes || msLeft(each) < minStealMs) continue
      if (slowest === undefined || msLeft(each) > msLeft(slowest)) slowest = each
    }
    return slowest
  }

  /** Where both are done at one time, as far as is known. */
  #middle({ at, end }: Stretch, theirs: number | undefined, own: number | undefined): number {
    const isKnown = theirs !== undefined && own !== undefined && theirs + own > 0
    const share = isKnown ? theirs / (theirs + own) : 0.5
    const middle = Math.floor(at + (end - at) * share)
    return Math.min(end - this.#minBytes, Math.max(at + this.#minBytes, middle))
  }
}
