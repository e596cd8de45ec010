import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { AnswerStore } from './answer-store.ts'
import type { Budgets } from './budgets.ts'
import type { ChecksumDb } from './checksum-db.ts'
import type { Clock } from './clock.ts'
import { UpstreamRefusedError } from './errors.ts'
import type { FillEvent } from './fill-event.ts'
import type { FirstHashes } from './first-hashes.ts'
import { EarnedHeadStart } from './head-start.ts'
import { Hedges } from './hedges.ts'
import { HeldParts } from './held-parts.ts'
import { headStartRtts, maxFarZips, maxStrangers, meshNegativeTtlMs } from './limits.ts'
import { type OwnerSubject, ownerKey } from './owner.ts'
import { OwnerTrust } from './owner-trust.ts'
import type { PeerId, Peers } from './peers.ts'
import type { PrivateMesh } from './private-modules.ts'
import { RecentSet } from './recent-set.ts'
import { RemoteLevel } from './remote-level.ts'
import type { RemoteStore } from './remote-store.ts'
import { Routes } from './routes.ts'
import { abortable, handled, type Scope } from './scope.ts'
import { withTimeLimit } from './time-limit.ts'
import { Turns } from './turns.ts'
import type { Upstream } from './upstream.ts'
import { WriteBack } from './write-back.ts'
import { ZipParts } from './zip-parts.ts'
import type { ZipStore } from './zip-store.ts'

/** What a fill works with. */
export interface FillComponents {
  readonly store: ZipStore
  readonly peers: Peers
  readonly upstream: Upstream
  readonly checksumDb: ChecksumDb
  /** Asked after peers and before upstream. */
  readonly remote?: RemoteStore | undefined
  /** What was first seen of versions that nobody can prove; absent: every time counts as the first. */
  readonly firstHashes?: FirstHashes
  /** Where answers that change outlive the process; absent: nowhere. */
  readonly answers?: AnswerStore
  /** Members that may have private modules; absent: those never leave this host, nor come from another. */
  readonly privateMesh?: PrivateMesh | undefined
  readonly clock: Clock
  /** From 0 up to and without 1; spreads fetches over equally good holders. */
  readonly random?: () => number
}

/** How it decides. */
export interface FillInit {
  readonly budgets: Budgets
  /** Never looked up at the checksum database and never spoken of to peers. */
  isPrivate(path: ModulePath): boolean
  onEvent(event: FillEvent): void
  /** How long a list, `@latest` or query of upstream stays fresh, ms. */
  readonly ttlMs: number
  /** How long upstream's "not found" is believed, ms. */
  readonly negativeTtlMs: number
}

/** What the steps of a fill share: ports, policy, and work that outlives one request. */
export class FillContext {
  readonly store: ZipStore
  readonly peers: Peers
  readonly upstream: Upstream
  readonly checksumDb: ChecksumDb
  readonly firstHashes: FirstHashes | undefined
  readonly privateMesh: PrivateMesh | undefined
  readonly remote: RemoteLevel | undefined
  readonly writeBack: WriteBack | undefined
  readonly clock: Clock
  readonly budgets: Budgets
  readonly headStart: EarnedHeadStart
  readonly owners: OwnerTrust
  /** What upstream costs, beside other sites. */
  readonly routes: Routes
  /** Zips that come from other sites take turns. */
  readonly farTurns: Turns = new Turns(maxFarZips)
  /** Grows while a link that went away is waited for: who waits for us sees that we do. */
  linkLooks = 0
  readonly hedges: Hedges = new Hedges()
  readonly held: HeldParts
  /** Zips on their way, for those who wait for us. */
  readonly parts: ZipParts
  /** Module versions of which the mesh just knew nothing. */
  readonly strangers: RecentSet
  /** Questions to owners, by `keyOf`, of whose answers something came of late. */
  readonly moving: RecentSet
  readonly random: () => number
  /** Aborts when the fill closes. */
  readonly closing: AbortSignal
  readonly #init: FillInit
  readonly #tasks = new Set<Promise<unknown>>()

  constructor(components: FillComponents, init: FillInit, closing: AbortSignal) {
    this.closing = closing
    this.store = components.store
    this.peers = components.peers
    this.upstream = components.upstream
    this.checksumDb = components.checksumDb
    this.firstHashes = components.firstHashes
    this.privateMesh = components.privateMesh
    this.clock = components.clock
    this.random = components.random ?? (() => 0)
    this.budgets = init.budgets
    this.headStart = new EarnedHeadStart(init.budgets)
    this.owners = new OwnerTrust(components)
    this.routes = new Routes(components)
    const { clock } = components
    const onEvent = (event: FillEvent) => this.emit(event)
    this.held = new HeldParts({ store: this.store, background: this.background, onEvent })
    this.parts = new ZipParts({ clock, findZip: (module) => this.held.findZip(module) })
    this.strangers = new RecentSet(components, { entries: maxStrangers, ms: meshNegativeTtlMs })
    const ms = init.budgets.farStallMs
    this.moving = new RecentSet(components, { entries: maxStrangers, ms })
    this.#init = init
    this.remote = components.remote && this.#makeRemote(components.remote)
    this.writeBack = this.remote && this.#makeWriteBack(this.remote)
  }

