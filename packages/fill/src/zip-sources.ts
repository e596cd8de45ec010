import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { type CutZip, CutZips } from './cut-zips.ts'
import { asError, ModuleNotFoundError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { HolderList, type KnownHolder } from './holder-list.ts'
import { minCutBytes } from './limits.ts'
import type { PeerId } from './peers.ts'
import type { RecordSearch } from './record-search.ts'
import type { Scope } from './scope.ts'
import { SecondChances } from './second-chances.ts'
import { MixedBytesError } from './sent-parts.ts'
import { StoreFailure } from './store-failure.ts'
import { blameLiar, fetchFromPeer, fetchFromRemote, fetchFromUpstream } from './zip-attempt.ts'
import { type RunningAttempt, ZipBodies } from './zip-bodies.ts'
import { fetchFromOwner } from './zip-from-owner.ts'
import { ZipHelpers, type ZipHelpersInit } from './zip-helpers.ts'
import { firstByteWindowMs, hedgeMs } from './zip-patience.ts'
import type { Patience } from './zip-progress.ts'
import type { RaceView } from './zip-race.ts'
import type { Reach } from './zip-reach.ts'
import type { HeldZip } from './zip-store.ts'
import type { Transfer, VerifiedZip } from './zip-transfer.ts'

export interface ZipSourcesInit {
  readonly module: ModuleVersion
  readonly reach: Reach
  /** Where what was cut goes on after an attempt through an owner. */
  readonly left?: CutZips | undefined
  /** What the bytes must hash to. */
  readonly zipHash: Promise<ZipHash>
  readonly onError: (error: unknown) => void
  readonly onChange: () => void
}

/** Who may have a zip. Asks one after another, as the race decides, and keeps the first zip that verifies. */
export class ZipSources {
  readonly #ctx: FillContext
  readonly #work: Scope
  readonly #init: ZipSourcesInit
  readonly #holders: HolderList
  readonly #bodies: ZipBodies
  readonly #cuts: CutZips
  readonly #chances: SecondChances
  readonly #helpers: ZipHelpers
  #owner: RaceView['owner']
  #remote: RaceView['remote']
  #upstream: RaceView['upstream']
  #firstPeer: RaceView['firstPeer']
  #isUpstreamFirst: boolean | undefined
  #verified: VerifiedZip | undefined
  #isOver = false

  constructor(ctx: FillContext, work: Scope, init: ZipSourcesInit) {
    const { module, onChange } = init
    this.#ctx = ctx
    this.#work = work
    this.#init = init
    const isFree = init.reach.kind === 'anybody'
    this.#owner = isFree ? 'none' : 'ready'
    this.#remote = isFree && ctx.canAskRemote(module.path) ? 'ready' : 'none'
    this.#upstream = isFree && ctx.canAskUpstream(module.path) ? 'ready' : 'none'
    this.#bodies = new ZipBodies(ctx, module)
    this.#cuts = new CutZips(ctx)
    this.#chances = new SecondChances(ctx, { waitsForBusy: isFree })
    const left = init.left?.take()
    if (left !== undefined) this.#cuts.keep(left)
    const onHolder = (): void => {
      this.#chooseRoute()
      onChange()
    }
    this.#holders = new HolderList(ctx, module, work, { isKnownOnly: !isFree, onChange: onHolder })
    const tell: ZipHelpersInit['tell'] = (...outcome) => this.#tell(...outcome)
    this.#helpers = new ZipHelpers(
      ctx,
      { holders: this.#holders, bodies: this.#bodies },
      { module, onChange, tell },
    )
  }

  /** The first zip that came and verified. */
  get verified(): VerifiedZip | undefined {
    return this.#verified
  }

  /** What the race sees of them. */
  view(): Omit<RaceView, 'nowMs' | 'startedMs' | 'expected' | 'recordsDone'> {
    return {
      owner: this.#owner,
      remote: this.#remote,
      upstream: this.#upstream,
      candidates: this.#holders.waiting,
      farCandidates: this.#holders.far.length,
      farReturning: this.#holders.returning,
      isUpstreamFirst: this.#isUpstreamFirst ?? false,
      next: this.#holders.first,
      mayHedge: this.#ctx.hedges.mayHedge,
      maySplit: this.#helpers.maySplit,
      holderSearch: this.#holders.state,
      holderSearchMs: this.#holders.searchStartedMs,
      firstPeer: this.#firstPeer,
      attempts: this.#bodies.views(),
    }
  }

  /** Takes up who holds the content, now that it is known. */
  open(zipHash: ZipHash, records: RecordSearch | undefined): void {
    this.#holders.open(zipHash, records)
  }

  /** Lets those who wait for us stream what comes; returns what ends that. */
  show(): () => void {
    return this.#bodies.show()
  }

  /** The zip is there: others may have the rest of it, and whoever sent other bytes before is found. */
  showWhole(zip: HeldZip): void {
    this.#bodies.showWhole(zip)
    this.#helpers.compare(zip)
  }

  /** What comes from now on is not needed. */
  end(): void {
    this.#isOver = true
    const { reach, left } = this.#init
    const mayGoOn = reach.kind === 'owner' && this.#verified === undefined
    const cut = mayGoOn ? this.#cuts.take() : undefined
    if (cut !== undefined) (left ?? this.#cuts).keep(cut)
    this.#cuts.end()
  }

  searchHolders(): void {
    this.#holders.search()
  }

  askHolder(): void {
    const isHedge = this.#isHedge()
    const holder = this.#holders.next()
    if (holder === undefined) return
    if (isHedge) this.#ctx.hedges.hedged()
    else this.#ctx.hedges.asked()
    this.#ask(holder)
  }

  askFarHolder(): void {
    const holder = this.#holders.nextFar()
    if (holder !== undefined) this.#ask(holder)
  }

  #ask(holder: KnownHolder): void {
    const isFar = holder.far !== undefined
    const windowMs = firstByteWindowMs(holder, this.#ctx.budgets)
    const attempt = this.#bodies.begin({ kind: 'peer', peer: holder.peer }, windowMs, { isFar })
    attempt.hedgeMs = isFar ? undefined : hedgeMs(holder, windowMs)
    const cut = this.#cuts.take()
    // A cut is no reason to fetch from elsewhere what the next holder has the rest of.
    if (isWorthWaiting(cut)) this.#firstPeer = attempt
    this.#firstPeer ??= attempt
    const patience = this.#patience(windowMs, isFar)
    const split = this.#helpers.splitOf(attempt, holder, patience)
    const job = { ...holder, ...patience, ...this.#transfer(attempt), cut, cuts: this.#cuts, split }
    const fetching = this.#work.start((signal) => {
      const fetch = () => fetchFromPeer(this.#ctx, job, { signal })
      return isFar ? this.#ctx.farTurns.run(fetch, { signal }) : fetch()
    })
    this.#follow(attempt, fetching, (error) => this.#judge(holder, attempt, error))
  }

  /** Lets the next holder bring a part of the large zip that is coming. */
  addSource(): void {
    const main = this.#bodies.find('peer')
    if (main?.split !== undefined) this.#helpers.add(main, main.split)
  }

  /** Whether the holder that is asked now is so before the others have used up their time. */
  #isHedge(): boolean {
    const nowMs = this.#ctx.clock.monotonicMs()
    const peers = this.#bodies.views().filter(({ kind }) => kind === 'peer')
    return peers.some(({ startedMs, windowMs }) => nowMs - startedMs < windowMs)
  }

  #judge(holder: KnownHolder, attempt: RunningAttempt, error: unknown): void {
    if (error instanceof MixedBytesError) {
      // Other holders get the time that these had.
      this.#firstPeer = undefined
      this.#cuts.end()
      return this.#helpers.suspect(holder, error)
    }
    if (attempt.split?.hasMainFailed !== true)
      blameLiar(this.#ctx, holder.peer, this.#init.module, error)
    const { bytes, whole } = attempt.progress
    const idleMs = attempt.progress.idleMs(this.#ctx.clock.monotonicMs())
    const chance = this.#chances.of(holder, { bytes, whole, idleMs }, error)
    if (chance === 'when-back') this.#holders.whenBack(holder)
    else if (chance === 'in-turn') this.#holders.again(holder)
  }

  askOwner(peer: PeerId): void {
    this.#owner = 'running'
    const attempt = this.#bodies.begin({ kind: 'owner', peer }, Number.POSITIVE_INFINITY)
    const { firstByteMs, stallMs } = this.#ctx.budgets
    const cuts = this.#cuts
    const job = { peer, patienceMs: firstByteMs + stallMs, ...this.#transfer(attempt), cuts }
    const fetching = this.#work.start(async (signal) => {
      const zipHash = await this.#init.zipHash
      return await fetchFromOwner(this.#ctx, { ...job, zipHash }, { signal })
    })
    this.#follow(attempt, fetching, () => {
      this.#owner = 'over'
    })
  }

  askRemote(): void {
    const level = this.#ctx.remote
    this.#remote = level === undefined ? 'none' : 'running'
    if (level === undefined) return
    const windowMs = level.headStart.ms
    const attempt = this.#bodies.begin({ kind: 'remote' }, windowMs)
    const expected = this.#init.zipHash
    const job = { level, expected, ...this.#patience(windowMs), ...this.#transfer(attempt) }
    const fetching = this.#work.start((signal) => fetchFromRemote(this.#ctx, job, { signal }))
    this.#follow(attempt, fetching, () => {
      this.#remote = 'over'
    })
  }

  askUpstream(): void {
    this.#upstream = 'running'
    const remote = this.#bodies.find('remote')
    if (remote?.progress.hasFirstByte === false) this.#ctx.remote?.headStart.missed()
    const measure = (ms: number) => this.#ctx.routes.began(ms)
    const attempt = this.#bodies.begin({ kind: 'upstream' }, 0, { measure })
    const job = { expected: this.#init.zipHash, ...this.#transfer(attempt) }
    const fetching = this.#work.start((signal) => fetchFromUpstream(this.#ctx, job, { signal }))
    this.#follow(attempt, fetching, (error) => {
      this.#upstream = error instanceof ModuleNotFoundError ? 'no' : 'failed'
    })
  }

  /** How long a first byte may take: longer where nobody comes after. After an owner comes upstream. */
  #patience(windowMs: number, isFar = false): Omit<Patience, 'progress'> {
    const { stallMs: nearMs, farStallMs, meshOnlyMs } = this.#ctx.budgets
    const stallMs = isFar ? farStallMs : nearMs
    const ways = [this.#owner, this.#upstream]
    const hasNext = ways.some((way) => way === 'ready' || way === 'running')
    const patienceMs = hasNext ? windowMs + stallMs : Math.max(meshOnlyMs, stallMs)
    return { patienceMs, stallMs }
  }

  /** Chosen once, by what is measured now. */
  #chooseRoute(): void {
    const sites = this.#holders.far.flatMap(({ far }) => far ?? [])
    if (sites.length === 0 || this.#upstream !== 'ready') return
    this.#isUpstreamFirst ??= this.#ctx.routes.isUpstreamFirst(sites)
  }

  #transfer(attempt: RunningAttempt): Transfer {
    return this.#bodies.transfer(attempt, this.#init.onChange)
  }

  #follow(
    attempt: RunningAttempt,
    fetching: Promise<VerifiedZip>,
    onFailure: (error: unknown) => void,
  ): void {
    const ended = fetching.then(
      (verified) => {
        if (this.#isOver || this.#verified !== undefined) {
          this.#tell(attempt, 'unneeded')
          return verified.staged.discard()
        }
        this.#verified = verified
        this.#bodies.won(attempt)
        this.#tell(attempt, 'gave')
      },
      (error: unknown) => {
        if (this.#work.signal.aborted) return this.#tell(attempt, 'unneeded')
        this.#tell(attempt, 'failed', asError(error))
        this.#init.onError(error)
        onFailure(error)
        if (error instanceof StoreFailure) this.#work.abort(error)
      },
    )
    this.#ctx.background(
      ended.finally(() => {
        this.#helpers.end(attempt)
        this.#bodies.end(attempt)
        this.#init.onChange()
      }),
    )
  }

  /** Tells once how an attempt ended. */
  #tell(attempt: RunningAttempt, outcome: 'gave' | 'failed' | 'unneeded', error?: Error): void {
    if (attempt.isTold) return
    attempt.isTold = true
    const { asked, startedMs, progress } = attempt
    const { module } = this.#init
    const { bytes, changes } = progress
    const tookMs = this.#ctx.clock.monotonicMs() - startedMs
    const how = { outcome, error, bytes, changes, tookMs }
    this.#ctx.emit({ kind: 'zip-asked', module, asked, ...how })
  }
}

function isWorthWaiting(cut: CutZip | undefined): boolean {
  return cut !== undefined && cut.point.size >= minCutBytes
}
