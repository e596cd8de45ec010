import {
  type Clock,
  type FillEvent,
  ModuleFill,
  type ModuleRecord,
  mayShare,
  type OwnerAnswer,
  type OwnerQuestion,
  PeerError,
  type PeerId,
  type ProvenSums,
} from '@modmesh/fill'
import { type FakeClock, MemoryChecksumDb, MemoryDisk, MemoryZipStore } from '@modmesh/fill/twins'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipDigest,
  type ZipHash,
} from '@modmesh/module'
import type { SimNetwork } from './network.ts'
import type { Plan, Role } from './plan.ts'
import type { PlantedBug } from './planted-bugs.ts'
import type { Rng } from './rng.ts'
import { SimClock } from './sim-clock.ts'
import { SimPeers } from './sim-peers.ts'
import { type Internet, SimUpstream } from './sim-upstream.ts'
import { fastZipDigest, fastZipHash, privatePath, type Truth } from './truth.ts'

/** What all nodes of a world share. */
export interface Surroundings {
  readonly clock: FakeClock
  readonly rng: Rng
  readonly plan: Plan
  readonly truth: Truth
  readonly network: SimNetwork
  readonly internet: Internet
  readonly nodes: readonly SimNode[]
  readonly bug: PlantedBug
  /** Current trouble of the checksum database, for everybody. */
  readonly database: { fault: MemoryChecksumDb['fault'] }
  readonly onEvent: (node: SimNode, event: FillEvent) => void
  readonly onLeak: (node: SimNode, what: string) => void
  readonly onSilence: (node: SimNode, ms: number) => void
  readonly onJoined: (outcome: 'joined' | 'mismatch' | 'part') => void
  readonly onCrossing: (what: string) => void
  /** Told whom a node blames. */
  readonly onBlame: (peer: PeerId, reason: string) => void
}

/** One life of a node, from a start to a stop or a crash. */
export interface Life {
  readonly fill: ModuleFill
  readonly clock: SimClock
  readonly store: MemoryZipStore
  readonly upstream: SimUpstream
  readonly db: MemoryChecksumDb
  /** Clients that wait; a crash resets their connections. */
  readonly ended: AbortController
}

/** A host: its disk outlives it, all else is made anew at each start. */
export class SimNode {
  readonly index: number
  readonly id: PeerId
  readonly role: Role
  readonly disk = new MemoryDisk()
  /** Records proven so far: kept on disk. */
  readonly #known = new Map<string, ProvenSums>()
  /** What it tells the mesh that it holds. */
  readonly inventory = new Set<ZipHash>()
  /** Zips it told to be committed: they must be there after any crash. */
  readonly acknowledged = new Map<string, ModuleVersion>()
  readonly #around: Surroundings
  readonly #rng: Rng
  #life: Life | undefined
  #starts = 0

  constructor(index: number, around: Surroundings) {
    this.index = index
    this.id = `node${index}`
    this.role = around.plan.roles[index]!
    this.#around = around
    this.#rng = around.rng.fork(this.id)
  }