  emit(event: FillEvent): void {
    this.#init.onEvent(event)
  }

  isPrivate(path: ModulePath): boolean {
    return this.#init.isPrivate(path)
  }

  /** Whether the checksum database speaks for the path: else upstream's word is all there is. */
  isProvable(path: ModulePath): boolean {
    return !this.#init.isPrivate(path) && this.checksumDb.covers(path)
  }

  canAskUpstream(path: ModulePath): boolean {
    return this.upstream.isEnabled(path)
  }

  /** Peers are never asked for what nobody can prove, nor for what is private. */
  canAskPeers(path: ModulePath): boolean {
    return this.isProvable(path) && !this.peers.isAlone()
  }

  /** Members are asked for a private path only where the mesh shares those, and only members with the role. */
  canAskPrivateMesh(path: ModulePath): boolean {
    return this.isPrivate(path) && this.privateMesh?.canAsk() === true
  }

  /**
   * The peer that asks upstream and other sites for all of our site; undefined is ourselves, or nobody.
   * Who may not ask upstream does not do so through others either: with `--upstream off` nothing waits
   * for the internet.
   */
  ownerOf(subject: OwnerSubject): PeerId | undefined {
    if (!this.canAskPeers(subject.path)) return undefined
    const reach = this.canAskUpstream(subject.path) ? 'upstream' : 'sites'
    if (reach === 'sites' && this.peers.sites().length === 0) return undefined
    const { isTrusted } = this.owners
    return this.peers.owner(ownerKey(subject), { isTrusted, reach })
  }

  /** How long peers alone are asked before others join: what the nearest other site needs is included. */
  get headStartMs(): number {
    const { headStartMs, haveQueryMs } = this.budgets
    const earnedMs = this.headStart.ms
    if (earnedMs < headStartMs) return earnedMs
    const farMs = this.peers
      .sites()
      .filter((link) => this.routes.isNear(link))
      .map(({ rttMs = 0 }) => Math.min(haveQueryMs, headStartRtts * rttMs))
    return Math.max(headStartMs, ...farMs)
  }

  /** A remote store is believed as a peer is: it gets and gives only what can be proven. */
  canAskRemote(path: ModulePath): boolean {
    return this.remote !== undefined && this.isProvable(path)
  }

  canAskAnybody(path: ModulePath): boolean {
    if (this.canAskPeers(path) || this.canAskRemote(path)) return true
    return this.canAskUpstream(path) || this.canAskPrivateMesh(path)
  }

  /** Names a liar to the mesh and to the log. */
  blame(peer: PeerId, module: ModuleVersion, reason: string): void {
    this.peers.blame(peer, { module, reason })
    this.emit({ kind: 'peer-blamed', peer, module, reason })
  }

  /** Makes the error for what upstream sent and does not verify, and tells the log. */
  refuse(
    module: ModuleVersion,
    seen: { readonly expected: string; readonly actual: string; readonly from: string },
    options?: ErrorOptions,
  ): UpstreamRefusedError {
    const error = new UpstreamRefusedError(module, seen, options)
    this.emit({ kind: 'upstream-refused', module, reason: error.message })
    return error
  }

  /** Keeps work that nobody waits for until it ends; disposal waits for it. */
  background = (task: Promise<unknown>): void => {
    const tracked: Promise<unknown> = task.then(noop, noop).then(() => this.#tasks.delete(tracked))
    this.#tasks.add(tracked)
  }

  /** Resolves when no background work is left. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  /**
   * Starts work that others may be waiting for, too, or will ask for next: who started it may go, and
   * it ends with the fill.
   */
  lasting<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const work = handled(abortable(start(this.closing), this.closing))
    this.background(work)
    return work
  }

  /** Runs one piece of work with the overall deadline; its branches end with it, and it with the fill. */
  async withDeadline<T>(what: string, work: (scope: Scope) => Promise<T>): Promise<T> {
    return await this.within(what, this.budgets.fetchTimeoutMs, this.closing, work)
  }

  /** Runs one piece of work for at most `ms`, then throws UpstreamUnavailableError (timed out). */
  async within<T>(
    what: string,
    ms: number,
    signal: AbortSignal,
    work: (scope: Scope) => Promise<T>,
  ): Promise<T> {
    return await withTimeLimit(this.clock, { ms, what, signal, background: this.background }, work)
  }

  #makeRemote(store: RemoteStore): RemoteLevel {
    return new RemoteLevel(
      { store, clock: this.clock },
      {
        headStartMs: this.budgets.remoteHeadStartMs,
        onRefused: (module, reason) => this.emit({ kind: 'remote-refused', module, reason }),
      },
    )
  }

  #makeWriteBack(level: RemoteLevel): WriteBack {
    const { checksumDb, clock, held } = this
    return new WriteBack(
      {
        level,
        checksumDb,
        clock,
        findRecord: (module) => held.findRecord(module),
        findZip: (module) => held.findZip(module),
      },
      { isPrivate: (path) => this.isPrivate(path), onEvent: (event) => this.emit(event) },
    )
  }
}

function noop(): void {}
