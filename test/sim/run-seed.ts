import type { FillEvent } from '@modmesh/fill'
import { FakeClock, type MemoryChecksumDb } from '@modmesh/fill/twins'
import { formatModuleVersion } from '@modmesh/module'
import { SimNetwork } from './network.ts'
import { drawPlan, type Plan } from './plan.ts'
import { noBug, type PlantedBug } from './planted-bugs.ts'
import { ask, drawQuestion, type Question } from './requests.ts'
import { mix, Rng } from './rng.ts'
import { type Life, SimNode } from './sim-node.ts'
import { Internet, upstreamMoods } from './sim-upstream.ts'
import { Truth } from './truth.ts'

/**
 * I1 answers are true; I3 commits survive; I4 one answer each, in time; I7 nothing private leaks;
 * I9 offline asks nobody; I11 nothing is left; L1 when the faults are over, whoever can have a zip gets
 * it; S1 then a site of honest nodes asks upstream once for what all of them want; S2 an owner that is
 * silent costs no more than its missed notices; S3 a zip crosses the link to a site once, for all of that
 * site who want it at one instant; B1 only liars are blamed.
 */
export type Invariant = 'I1' | 'I3' | 'I4' | 'I7' | 'I9' | 'I11' | 'L1' | 'S1' | 'S2' | 'S3' | 'B1'

/** How a seed ended. */
export interface SeedResult {
  readonly seed: number
  /** Clock steps taken. */
  readonly events: number
  /** Of everything that happened: equal seeds have equal ones. */
  readonly traceHash: number
  /** Answers and failures, faults and restarts: what the seed exercised. */
  readonly tally: ReadonlyMap<string, number>
  readonly failure:
    | { readonly invariant: Invariant; readonly event: number; readonly detail: string }
    | undefined
}

/** How to run it. */
export interface SeedOptions {
  readonly bug?: PlantedBug
  /** Called with each line of the trace. */
  readonly onTrace?: (line: string) => void
  /** Stops after this many events. */
  readonly until?: number
}

/** Runs one world to its end, or to the first broken invariant. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const world = new SimWorld(seed, options)
  await world.run()
  return world.result()
}

/** Far beyond what a seed takes: a world that does not come to rest has a leak. */
const maxEvents = 200_000

/** After this every fill that began in a fault has met its deadline, and no "not found" is believed, ms. */
const settleMs = 60_000

/** More than a look for signs of life takes, ms. */
const oneStepMs = 200

const demandId = -1
const patience = { cancelMs: undefined, cachedOnly: false }

interface PendingRequest {
  readonly id: number
  readonly node: SimNode
  readonly life: Life
  readonly question: Question
  readonly startedMs: number
  answers: number
}

class SimWorld {
  readonly #seed: number
  readonly #options: SeedOptions
  readonly #rng: Rng
  readonly #clock = new FakeClock()
  readonly #plan: Plan
  readonly #truth: Truth
  readonly #network: SimNetwork
  readonly #internet = new Internet()
  readonly #database: { fault: MemoryChecksumDb['fault'] } = { fault: 'none' }
  readonly #nodes: SimNode[] = []
  readonly #requests: PendingRequest[] = []
  readonly #told = new Map<Life, number>()
  readonly #tally = new Map<string, number>()
  /** Zips asked of another site, by content and asking site. */
  readonly #crossings = new Map<string, number>()
  #failure: SeedResult['failure']
  #events = 0
  #hash = 0x811c9dc5

