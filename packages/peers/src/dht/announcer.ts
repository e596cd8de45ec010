import type { Clock } from '@modmesh/fill'
import { contentId, type ModulePath, nameKey, type ZipHash } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import { announceLimits as limits } from '../limits.ts'
import type { ShelfItem } from '../peer-shelf.ts'

/** What announcing needs of the DHT. */
export interface AnnounceTarget {
  /** Whether nobody would look an announcement up: there are no peers, or all that there are ask us directly. */
  isNeedless(): boolean
  /** Announces a key; resolves to the number of peers that took it. */
  provide(key: CID, options: { readonly signal: AbortSignal }): Promise<number>
  /** When a key was announced last, also in an earlier run, wall clock; undefined when it was not. */
  announcedMs(key: CID): Promise<number | undefined>
  /** Forgets that we announced a key: we do not name ourselves any more. */
  withdraw(key: CID, options: { readonly signal: AbortSignal }): Promise<void>
}

/**
 * Keeps the DHT in step with the shelf, slowly and in the background: each zip under its content
 * id, each path under its name key; new ones first, then everything once per round. A mesh in which
 * all are connected to all has no use for that, and pays for it only when it no longer is one.
 */
export class Announcer {
  readonly #clock: Clock
  readonly #target: AnnounceTarget
  readonly #contents: () => AsyncIterable<ShelfItem>
  readonly #furtherKeys: () => AsyncIterable<CID>
  readonly #failed: (error: unknown) => void
  readonly #random: () => number
  readonly #fresh: CID[] = []
  readonly #names = new Set<ModulePath>()
  readonly #stop = new AbortController()
  #round: AsyncIterator<CID> | undefined
  #roundAt: number
  #failures = 0
  #firstAt = 0
  #lastAt = 0

  constructor(components: {
    readonly clock: Clock
    readonly target: AnnounceTarget
    readonly contents: () => AsyncIterable<ShelfItem>
    /** Keys that are announced beside those of contents. */
    readonly furtherKeys?: (() => AsyncIterable<CID>) | undefined
    readonly failed: (error: unknown) => void
    /** From 0 up to and without 1; spreads the tries of many nodes. */
    readonly random?: (() => number) | undefined
  }) {
    this.#clock = components.clock
    this.#target = components.target
    this.#contents = components.contents
    this.#furtherKeys = components.furtherKeys ?? noKeys
    this.#failed = components.failed
    this.#random = components.random ?? Math.random
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
    for (const key of this.#keys(item)) this.#push(key)
  }

  /** Puts a key of another kind ahead of the round. */
  addKey(key: CID): void {
    this.#push(key)
  }

  /** Announces a key no more, and no longer answers for it ourselves. */
  async withdrawKey(key: CID): Promise<void> {
    const waits = this.#fresh.findIndex((other) => other.equals(key))
    if (waits >= 0) this.#fresh.splice(waits, 1)
    await this.#target.withdraw(key, { signal: this.#stop.signal })
  }

  /** Announces a content no more, and no longer answers for it ourselves; what others keep runs out. */
  async remove(zipHash: ZipHash): Promise<void> {
    await this.withdrawKey(contentId(zipHash))
  }

  #push(key: CID): void {
    this.#fresh.push(key)
    if (this.#fresh.length <= limits.queued) return
    this.#fresh.shift()
    // What found no room is left to a round, and that must not be half a day away.
    this.#roundAt = this.#clock.monotonicMs()
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
    if (this.#target.isNeedless() || this.#isBusy()) return limits.aloneMs
    const key = this.#fresh.shift() ?? (await this.#nextOfRound())
    if (key === undefined) return limits.aloneMs
    const began = this.#clock.monotonicMs()
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.provideMs)])
    const taken = await this.#target.provide(key, { signal }).catch(() => 0)
    if (taken === 0) return await this.#notTaken(key)
    this.#failures = 0
    return Math.max(limits.restMs, (this.#clock.monotonicMs() - began) * limits.restFactor)
  }

  /** After a restart the round goes on where it was. */
  async #isDue(key: CID): Promise<boolean> {
    const atMs = await this.#target.announcedMs(key)
    return atMs === undefined || this.#clock.wallMs() - atMs >= limits.roundMs
  }

  /** Puts it back, behind the others; gives the rest before the next try. */
  async #notTaken(key: CID): Promise<number> {
    this.#push(key)
    await this.#target.withdraw(key, { signal: this.#stop.signal })
    const restMs = Math.min(limits.failedMs, limits.aloneMs * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    return restMs * (0.5 + this.#random() / 2)
  }

  #isBusy(): boolean {
    if (this.#fresh.length === 0) return false
    const now = this.#clock.monotonicMs()
    return now - this.#lastAt < limits.quietMs && now - this.#firstAt < limits.quietMaxMs
  }

  async #nextOfRound(): Promise<CID | undefined> {
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

  async *#jobs(): AsyncGenerator<CID> {
    for await (const item of this.#contents()) {
      for (const key of this.#keys(item)) if (await this.#isDue(key)) yield key
    }
    for await (const key of this.#furtherKeys()) if (await this.#isDue(key)) yield key
  }
}

async function* noKeys(): AsyncGenerator<CID> {}