  get life(): Life | undefined {
    return this.#life
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  start(): void {
    const { truth, internet, plan, network, nodes, bug } = this.#around
    const rng = this.#rng.fork(`start ${this.#starts++}`)
    const clock = new SimClock(this.#around.clock)
    const store = this.#openStore(clock, rng.fork('disk'))
    const isOnline = plan.online[this.index]!
    const upstream = new SimUpstream({
      internet,
      truth,
      clock,
      rng: rng.fork('upstream'),
      isOnline,
    })
    const db = this.#openDb(clock)
    const onLeak = (what: string) => this.#around.onLeak(this, what)
    const onSilence = (ms: number) => this.#around.onSilence(this, ms)
    const own = { self: this, clock, rng: rng.fork('peers') }
    const { onJoined, onCrossing, onBlame } = this.#around
    const told = { onLeak, onSilence, onJoined, onCrossing, onBlame }
    const parts = { ...own, nodes, network, ...told }
    const picks = rng.fork('fill')
    const components = {
      store: bug.store(store),
      peers: bug.peers(new SimPeers(parts)),
      upstream,
      checksumDb: db,
      clock: bug.clock(clock, plan.budgets),
      random: () => picks.unit(),
    }
    const fill = new ModuleFill(components, {
      budgets: plan.budgets,
      isPrivate: (path) => path === privatePath,
      onEvent: (event) => {
        if (!clock.isDead) this.#around.onEvent(this, event)
      },
      ttlMs: plan.ttlMs,
      negativeTtlMs: plan.negativeTtlMs,
    })
    this.#life = { fill, clock, store, upstream, db, ended: new AbortController() }
    this.#takeInventory()
  }

  /** Pulls the plug: timers stop, connections reset, the disk forgets what was not synced. */
  crash(): void {
    const life = this.#life
    if (life === undefined) return
    this.#life = undefined
    life.clock.kill()
    this.#around.bug.crash(this.disk)
    this.inventory.clear()
    life.ended.abort(new Error('connection reset'))
  }

  /** Stops as SIGTERM does. Resolves when the fill says that nothing is left. */
  async stop(): Promise<Life | undefined> {
    const life = this.#life
    this.#life = undefined
    this.inventory.clear()
    await life?.fill[Symbol.asyncDispose]()
    life?.ended.abort(new Error('connection closed'))
    return life
  }

  committed(module: ModuleVersion): void {
    this.acknowledged.set(formatModuleVersion(module), module)
    this.#takeInventory()
  }

  async giveZip(zipHash: ZipHash): Promise<Uint8Array | undefined> {
    const truth = this.#around.truth.releases.find((release) => release.sums.zip === zipHash)
    if (this.role === 'liar' && truth !== undefined) return this.#lie(truth.zip)
    for (const file of this.disk.zips.values()) {
      if (file.zipHash === zipHash && file.isIndexed && this.#isShared(file)) return file.bytes
    }
    return undefined
  }

  /** What it says of a zip that it gives; a liar may know the digest of the true one. */
  declaredDigest(zipHash: ZipHash, bytes: Uint8Array): ZipDigest {
    const truth = this.#around.truth.releases.find((release) => release.sums.zip === zipHash)
    const isFalse = this.role === 'liar' && truth !== undefined && this.#rng.chance(0.5)
    return fastZipDigest(isFalse ? truth.zip : bytes)
  }

  async giveRecord(module: ModuleVersion): Promise<Omit<ModuleRecord, 'peer'> | undefined> {
    if (this.role === 'liar') return this.#falseRecord(module)
    const life = this.#life
    const held = await life?.store.findRecord(module)
    const zip = await life?.store.findZip(module)
    const sums = await life?.db.known(module)
    if (held === undefined && zip === undefined && sums === undefined) return undefined
    const { info, mod } = held ?? {}
    return {
      module,
      info: info?.bytes,
      mod: mod?.bytes,
      record: sums?.record,
      holdsZip: zip !== undefined,
    }
  }

  get site(): number {
    return this.#around.plan.sites[this.index] ?? 0
  }

  /** Whether it offers to ask upstream for others. */
  get canFetch(): boolean {
    return this.isUp && this.#around.plan.online[this.index] === true
  }

  /** Answers as the owner of a key, or dies over it. */
  async answerSite(question: OwnerQuestion, peer: PeerId): Promise<OwnerAnswer> {
    const { id, role } = this
    const life = this.#life
    if (life === undefined) throw new PeerError(id, 'reset', { fault: 'unable' })
    if (role === 'liar' && this.#rng.chance(0.7)) return await this.#lieAsOwner(question)
    const { signal } = life.ended
    const dead = new Promise<never>((_, reject) => {
      const fail = () => reject(new PeerError(id, 'reset', { fault: 'unable' }))
      if (signal.aborted) fail()
      signal.addEventListener('abort', fail, { once: true })
    })
    return await Promise.race([life.fill.answerSite(question, { peer, signal }), dead])
  }

  async #lieAsOwner(question: OwnerQuestion): Promise<OwnerAnswer> {
    if (!('module' in question) || this.#rng.chance(0.3)) return { kind: 'nothing' }
    if (this.#rng.chance(0.2)) return { kind: 'refused', why: 'failed' }
    const record = this.#falseRecord(question.module)
    return { kind: 'record', record }
  }

  async giveVersions(path: ModulePath): Promise<readonly Version[]> {
    return (await this.#life?.store.versions(path)) ?? []
  }

  #takeInventory(): void {
    for (const file of this.disk.zips.values()) {
      if (this.#isShared(file) && file.isIndexed) this.inventory.add(file.zipHash)
    }
  }

  #isShared(file: Parameters<typeof mayShare>[0]): boolean {
    return mayShare(file, (path) => path === privatePath)
  }

  #openStore(clock: Clock, rng: Rng): MemoryZipStore {
    const { plan } = this.#around
    const onStep = async () => {
      await clock.sleep(rng.between(0, 8), { signal: never })
      if (rng.chance(plan.diskFaults)) throw new Error('EIO')
    }
    const init = { hashZip: fastZipHash, digestZip: fastZipDigest, onStep }
    return new MemoryZipStore(init, this.disk)
  }

  #openDb(clock: Clock): MemoryChecksumDb {
    const { truth, database } = this.#around
    const isOnline = this.#around.plan.online[this.index]!
    const db = new MemoryChecksumDb(truth.log, clock, this.#known)
    db.delayMs = 60
    Object.defineProperty(db, 'fault', { get: () => (isOnline ? database.fault : 'down') })
    return db
  }

  #lie(zip: Uint8Array): Uint8Array {
    const lie = zip.slice()
    switch (this.#rng.between(0, 4)) {
      case 0:
        lie[this.#rng.between(0, lie.length)]! ^= 1
        return lie
      case 1:
        return lie.subarray(0, this.#rng.between(0, lie.length))
      case 2:
        return new Uint8Array(64)
      default:
        return this.#rng.pick(this.#around.truth.releases).zip
    }
  }

  #falseRecord(module: ModuleVersion): Omit<ModuleRecord, 'peer'> {
    const { truth } = this.#around
    const real = truth.find(module) ?? truth.releases[0]!
    const other = this.#rng.pick(truth.releases)
    const { record } = this.#rng.chance(0.5) ? real.sums : other.sums
    const text = `${module.path} ${module.version} h1:forged=\n`
    return {
      module: this.#rng.chance(0.1) ? other.module : module,
      info: this.#rng.chance(0.5) ? other.info : real.info,
      mod: this.#rng.chance(0.5) ? other.mod.slice(1) : real.mod,
      record: this.#rng.chance(0.5) ? record : { ...record, text },
      holdsZip: true,
    }
  }
}

const never = new AbortController().signal
