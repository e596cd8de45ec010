import type { ZipHash } from '@modmesh/module'
import { asError, PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { minStretchBytes } from './limits.ts'
import { Pace } from './pace.ts'
import type { PeerId, ZipBytes } from './peers.ts'
import { Scope } from './scope.ts'
import { hashParts, type SentParts } from './sent-parts.ts'
import { type Patience, Progress, patiently } from './zip-progress.ts'
import type { SplitView } from './zip-race.ts'
import { type Stretch, ZipRanges } from './zip-ranges.ts'
import type { ByteSink } from './zip-store.ts'
import type { ArrivingZip } from './zip-transfer.ts'

/** One of several holders of the same bytes. */
export interface ZipHelper extends Patience {
  readonly peer: PeerId
  /** How fast it was before, bytes per ms. */
  readonly bytesPerMs: number | undefined
}

export interface SplitInit {
  readonly zipHash: ZipHash
  /** The holder that was asked for the whole. */
  readonly main: ZipHelper
  /** Told when one failed, while others may go on. */
  readonly onFailed: (peer: PeerId, error: unknown) => void
  /** Called when there is nobody left who brings what is missing; false when nobody else can be asked. */
  readonly onNeed: () => boolean
}

interface Worker extends ZipHelper {
  stretch: Stretch | undefined
  /** How that comes along. */
  current: Progress
  pace: Pace
  /** It failed. */
  isOut: boolean
}

/** Ends a source that has brought what is wanted of it. One for all: making an error is slow. */
const enough: Error = new Error('enough')

/**
 * A large zip that one holder brings too slowly: others, of the same bytes, take over what it has not sent
 * yet (design, section 5, Transfer). Nothing happens here until somebody helps.
 */
export class SplitZip {
  readonly #ctx: FillContext
  readonly #init: SplitInit
  readonly #main: Worker
  readonly #helpers = new Set<Worker>()
  readonly #running = new Set<Promise<void>>()
  #zip: ArrivingZip | undefined
  #scope: Scope | undefined
  #whole: ZipBytes | undefined
  #ranges: ZipRanges | undefined
  #joinedMs = 0
  #failure: unknown

  constructor(ctx: FillContext, init: SplitInit) {
    this.#ctx = ctx
    this.#init = init
    this.#main = this.#worker(init.main)
  }

  /** Whether more than one has brought something: then nobody knows who sent a wrong byte. */
  get isShared(): boolean {
    return new Set(this.#ranges?.brought.map(({ source }) => source)).size > 1
  }

  /** Whether the first one failed while others went on: then `onFailed` was told. */
  get hasMainFailed(): boolean {
    return this.#main.isOut
  }

  /** What all together sent. */
  get bytes(): number {
    return [this.#main, ...this.#helpers].reduce((sum, { progress }) => sum + progress.bytes, 0)
  }

  /** What the race sees; undefined while nobody may help. */
  get view(): SplitView | undefined {
    const whole = this.#whole
    const ranges = this.#ranges
    if (whole === undefined || ranges === undefined || this.#scope === undefined) return undefined
    const nowMs = this.#ctx.clock.monotonicMs()
    const workers = [this.#main, ...this.#helpers].filter((each) => !each.isOut)
    const paces = workers.map((each) => each.pace.perMs(nowMs) ?? 0)
    return {
      sizeBytes: whole.size,
      leftBytes: ranges.left,
      bytesPerMs: paces.reduce((sum, each) => sum + each, 0),
      sources: workers.length,
      joinedMs: this.#joinedMs,
    }
  }

  /** Where the first holder's bytes go. */
  sink(zip: ArrivingZip): ByteSink {
    this.#zip = zip
    return { write: (chunk) => this.#take(this.#main, chunk, zip) }
  }

  /** The first holder begins: what it declares, and how many bytes of it are there. */
  begin(whole: ZipBytes, base: number): void {
    if (this.#helpers.size > 0) throw new PeerError(this.#main.peer, 'began anew', unable)
    this.#ranges = undefined
    this.#main.stretch = undefined
    // A holder may declare less than came before; the bytes show what that is worth.
    if (base >= whole.size) return
    const minBytes = Math.max(1, Math.min(minStretchBytes, this.#ctx.budgets.splitMinBytes >> 4))
    const nowMs = this.#ctx.clock.monotonicMs()
    this.#whole = whole
    this.#ranges = new ZipRanges(whole.size, { base, minBytes })
    this.#main.stretch = this.#ranges.first(this.#main.peer)
    this.#main.pace = new Pace(nowMs)
    this.#joinedMs = nowMs
  }

  /** Resolves when the first one's fetch, and what others took over of it, has come. Throws what the first one failed with. */
  async carry(
    fetch: () => Promise<void>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const scope = new Scope(signal)
    this.#scope = scope
    try {
      await this.#carryMain(fetch)
      while (this.#ranges?.isWhole === false) {
        if (this.#running.size === 0 && !this.#findHelp())
          throw asError(this.#failure ?? this.#short())
        await Promise.race(this.#running)
        signal.throwIfAborted()
      }
    } finally {
      this.#scope = undefined
      await scope.close()
    }
  }

  /** Lets another holder bring a part, and what else there is to do then. */
  help(helper: ZipHelper): void {
    const worker = this.#worker(helper)
    this.#helpers.add(worker)
    this.#joinedMs = this.#ctx.clock.monotonicMs()
    this.#start(worker)
  }

  /** Who brought the most of it. */
  get best(): PeerId {
    const all = [this.#main, ...this.#helpers]
    const [best = this.#main] = all.toSorted((a, b) => b.progress.bytes - a.progress.bytes)
    return best.peer
  }

  /** What each one sent, to be compared once the true bytes are there. Undefined when one sent all. */
  async sent(): Promise<SentParts | undefined> {
    const zip = this.#zip
    const whole = this.#whole
    if (zip === undefined || whole === undefined || !this.isShared) return undefined
    return await hashParts(zip, whole, this.#ranges?.brought ?? [])
  }

  async #carryMain(fetch: () => Promise<void>): Promise<void> {
    const main = this.#main
    try {
      await fetch()
    } catch (error) {
      if (this.#helpers.size === 0 || this.#scope?.signal.aborted === true) throw error
      if (!this.#isDone(main)) this.#failed(main, error)
    }
    if (main.stretch !== undefined) this.#ranges?.stop(main.stretch)
    if (!main.isOut && this.#helpers.size > 0) this.#start(main)
  }

  #start(worker: Worker): void {
    const work = this.#scope?.start((signal) => this.#work(worker, signal))
    if (work === undefined) return
    const ended = work.catch((error: unknown) => this.#failed(worker, error))
    const running: Promise<void> = ended.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #failed(worker: Worker, error: unknown): void {
    worker.isOut = true
    if (worker === this.#main) this.#failure = error
    if (this.#scope?.signal.aborted === false) this.#init.onFailed(worker.peer, error)
  }

  async #work(worker: Worker, signal: AbortSignal): Promise<void> {
    const paceOf = (peer: PeerId) => this.#paceOf(peer)
    for (;;) {
      const stretch = this.#ranges?.next(worker.peer, paceOf)
      if (stretch === undefined) return
      worker.stretch = stretch
      try {
        await this.#bring(worker, stretch, signal)
      } finally {
        this.#ranges?.stop(stretch)
      }
    }
  }

  async #bring(worker: Worker, stretch: Stretch, signal: AbortSignal): Promise<void> {
    const { peer, patienceMs, stallMs } = worker
    const { start, end } = stretch
    const progress = new Progress(this.#ctx.clock.monotonicMs())
    worker.current = progress
    const zip = this.#zip
    const whole = this.#whole
    if (zip === undefined || whole === undefined) return
    const sink: ByteSink = { write: (chunk) => this.#take(worker, chunk, zip) }
    const onFirstByte = () => progress.begin(this.#ctx.clock.monotonicMs())
    const fetch = (ends: AbortSignal) =>
      this.#ctx.peers.fetchRange(
        peer,
        this.#init.zipHash,
        sink,
        { ...whole, start, end },
        { signal: ends, onFirstByte },
      )
    try {
      await patiently(
        this.#ctx,
        { progress, patienceMs, stallMs },
        signal,
        () => stalled(peer),
        fetch,
      )
      if (!this.#isDone(worker)) throw this.#short(peer)
    } catch (error) {
      // A source that has brought its part is ended by us.
      if (!this.#isDone(worker)) throw error
    }
  }

  /** Writes what is still wanted of a source, and ends it then. */
  async #take(worker: Worker, chunk: Uint8Array, zip: ArrivingZip): Promise<void> {
    const { stretch, current, progress, pace } = worker
    const ranges = this.#ranges
    if (stretch === undefined || ranges === undefined) return await zip.write(chunk)
    if (chunk.length === 0) return
    const room = stretch.end - stretch.at
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room)
    if (part.length === 0) throw enough
    const { at } = stretch
    stretch.at += part.length
    const nowMs = this.#ctx.clock.monotonicMs()
    pace.add(part.length, nowMs)
    if (current !== progress) progress.add(part.length, nowMs)
    await zip.place(part, at, { progress: current, front: ranges.front })
    if (stretch.at === stretch.end && stretch.end < stretch.asked) throw enough
  }

  /** One who had nothing to do any more, or a new one. */
  #findHelp(): boolean {
    const idle = [this.#main, ...this.#helpers].find((each) => !each.isOut)
    if (idle !== undefined) this.#start(idle)
    return idle !== undefined || this.#init.onNeed()
  }

  #isDone({ stretch }: Worker): boolean {
    return stretch !== undefined && stretch.at === stretch.end
  }

  #paceOf(peer: PeerId): number | undefined {
    const worker = [this.#main, ...this.#helpers].find((each) => each.peer === peer)
    return worker?.pace.perMs(this.#ctx.clock.monotonicMs()) ?? worker?.bytesPerMs
  }

  #worker(helper: ZipHelper): Worker {
    const pace = new Pace(this.#ctx.clock.monotonicMs())
    return { ...helper, stretch: undefined, current: helper.progress, pace, isOut: false }
  }

  #short(peer: PeerId = this.#main.peer): PeerError {
    return new PeerError(peer, 'ended early', unable)
  }
}

const unable = { fault: 'unable' } as const

function stalled(peer: PeerId): PeerError {
  return new PeerError(peer, 'stalled', unable)
}
