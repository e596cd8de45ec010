import type { ModuleVersion, ZipHash } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import { equalPace, equalRttMs, farLookMs, farReturnMs } from './limits.ts'
import type { Holder, PeerId } from './peers.ts'
import type { RecordSearch } from './record-search.ts'
import { type Scope, until } from './scope.ts'
import type { RaceView } from './zip-race.ts'

/** A peer that is to be asked for a content it says it holds. */
export interface KnownHolder extends Omit<Holder, 'via'> {
  readonly zipHash: ZipHash
}

/** Who may have a zip, best first, each peer once. Grows while it is used. */
export class HolderList {
  readonly #ctx: FillContext
  readonly #scope: Scope
  readonly #onChange: () => void
  readonly #named = new Set<PeerId>()
  readonly #waiting: KnownHolder[] = []
  /** Of other sites. */
  readonly #far: KnownHolder[] = []
  readonly #isKnownOnly: boolean
  #returning = 0
  #zipHash: ZipHash | undefined
  #state: RaceView['holderSearch']
  #searchStartedMs = 0

  /** `isKnownOnly`: no search beyond the inventory, and nobody of another site. */
  constructor(
    ctx: FillContext,
    module: ModuleVersion,
    scope: Scope,
    init: { readonly isKnownOnly: boolean; readonly onChange: () => void },
  ) {
    this.#ctx = ctx
    this.#scope = scope
    this.#onChange = init.onChange
    this.#isKnownOnly = init.isKnownOnly
    const unsearched = init.isKnownOnly ? 'done' : 'unstarted'
    this.#state = ctx.canAskPeers(module.path) ? unsearched : 'none'
  }

  /** Holders not asked yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Those of other sites. */
  get far(): readonly KnownHolder[] {
    return this.#far
  }

  /** Who is asked next. */
  get first(): KnownHolder | undefined {
    return this.#waiting[0]
  }

  get state(): RaceView['holderSearch'] {
    return this.#state
  }

  get searchStartedMs(): number {
    return this.#searchStartedMs
  }

  /** Takes up what memory knows now that the content is known, and what answers for a record say. */
  open(zipHash: ZipHash, records: RecordSearch | undefined): void {
    this.#zipHash = zipHash
    if (this.#state === 'none') return
    for (const holder of spread(this.#ctx.peers.holders(zipHash), this.#ctx.random)) {
      this.#add(holder)
    }
    if (records === undefined) return
    void this.#scope.start(async (signal) => {
      for await (const { peer, holdsZip } of until(records.records(), signal)) {
        if (holdsZip) this.#add({ peer, rttMs: undefined, ...farOf(this.#ctx, peer) })
      }
    })
  }

  next(): KnownHolder | undefined {
    return this.#waiting.shift()
  }

  nextFar(): KnownHolder | undefined {
    return this.#far.shift()
  }

  /** Puts one that was busy behind the others. */
  again(holder: KnownHolder): void {
    this.#lineOf(holder).push(holder)
    this.#onChange()
  }

  /** Those of other sites whose links went away, and may come back. */
  get returning(): number {
    return this.#returning
  }

  /** Waits for a holder of another site to have it again, for `farReturnMs` at most; then it is in line. */
  whenBack(holder: KnownHolder): void {
    this.#returning += 1
    const waiting = this.#scope.start((signal) => this.#untilBack(holder, signal))
    const end = (isBack: boolean): void => {
      this.#returning -= 1
      if (isBack) this.#far.push(holder)
      this.#onChange()
    }
    const gone = (): void => end(false)
    this.#ctx.background(waiting.then(end, gone))
  }

  async #untilBack({ peer, zipHash }: KnownHolder, signal: AbortSignal): Promise<boolean> {
    const { clock, peers } = this.#ctx
    const endMs = clock.monotonicMs() + farReturnMs
    while (clock.monotonicMs() < endMs) {
      await clock.sleep(farLookMs, { signal })
      this.#ctx.linkLooks += 1
      if (peers.holders(zipHash).some((holder) => holder.peer === peer)) return true
    }
    return false
  }

  /** Looks for holders beyond the inventory, until found out or for `meshOnlyMs`. */
  search(): void {
    const zipHash = this.#zipHash
    if (zipHash === undefined || this.#state !== 'unstarted') return
    this.#state = 'running'
    this.#searchStartedMs = this.#ctx.clock.monotonicMs()
    const searching = this.#scope.start(async (signal) => {
      const found = this.#ctx.peers.findHolders(zipHash, { signal })
      for await (const holder of until(found, signal)) this.#add(holder)
    })
    const end = () => {
      this.#state = 'done'
      this.#onChange()
    }
    // A search that fails found nobody more.
    this.#ctx.background(searching.then(end, end))
  }

  #lineOf({ far }: Pick<Holder, 'far'>): KnownHolder[] {
    return far === undefined ? this.#waiting : this.#far
  }

  #add({ via: _via, ...holder }: Omit<Holder, 'via'> & Partial<Pick<Holder, 'via'>>): void {
    const zipHash = this.#zipHash
    if (zipHash === undefined || this.#named.has(holder.peer)) return
    if (holder.far !== undefined && this.#isKnownOnly) return
    this.#named.add(holder.peer)
    this.#lineOf(holder).push({ ...holder, zipHash })
    this.#onChange()
  }
}

/** Rotates the leading, equally good holders, so that many hosts do not all begin with one. */
function spread(holders: readonly Holder[], random: () => number): readonly Holder[] {
  const [best] = holders
  if (best?.rttMs === undefined) return holders
  const after = holders.findIndex((holder) => !isAsGood(holder, best))
  const equal = after < 0 ? holders.length : after
  const turn = Math.floor(random() * equal)
  return [...holders.slice(turn, equal), ...holders.slice(0, turn), ...holders.slice(equal)]
}

function farOf({ peers }: FillContext, peer: PeerId): Pick<Holder, 'far'> {
  const far = peers.siteOf(peer)
  return far === undefined ? {} : { far }
}

/** As near, as fast as far as is known, and as busy with us. */
function isAsGood(holder: Holder, best: Holder): boolean {
  const isNear = (holder.rttMs ?? Number.POSITIVE_INFINITY) <= (best.rttMs ?? 0) + equalRttMs
  const speed = best.bytesPerMs ?? holder.bytesPerMs ?? 0
  const isFast = (holder.bytesPerMs ?? speed) * equalPace >= speed
  return isNear && isFast && (holder.load ?? 0) <= (best.load ?? 0)
}