  constructor(seed: number, options: SeedOptions) {
    this.#seed = seed
    this.#options = options
    this.#rng = new Rng(seed)
    this.#plan = drawPlan(this.#rng.fork('plan'))
    this.#truth = new Truth(this.#rng.fork('truth'))
    this.#network = new SimNetwork(this.#rng.fork('network'), this.#plan)
    const around = {
      clock: this.#clock,
      rng: this.#rng,
      plan: this.#plan,
      truth: this.#truth,
      network: this.#network,
      internet: this.#internet,
      database: this.#database,
      nodes: this.#nodes,
      bug: options.bug ?? noBug,
      onEvent: (node: SimNode, event: FillEvent) => this.#onEvent(node, event),
      onLeak: (node: SimNode, what: string) => this.#fail('I7', `${node.id} ${what}`),
      onSilence: (node: SimNode, ms: number) => this.#onSilence(node, ms),
      onJoined: (outcome: 'joined' | 'mismatch' | 'part') => this.#count(outcome),
      onCrossing: (what: string) => {
        this.#crossings.set(what, (this.#crossings.get(what) ?? 0) + 1)
      },
      onBlame: (peer: string, reason: string) => this.#onBlame(peer, reason),
    }
    for (const index of this.#plan.roles.keys()) this.#nodes.push(new SimNode(index, around))
  }

  result(): SeedResult {
    return {
      seed: this.#seed,
      events: this.#events,
      traceHash: this.#hash >>> 0,
      tally: this.#tally,
      failure: this.#failure,
    }
  }

  async run(): Promise<void> {
    for (const node of this.#nodes) node.start()
    this.#scheduleRequests()
    this.#scheduleFaults()
    this.#clock.after(this.#plan.activeMs, () => this.#calm())
    await this.#steps(() => false)
    if (this.#isStopped()) return
    this.#checkAnswered()
    await this.#stopAll()
  }

  /** Steps the clock until nothing is due, `isDone`, or an invariant breaks. */
  async #steps(isDone: () => boolean): Promise<void> {
    await this.#clock.settle()
    while (!this.#isStopped() && !isDone() && (await this.#clock.step())) {
      this.#events++
      if (this.#events > maxEvents) this.#fail('I11', 'the world does not come to rest')
    }
  }

  #isStopped(): boolean {
    return this.#failure !== undefined || this.#events >= (this.#options.until ?? maxEvents * 2)
  }

  #scheduleRequests(): void {
    const rng = this.#rng.fork('requests')
    for (let id = 0; id < this.#plan.requests; id++) {
      const atMs = rng.between(0, this.#plan.activeMs)
      const node = rng.pick(this.#nodes)
      const question = drawQuestion(rng, this.#truth)
      const copies = rng.chance(0.2) ? 5 : 1
      const cancelMs = rng.chance(this.#plan.cancels) ? rng.between(0, 2_000) : undefined
      const cachedOnly = rng.chance(0.05)
      this.#clock.after(atMs, () => {
        for (let copy = 0; copy < copies; copy++) {
          void this.#request(id, node, question, { cancelMs, cachedOnly })
        }
      })
    }
  }

  async #request(
    id: number,
    node: SimNode,
    question: Question,
    how: { readonly cancelMs: number | undefined; readonly cachedOnly: boolean },
  ): Promise<string> {
    const { life } = node
    if (life === undefined) return 'down'
    const startedMs = this.#clock.monotonicMs()
    const request: PendingRequest = { id, node, life, question, startedMs, answers: 0 }
    this.#requests.push(request)
    const client = new AbortController()
    const uncancel =
      how.cancelMs === undefined
        ? undefined
        : this.#clock.after(how.cancelMs, () => client.abort(new Error('client is gone')))
    const reset = new Promise<never>((_, reject) => {
      const { signal } = life.ended
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    const options = { signal: client.signal, cachedOnly: how.cachedOnly }
    let outcome = 'ok'
    try {
      const wrong = await Promise.race([ask(life, question, options, this.#truth), reset])
      if (wrong !== undefined) this.#fail('I1', `${node.id} ${describe(question)}: ${wrong}`)
    } catch (error) {
      outcome = error instanceof Error ? nameOf(error) : String(error)
    }
    this.#note(request, outcome)
    uncancel?.()
    return outcome
  }

  /** Counts one final answer, and checks its time. */
  #note(request: PendingRequest, outcome: string): void {
    request.answers++
    const tookMs = this.#clock.monotonicMs() - request.startedMs
    this.#trace(`${request.node.id} #${request.id} ${describe(request.question)} ${outcome}`)
    this.#count(outcome)
    if (request.answers > 1) this.#fail('I4', `request ${request.id} was answered twice`)
    if (tookMs > this.#plan.budgets.fetchTimeoutMs) {
      this.#fail('I4', `${describe(request.question)} took ${tookMs} ms`)
    }
  }

  #scheduleFaults(): void {
    const rng = this.#rng.fork('faults')
    const { activeMs } = this.#plan
    const during = (what: string, begin: () => () => void) => {
      const atMs = rng.between(0, activeMs)
      const lengthMs = rng.between(50, 6_000)
      this.#clock.after(atMs, () => {
        const end = begin()
        this.#trace(`fault ${what}`)
        this.#count(what)
        this.#clock.after(lengthMs, end)
      })
    }
    for (let i = 0; i < this.#plan.partitions; i++) {
      during('cut', () => this.#network.cut(this.#nodes.length))
    }
    for (let i = 0; i < this.#plan.upstreamFaults; i++) {
      const mood = rng.pick(upstreamMoods)
      during(`upstream ${mood}`, () => {
        this.#internet.mood = mood
        return () => {
          this.#internet.mood = 'well'
        }
      })
    }
    for (let i = 0; i < this.#plan.dbFaults; i++) {
      const fault = rng.pick(['down', 'stall', 'hang', 'fork'] as const)
      during(`database ${fault}`, () => {
        this.#database.fault = fault
        return () => {
          this.#database.fault = 'none'
        }
      })
    }
    for (let i = 0; i < this.#plan.crashes; i++) {
      const node = rng.pick(this.#nodes)
      const isClean = rng.chance(0.3)
      during(isClean ? 'restart' : 'crash', () => this.#takeDown(node, isClean))
    }
  }

  #takeDown(node: SimNode, isClean: boolean): () => void {
    if (isClean) void this.#stop(node)
    else node.crash()
    return () => this.#bringUp(node)
  }

  #bringUp(node: SimNode): void {
    if (node.isUp) return
    node.start()
    this.#trace(`${node.id} up`)
    void this.#checkCommits(node)
  }

  #calm(): void {
    this.#network.calm()
    this.#internet.mood = 'well'
    this.#database.fault = 'none'
    for (const node of this.#nodes) this.#bringUp(node)
    this.#trace('calm')
    this.#clock.after(settleMs, () => {
      for (const node of this.#nodes) void this.#demand(node)
    })
    this.#clock.after(2 * settleMs, () => void this.#demandTogether())
  }

  /** S1: what all want at one instant upstream is asked for once, if there is no liar among them. */
  async #demandTogether(): Promise<void> {
    const { roles, diskFaults } = this.#plan
    const isClean = diskFaults === 0 && roles.every((role) => role === 'honest')
    if (!isClean || !this.#isPatient()) return
    const { module } = this.#truth.late
    for (const kind of ['info', 'mod', 'zip'] as const) {
      const question: Question = { kind, module }
      const ask = (node: SimNode) => this.#request(demandId, node, question, patience)
      // One site after the other: so the second can have it of the first.
      const bySite = Map.groupBy(this.#nodes, ({ site }) => site)
      for (const nodes of bySite.values()) await Promise.all(nodes.map(ask))
      const count = this.#internet.asked.get(`${kind} ${formatModuleVersion(module)}`) ?? 0
      this.#count(`together ${count}`)
      if (count > bySite.size) {
        this.#fail('S1', `${count} requests for one ${kind} of ${this.#nodes.length}`)
      }
    }
    this.#checkCrossings(this.#truth.late.sums.zip)
  }

  /** S3. Who has an upstream and who has none ask through owners of their own. */
  #checkCrossings(zipHash: string | undefined): void {
    for (const site of new Set(this.#plan.sites)) {
      const count = this.#crossings.get(`${zipHash} ${site}`) ?? 0
      this.#count(`crossed ${count}`)
      const online = this.#nodes.filter((node) => node.site === site)
      const groups = new Set(online.map(({ canFetch }) => canFetch)).size
      if (count > groups) this.#fail('S3', `${count} crossings to site ${site}`)
    }
  }

  #isPatient(): boolean {
    const { fetchTimeoutMs, meshOnlyMs, stallMs, ownerStallMs } = this.#plan.budgets
    const isLong = fetchTimeoutMs >= 30_000 && meshOnlyMs >= 5_000 && stallMs >= 2_000
    return isLong && ownerStallMs >= 65_000
  }

  /** L1: liars and stallers that stay do not keep a node from what upstream or an honest peer has. */
  async #demand(node: SimNode): Promise<void> {
    const { diskFaults, online } = this.#plan
    const release = this.#rng.fork(`demand ${node.id}`).pick(this.#truth.releases)
    const zipHash = release.sums.zip
    const question: Question = { kind: 'zip', module: release.module }
    const isHeld = this.#nodes.some(
      (other) => other.role === 'honest' && zipHash !== undefined && other.inventory.has(zipHash),
    )
    const isDue = online[node.index] === true || (isHeld && !release.isPrivate)
    if (!this.#isPatient() || diskFaults > 0 || !isDue) return
    const outcome = await this.#request(demandId, node, question, patience)
    this.#count(`demanded ${outcome}`)
    if (outcome !== 'ok') this.#fail('L1', `${node.id} ${describe(question)}: ${outcome}`)
  }

  #onEvent(node: SimNode, event: FillEvent): void {
    this.#trace(`${node.id} ${event.kind}`)
    this.#count(event.kind === 'answered' ? `from ${event.source.kind}` : event.kind)
    const { life } = node
    if (event.kind === 'committed') node.committed(event.module)
    if (event.kind === 'owner-asked') this.#count(`owner ${event.outcome}`)
    if (event.kind !== 'answered' && event.kind !== 'failed') return
    if (life !== undefined) this.#told.set(life, (this.#told.get(life) ?? 0) + 1)
  }

  /** B1: whoever lied is blamed, and nobody else, also where several brought one zip. */
  #onBlame(peer: string, reason: string): void {
    const node = this.#nodes.find(({ id }) => id === peer)
    this.#count('blamed')
    if (node?.role !== 'liar') this.#fail('B1', `${peer} (${node?.role}) is blamed: ${reason}`)
  }

