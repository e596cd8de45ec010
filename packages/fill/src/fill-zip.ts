import { formatModuleVersion, type ModuleVersion, type ZipHash } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import { commitZip } from './commit-zip.ts'
import { asError, ModuleNotFoundError, PeerError, UpstreamUnavailableError } from './errors.ts'
import { explainFailure } from './explain-failure.ts'
import type { FillContext } from './fill-context.ts'
import { fillUnprovable } from './fill-unprovable.ts'
import { HolderList, type KnownHolder } from './holder-list.ts'
import type { Answer } from './module-source.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { notHere } from './not-found.ts'
import { keepAllVerified } from './peer-facts.ts'
import type { PeerId } from './peers.ts'
import type { Proof } from './proof.ts'
import { AllFailedError } from './race.ts'
import { type RecordSearch, searchRecords } from './record-search.ts'
import { relaySums } from './relay.ts'
import { resolveSums, withNeed } from './resolve-sums.ts'
import { handled, noLongerNeeded, Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'
import { whyNoPeers, whyRaceAsksUpstream } from './why-upstream.ts'
import { fetchFromPeer, fetchFromRemote, fetchFromUpstream } from './zip-attempt.ts'
import { type RunningAttempt, ZipBodies } from './zip-bodies.ts'
import { fetchFromOwner } from './zip-from-owner.ts'
import { type Move, nextMove, type RaceView } from './zip-race.ts'
import type { HeldZip } from './zip-store.ts'
import { isWrong, type Transfer, type VerifiedZip } from './zip-transfer.ts'

/** Answers a request for a zip (design, section 4). */
export async function fillZip(
  ctx: FillContext,
  module: ModuleVersion,
  options: { readonly signal: AbortSignal },
): Promise<Answer<HeldZip>> {
  const held = await ctx.findZip(module)
  if (held !== undefined) return { value: held, source: { kind: 'store' } }
  const name = formatModuleVersion(module)
  if (!ctx.canAskAnybody(module.path)) throw notHere(name)
  return await ctx.withDeadline(name, options.signal, async (scope) => {
    try {
      return ctx.isProvable(module.path)
        ? await new ZipFill(ctx, module, scope).run()
        : await fillUnprovable(ctx, module, scope)
    } catch (error) {
      throw explainFailure(ctx, module, error)
    }
  })
}

/**
 * Brings a zip through the peer that asks upstream for our site: from holders by inventory, else from
 * the owner. Undefined when nothing came of it. Throws only when the scope ends.
 */
export async function relayZip(
  ctx: FillContext,
  module: ModuleVersion,
  owner: PeerId,
  scope: Scope,
): Promise<Answer<HeldZip> | undefined> {
  const held = await ctx.findZip(module)
  if (held !== undefined) return { value: held, source: { kind: 'store' } }
  try {
    return await new ZipFill(ctx, module, scope, owner).run()
  } catch {
    // Whatever it was: what we do without the owner tells the reason.
    scope.signal.throwIfAborted()
    return undefined
  }
}

/** One miss: what is known of it so far, and who is being asked. */
class ZipFill {
  readonly #ctx: FillContext
  readonly #module: ModuleVersion
  readonly #work: Scope
  readonly #startedMs: number
  readonly #holders: HolderList
  readonly #bodies: ZipBodies
  readonly #errors: unknown[] = []
  readonly #zipHash = Promise.withResolvers<ZipHash>()
  #expected: RaceView['expected'] = 'searching'
  #records: RecordSearch | undefined
  #hasPeersFailed: boolean
  readonly #ownerId: PeerId | undefined
  #owner: RaceView['owner']
  #remote: RaceView['remote']
  #upstream: RaceView['upstream']
  #firstPeer: RaceView['firstPeer']
  #verified: VerifiedZip | undefined
  #isOver = false
  #changed = Promise.withResolvers<void>()

  /** With an owner, nobody is asked but holders by inventory and the owner. */
  constructor(ctx: FillContext, module: ModuleVersion, scope: Scope, owner?: PeerId) {
    this.#ctx = ctx
    this.#module = module
    this.#work = new Scope(scope.signal)
    this.#startedMs = ctx.clock.monotonicMs()
    this.#hasPeersFailed = !ctx.canAskPeers(module.path)
    this.#bodies = new ZipBodies(ctx, module)
    this.#ownerId = owner
    const isRelay = owner !== undefined
    this.#owner = isRelay ? 'ready' : 'none'
    this.#remote = !isRelay && ctx.canAskRemote(module.path) ? 'ready' : 'none'
    this.#upstream = !isRelay && ctx.canAskUpstream(module.path) ? 'ready' : 'none'
    const onChange = () => this.#wake()
    this.#holders = new HolderList(ctx, module, this.#work, { isKnownOnly: isRelay, onChange })
    void handled(this.#zipHash.promise)
  }

  async run(): Promise<Answer<HeldZip>> {
    if (this.#ownerId !== undefined) return await this.#bring()
    const forget = this.#bodies.show()
    try {
      return await this.#bring((zip) => this.#bodies.showWhole(zip))
    } finally {
      forget()
    }
  }

  async #bring(onReadable?: (zip: HeldZip) => void): Promise<Answer<HeldZip>> {
    const { verified, proof } = await this.#race()
    return await commitZip(this.#ctx, verified, proof, onReadable)
  }

  async #race(): Promise<{ readonly verified: VerifiedZip; readonly proof: Proof }> {
    this.#work.signal.addEventListener('abort', () => this.#wake(), { once: true })
    const sums = this.#work.start(() => this.#findSums())
    try {
      while (this.#verified === undefined) {
        this.#work.signal.throwIfAborted()
        await this.#move(nextMove(this.#view(), this.#ctx.budgets))
      }
      const { proof } = await sums
      return { verified: this.#verified, proof }
    } finally {
      this.#isOver = true
      this.#ctx.background(this.#work.close())
    }
  }

  async #move(move: Move): Promise<void> {
    switch (move.kind) {
      case 'ask-holder':
        return this.#askHolder()
      case 'search-holders':
        return this.#holders.search()
      case 'ask-owner':
        return this.#askOwner()
      case 'ask-remote':
        return this.#askRemote()
      case 'ask-upstream':
        return this.#askUpstream()
      case 'give-up':
        throw new AllFailedError([...this.#errors, ...this.#silence()])
      case 'wait':
        return await this.#news(move.ms)
    }
  }

  /** Peers that have not answered may have it: that is trouble of ours, and never "nobody has it". */
  #silence(): Error[] {
    if (this.#holders.state !== 'running') return []
    const name = formatModuleVersion(this.#module)
    const message = `${name}: peers have not answered within ${this.#ctx.budgets.meshOnlyMs} ms`
    return [new UpstreamUnavailableError(message, { timedOut: true })]
  }

  async #findSums(): Promise<ProvenSums> {
    const { signal } = this.#work
    try {
      const search = () => this.#startRecords()
      const onPeersFailed = () => {
        this.#hasPeersFailed = true
        this.#wake()
      }
      const options = { signal, search, onPeersFailed }
      const owner = this.#ownerId
      const sums =
        owner === undefined
          ? (await resolveSums(this.#ctx, this.#module, 'zip', options)).sums
          : await this.#sumsOfOwner(owner)
      this.#gotSums(sums)
      return sums
    } catch (error) {
      this.#expected = 'failed'
      this.#errors.push(error)
      this.#zipHash.reject(error)
      throw error
    } finally {
      this.#wake()
    }
  }

  async #sumsOfOwner(owner: PeerId): Promise<ProvenSums> {
    const known = await this.#ctx.checksumDb.known(this.#module)
    if (known?.zip !== undefined) return known
    const sums = await relaySums(this.#ctx, this.#module, 'zip', owner, this.#work)
    if (sums === undefined) throw new NobodyHasItError()
    return sums
  }

  #startRecords(): RecordSearch | undefined {
    this.#records = searchRecords(this.#ctx, this.#module, this.#work)
    return this.#records
  }

  #gotSums(sums: ProvenSums): void {
    this.#expected = 'known'
    const zipHash = withNeed(sums, 'zip').zip
    this.#zipHash.resolve(zipHash)
    this.#holders.open(zipHash, this.#records)
    keepAllVerified(this.#ctx, this.#module, this.#records?.seen ?? [], sums)
  }

  #view(): RaceView {
    return {
      nowMs: this.#ctx.clock.monotonicMs(),
      startedMs: this.#startedMs,
      expected: this.#expected,
      recordsDone: this.#hasPeersFailed,
      owner: this.#owner,
      remote: this.#remote,
      upstream: this.#upstream,
      candidates: this.#holders.waiting,
      holderSearch: this.#holders.state,
      holderSearchMs: this.#holders.searchStartedMs,
      firstPeer: this.#firstPeer,
      attempts: this.#bodies.views(),
    }
  }

  #askHolder(): void {
    const holder = this.#holders.next()
    if (holder === undefined) return
    const { budgets } = this.#ctx
    const windowMs = Math.max(budgets.firstByteMs, budgets.firstByteRtts * (holder.rttMs ?? 0))
    const patienceMs = this.#hasUpstream() ? windowMs + budgets.stallMs : budgets.meshOnlyMs
    const attempt = this.#bodies.begin({ kind: 'peer', peer: holder.peer }, windowMs)
    this.#firstPeer ??= attempt
    const job = { ...holder, patienceMs, ...this.#transfer(attempt) }
    const fetching = this.#work.start((signal) => fetchFromPeer(this.#ctx, job, { signal }))
    this.#follow(attempt, fetching, (error) => this.#judge(holder, error))
  }

  /** With an owner, upstream comes after it. */
  #hasUpstream(): boolean {
    return [this.#owner, this.#upstream].some((way) => way === 'ready' || way === 'running')
  }

  #askOwner(): void {
    this.#owner = 'running'
    const peer = this.#ownerId
    if (peer === undefined) return
    const attempt = this.#bodies.begin({ kind: 'owner', peer }, Number.POSITIVE_INFINITY)
    const { firstByteMs, stallMs } = this.#ctx.budgets
    const patienceMs = firstByteMs + stallMs
    const job = { peer, patienceMs, ...this.#transfer(attempt) }
    const fetching = this.#work.start(async (signal) => {
      const zipHash = await this.#zipHash.promise
      return await fetchFromOwner(this.#ctx, { ...job, zipHash }, { signal })
    })
    this.#follow(attempt, fetching, () => {
      this.#owner = 'over'
    })
  }

  #askRemote(): void {
    const level = this.#ctx.remote
    this.#remote = level === undefined ? 'none' : 'running'
    if (level === undefined) return
    const { budgets } = this.#ctx
    const windowMs = level.headStart.ms
    const patienceMs = this.#hasUpstream() ? windowMs + budgets.stallMs : budgets.meshOnlyMs
    const attempt = this.#bodies.begin({ kind: 'remote' }, windowMs)
    const expected = this.#zipHash.promise
    const job = { level, expected, patienceMs, ...this.#transfer(attempt) }
    const fetching = this.#work.start((signal) => fetchFromRemote(this.#ctx, job, { signal }))
    this.#follow(attempt, fetching, () => {
      this.#remote = 'over'
    })
  }

  #askUpstream(): void {
    const module = this.#module
    const why = whyNoPeers(this.#ctx, module.path) ?? whyRaceAsksUpstream(this.#view())
    this.#ctx.emit({ kind: 'upstream-chosen', what: 'zip', module, why })
    this.#upstream = 'running'
    const remote = this.#bodies.find('remote')
    if (remote?.progress.hasFirstByte === false) this.#ctx.remote?.headStart.missed()
    const attempt = this.#bodies.begin({ kind: 'upstream' }, 0)
    const expected = this.#zipHash.promise
    const job = { expected, ...this.#transfer(attempt) }
    const fetching = this.#work.start((signal) => fetchFromUpstream(this.#ctx, job, { signal }))
    this.#follow(attempt, fetching, (error) => {
      this.#upstream = error instanceof ModuleNotFoundError ? 'no' : 'failed'
    })
  }

  #transfer(attempt: RunningAttempt): Transfer {
    return this.#bodies.transfer(attempt, () => this.#wake())
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
        this.#errors.push(error)
        onFailure(error)
        if (error instanceof StoreFailure) this.#work.abort(error)
      },
    )
    this.#ctx.background(
      ended.finally(() => {
        this.#bodies.end(attempt)
        this.#wake()
      }),
    )
  }

  #tell(attempt: RunningAttempt, outcome: 'gave' | 'failed' | 'unneeded', error?: Error): void {
    const { asked, startedMs, progress } = attempt
    const tookMs = this.#ctx.clock.monotonicMs() - startedMs
    const { bytes } = progress
    this.#ctx.emit({
      kind: 'zip-asked',
      module: this.#module,
      asked,
      outcome,
      error,
      bytes,
      tookMs,
    })
  }

  #judge(holder: KnownHolder, error: unknown): void {
    if (isWrong(error) || (error instanceof PeerError && error.fault === 'protocol')) {
      this.#ctx.blame(holder.peer, this.#module, asError(error).message)
    }
  }

  /** Resolves when something happened, or after `ms`. */
  async #news(ms: number | undefined): Promise<void> {
    const timer = new AbortController()
    const waits: Promise<void>[] = [this.#changed.promise]
    if (ms !== undefined) waits.push(this.#ctx.clock.sleep(ms, { signal: timer.signal }))
    await Promise.race(waits)
    timer.abort(noLongerNeeded)
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
