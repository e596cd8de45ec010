import { setTimeout as sleep } from 'node:timers/promises'
import { asError } from './errors.ts'
import { scrubIdleMs, scrubStartMs } from './limits.ts'
import type { ReportEvent } from './store-event.ts'
import type { ShelvedZip, ZipShelf } from './zip-shelf.ts'
import type { ZipVault } from './zip-vault.ts'

/** What opening and closing a zip counts for beside its bytes. Bytes. */
const zipCostBytes = 64 << 10
/** Waits are gathered up to this, ms. */
const worthWaitingMs = 10

/** How a store is looked through. */
export interface ScrubInit {
  /** Each zip is hashed again when it was not for this long, ms. */
  readonly intervalMs: number
  /** Most bytes read per second. */
  readonly bytesPerSecond: number
  /** How long after the start the first zip is looked at, ms; the default leaves a start in peace, unless the interval is shorter. */
  readonly startMs?: number
}

/**
 * Hashes zips again that nobody reads, slowly: what a disk has let rot is set aside, and is not
 * there any more when somebody asks for it.
 */
export class Scrub implements AsyncDisposable {
  readonly #components: {
    readonly shelf: ZipShelf
    readonly vault: ZipVault
    readonly wallMs: () => number
    readonly report: ReportEvent
  }
  readonly #init: ScrubInit
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  /** Time that was earned and not waited for yet: a small zip is not worth a timer. */
  #owedMs = 0

  constructor(
    components: {
      readonly shelf: ZipShelf
      readonly vault: ZipVault
      readonly wallMs: () => number
      readonly report: ReportEvent
    },
    init: ScrubInit,
  ) {
    this.#components = components
    this.#init = init
    this.#running = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the store closes'))
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { startMs, intervalMs } = this.#init
    await this.#pause(startMs ?? Math.min(scrubStartMs, intervalMs))
    while (!this.#ended.signal.aborted) {
      for (const zip of this.#due()) {
        if (this.#ended.signal.aborted) return
        await this.#look(zip)
      }
      await this.#pause(Math.min(scrubIdleMs, this.#init.intervalMs))
    }
  }

  /** What was not hashed for too long, the longest first. */
  #due(): readonly ShelvedZip[] {
    const { shelf, wallMs } = this.#components
    const beforeMs = wallMs() - this.#init.intervalMs
    const due = shelf.all().filter(({ checkedMs }) => checkedMs <= beforeMs)
    return due.toSorted((a, b) => a.checkedMs - b.checkedMs)
  }

  async #look(zip: ShelvedZip): Promise<void> {
    const { vault, report } = this.#components
    try {
      await this.#pace(zipCostBytes)
      const { signal } = this.#ended
      await vault.recheck(zip, { signal, pace: (bytes) => this.#pace(bytes) })
    } catch (error) {
      if (this.#ended.signal.aborted) return
      // Trouble of ours, which says nothing about the zip: it is looked at again another time.
      report({ kind: 'tidy-failed', path: zip.record.zipDigest, error: asError(error) })
    }
  }

  /** Waits as long as this many bytes may take. Throws when the store closes. */
  async #pace(bytes: number): Promise<void> {
    const { signal } = this.#ended
    signal.throwIfAborted()
    this.#owedMs += (bytes / this.#init.bytesPerSecond) * 1_000
    if (this.#owedMs < worthWaitingMs) return
    const ms = this.#owedMs
    this.#owedMs = 0
    await sleep(ms, undefined, { signal, ref: false })
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#ended
    // It ends early when the store closes.
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
  }
}