  #onSilence(node: SimNode, ms: number): void {
    if (ms <= this.#plan.budgets.ownerSilenceMs + oneStepMs) return
    this.#fail('S2', `${node.id} waited for a silent owner for ${ms} ms`)
  }

  /** I3: what was told to be committed is there after any crash, with its bytes. */
  async #checkCommits(node: SimNode): Promise<void> {
    const { life } = node
    for (const module of node.acknowledged.values()) {
      const name = `${node.id} ${formatModuleVersion(module)}`
      const zip = await life?.store.findZip(module)
      if (zip === undefined) return this.#fail('I3', `${name} was committed and is gone`)
      for await (const bytes of zip.read()) {
        const isTrue = Buffer.compare(bytes, this.#truth.find(module)?.zip ?? none) === 0
        if (!isTrue) this.#fail('I3', `${name} has other bytes`)
      }
    }
  }

  /** I4: every request has its one answer. */
  #checkAnswered(): void {
    for (const { answers, node, question } of this.#requests) {
      if (answers !== 1) this.#fail('I4', `${node.id} ${describe(question)}: ${answers} answers`)
    }
    for (const node of this.#nodes) {
      const { life } = node
      if (life === undefined) continue
      const asked = this.#requests.filter((each) => each.life === life && hasEvent(each.question))
      const told = this.#told.get(life) ?? 0
      if (told !== asked.length) {
        this.#fail('I4', `${node.id}: ${told} events for ${asked.length} requests`)
      }
    }
  }

  async #stopAll(): Promise<void> {
    for (const node of this.#nodes) {
      await this.#checkCommits(node)
      let isDone = false
      const stopping = this.#stop(node).then(() => {
        isDone = true
      })
      await this.#steps(() => isDone)
      if (this.#isStopped()) return
      if (!isDone) return this.#fail('I11', `${node.id} does not stop`)
      await stopping
    }
    if (this.#clock.pending > 0) this.#fail('I11', `${this.#clock.pending} timers at the end`)
  }

  /** I11: a node that has stopped leaves no timer and no staged zip; I9: offline it asked nobody. */
  async #stop(node: SimNode): Promise<void> {
    const life = await node.stop()
    if (life === undefined) return
    const { clock, store, upstream } = life
    if (clock.pending > 0) this.#fail('I11', `${node.id}: ${clock.pending} timers left`)
    if (store.staged > 0) this.#fail('I11', `${node.id}: ${store.staged} staged zips left`)
    if (!upstream.isEnabled() && upstream.asked > 0) {
      this.#fail('I9', `${node.id} asked upstream ${upstream.asked} times`)
    }
  }

  #fail(invariant: Invariant, detail: string): void {
    this.#trace(`FAIL ${invariant} ${detail}`)
    this.#failure ??= { invariant, event: this.#events, detail }
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1)
  }

  #trace(line: string): void {
    const stamp = Math.round(this.#clock.monotonicMs() * 1000)
    for (let i = 0; i < line.length; i++)
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 0x01000193)
    this.#hash = mix(this.#hash ^ stamp ^ this.#events)
    this.#options.onTrace?.(`${this.#events} ${(stamp / 1000).toFixed(3)}ms ${line}`)
  }
}

const none = new Uint8Array(0)

function hasEvent(question: Question): boolean {
  return question.kind !== 'sums'
}

function describe(question: Question): string {
  const what = 'module' in question ? formatModuleVersion(question.module) : question.path
  return `${question.kind} ${what}`
}

function nameOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}
