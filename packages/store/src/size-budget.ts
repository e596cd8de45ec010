import { asError } from './errors.ts'
import { evictRetryMs, evictShare, evictSpreadMs } from './limits.ts'
import type { Pins } from './pins.ts'
import type { ReportEvent } from './store-event.ts'
import type { ZipRecord } from './zip-record.ts'
import type { ShelvedZip, ZipShelf } from './zip-shelf.ts'
import type { ZipVault } from './zip-vault.ts'

/** What an eviction did, and what is left. */
export interface Shrunk {
  readonly evicted: number
  readonly evictedBytes: number
  readonly zips: number
  readonly zipBytes: number
  /** Of what is left: what pins keep. */
  readonly pinnedBytes: number
  /** Why the disk removed no more. */
  readonly failure?: Error
}

/** What an eviction would do, and what would be left. */
export interface ShrinkPlan extends Shrunk {
  /** What would go, the longest unused first. */
  readonly candidates: readonly ZipRecord[]
}

interface BudgetInit {
  /** Bytes of all zips; undefined for as many as the disk takes. */
  readonly maxBytes: number | undefined
  /** A zip that was handed out or committed within this stays, ms. */
  readonly graceMs: number
}

/**
 * Keeps the store within its size: the zips that were not read for the longest time go first.
 * Pinned ones stay, and so does what is being read, or was handed out or committed a moment ago:
 * the size may be exceeded by those for a while.
 */
export class SizeBudget {
  readonly #components: {
    readonly shelf: ZipShelf
    readonly vault: ZipVault
    readonly pins: Pins
    readonly report: ReportEvent
  }
  readonly #init: BudgetInit
  #timer: NodeJS.Timeout | undefined
  #running: Promise<unknown> = Promise.resolve()
  #isClosed = false
  #isExceeded = false

  constructor(
    components: {
      readonly shelf: ZipShelf
      readonly vault: ZipVault
      readonly pins: Pins
      readonly report: ReportEvent
    },
    init: BudgetInit,
  ) {
    this.#components = components
    this.#init = init
  }

  get maxBytes(): number | undefined {
    return this.#init.maxBytes
  }

  /** To be called when the store may have grown. */
  check(): void {
    if (this.#isOver()) this.#after(evictSpreadMs)
  }

  /** To be called when less of it is pinned: what is waited for otherwise does not matter then. */
  checkAnew(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.check()
  }

  /** Evicts until the zips take at most `targetBytes`, as far as that is allowed. */
  shrink(targetBytes: number): Promise<Shrunk> {
    const shrinking = this.#running.then(() => this.#evictTo(targetBytes))
    // How this one ends is for its own caller.
    this.#running = shrinking.catch(() => {})
    return shrinking
  }

  /** What `shrink` would do now: looks only, and removes nothing. */
  plan(targetBytes: number): ShrinkPlan {
    const { shelf } = this.#components
    const zips: ZipRecord[] = []
    let evictedBytes = 0
    for (const { record } of shelf.bytes > targetBytes ? this.#candidates() : []) {
      if (shelf.bytes - evictedBytes <= targetBytes) break
      zips.push(record)
      evictedBytes += record.size
    }
    const left = { zips: shelf.count - zips.length, zipBytes: shelf.bytes - evictedBytes }
    const pinnedBytes = this.pinned().bytes
    return { candidates: zips, evicted: zips.length, evictedBytes, ...left, pinnedBytes }
  }

  /** What pins keep. */
  pinned(): { readonly zips: number; readonly bytes: number } {
    const { shelf, pins } = this.#components
    const pinned = shelf.all().filter(({ record }) => pins.covers(record.module))
    return { zips: pinned.length, bytes: pinned.reduce((sum, { record }) => sum + record.size, 0) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#running
  }

  #isOver(): boolean {
    const { maxBytes } = this.#init
    return maxBytes !== undefined && this.#components.shelf.bytes > maxBytes
  }

  #after(ms: number): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#enforce()
    }, ms).unref()
  }

  /** Never rejects. */
  async #enforce(): Promise<void> {
    const { maxBytes, graceMs } = this.#init
    if (maxBytes === undefined || !this.#isOver()) return
    const { zipBytes, pinnedBytes } = await this.shrink(maxBytes * evictShare)
    const isExceeded = zipBytes > maxBytes
    if (isExceeded && !this.#isExceeded) {
      this.#components.report({ kind: 'size-exceeded', bytes: zipBytes, maxBytes, pinnedBytes })
    }
    this.#isExceeded = isExceeded
    // Later commits need not look sooner: what they bring may not go yet.
    if (isExceeded) this.#after(Math.max(this.#nextChanceMs(graceMs), evictRetryMs))
  }

  /** When something may go that may not now, if nobody asks for it: in how many ms, at most the grace. */
  #nextChanceMs(graceMs: number): number {
    const { shelf, pins } = this.#components
    let oldestMs = Number.POSITIVE_INFINITY
    for (const { heldMs, record } of shelf.all()) {
      if (heldMs < oldestMs && !pins.covers(record.module)) oldestMs = heldMs
    }
    return Math.min(oldestMs + graceMs - performance.now(), graceMs)
  }

  async #evictTo(targetBytes: number): Promise<Shrunk> {
    const { shelf, vault, report } = this.#components
    let evicted = 0
    let evictedBytes = 0
    let failure: Error | undefined
    for (const zip of shelf.bytes > targetBytes ? this.#candidates() : []) {
      if (shelf.bytes <= targetBytes || this.#isClosed) break
      // Since the list was made somebody may have come for it.
      if (!this.#mayGo(zip)) continue
      const outcome = await vault.evict(zip).catch(asError)
      if (outcome instanceof Error) {
        // A disk that does not remove one does not remove the next.
        report({ kind: 'tidy-failed', path: zip.record.zipDigest, error: outcome })
        failure = outcome
        break
      }
      if (!outcome) continue
      evicted += 1
      evictedBytes += zip.record.size
    }
    if (evicted > 0) report({ kind: 'evicted', zips: evicted, bytes: evictedBytes })
    const left = { zips: shelf.count, zipBytes: shelf.bytes, pinnedBytes: this.pinned().bytes }
    return { evicted, evictedBytes, ...left, ...(failure === undefined ? {} : { failure }) }
  }

  /** Those that may go, the longest unused first. */
  #candidates(): readonly ShelvedZip[] {
    const zips = this.#components.shelf.all().filter((zip) => this.#mayGo(zip))
    return zips.toSorted((a, b) => a.usedMs - b.usedMs)
  }

  #mayGo(zip: ShelvedZip): boolean {
    if (zip.readers > 0 || performance.now() - zip.heldMs < this.#init.graceMs) return false
    return !this.#components.pins.covers(zip.record.module)
  }
}
