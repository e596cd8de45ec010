import type { Clock } from '@modmesh/fill'
import { contentId, type ModulePath, nameKey } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import { announceLimits as limits } from '../limits.ts'
import type { ShelfItem } from '../peer-shelf.ts'

/** What announcing needs of the DHT. */
export interface AnnounceTarget {
  /** Whether nobody could take an announcement. */
  isAlone(): boolean
  /** Announces a key; resolves to the number of peers that took it. */
  provide(key: CID, options: { readonly signal: AbortSignal }): Promise<number>
}

interface Job {
  readonly key: CID
  tries: number
}

/**
 * Keeps the DHT in step with the shelf, slowly and in the background: each zip under its content
 * id, each path under its name key; new ones first, then everything once per round.
 */
export class Announcer {
  readonly #clock: Clock
  readonly #target: AnnounceTarget
  readonly #contents: () => AsyncIterable<ShelfItem>
  readonly #failed: (error: unknown) => void
  readonly #fresh: Job[] = []
  readonly #names = new Set<ModulePath>()
  readonly #stop = new AbortController()
  #round: AsyncIterator<Job> | undefined
  #roundAt: number
  #firstAt = 0
  #lastAt = 0

  constructor(components: {
    readonly clock: Clock
    readonly target: AnnounceTarget
    readonly contents: () => AsyncIterable<ShelfItem>
    readonly failed: (error: unknown) => void
  }) {
    this.#clock = components.clock
    this.#target = components.target
    this.#contents = components.contents
    this.#failed = components.failed
    this.#roundAt = components.clock.monotonicMs()
  }

  /** Announcements of new contents that wait. */
  get waiting(): number {
    return this.#fresh.length
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('node stops'))
  }

  /** Puts a new content ahead of the round. */
  add(item: ShelfItem): void {
    const now = this.#clock.monotonicMs()
    if (this.#fresh.length === 0) this.#firstAt = now
    this.#lastAt = now
    for (const key of this.#keys(item)) this.#fresh.push({ key, tries: 0 })
    if (this.#fresh.length > limits.queued)
      this.#fresh.splice(0, this.#fresh.length - limits.queued)
  }

  *#keys(item: ShelfItem): Iterable<CID> {
    yield contentId(item.zipHash)
    const { path } = item.module
    if (this.#names.has(path)) return
    if (this.#names.size >= limits.names) this.#names.clear()
    this.#names.add(path)
    yield nameKey(path)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(await this.#step(), { signal })
      } catch (error) {
        if (signal.aborted) return
        this.#failed(error)
        await this.#clock.sleep(limits.aloneMs, { signal }).catch(() => {}) // stopped: the loop ends
      }
    }
  }

  /** Announces one key when there is one; gives the rest until the next step, milliseconds. */
  async #step(): Promise<number> {
    if (this.#target.isAlone() || this.#isBusy()) return limits.aloneMs
    const job = this.#fresh.shift() ?? (await this.#nextOfRound())
    if (job === undefined) return limits.aloneMs
    const began = this.#clock.monotonicMs()
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.provideMs)])
    const taken = await this.#target.provide(job.key, { signal }).catch(() => 0)
    if (taken === 0 && ++job.tries < limits.tries) this.#fresh.push(job)
    if (taken === 0) return limits.aloneMs
    return Math.max(limits.restMs, (this.#clock.monotonicMs() - began) * limits.restFactor)
  }

  #isBusy(): boolean {
    if (this.#fresh.length === 0) return false
    const now = this.#clock.monotonicMs()
    return now - this.#lastAt < limits.quietMs && now - this.#firstAt < limits.quietMaxMs
  }

  async #nextOfRound(): Promise<Job | undefined> {
    const now = this.#clock.monotonicMs()
    if (this.#round === undefined) {
      if (now < this.#roundAt) return undefined
      this.#names.clear()
      this.#round = this.#jobs()
    }
    const { done, value } = await this.#round.next()
    if (done !== true) return value
    this.#round = undefined
    this.#roundAt = now + limits.roundMs
    return undefined
  }

  async *#jobs(): AsyncGenerator<Job> {
    for await (const item of this.#contents()) {
      for (const key of this.#keys(item)) yield { key, tries: 0 }
    }
  }
}
