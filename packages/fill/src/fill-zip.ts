import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { Budgets } from './budgets.ts'
import { Changes } from './changes.ts'
import { commitZip } from './commit-zip.ts'
import type { CutZips } from './cut-zips.ts'
import { UpstreamUnavailableError } from './errors.ts'
import { ExpectedHash, type ExpectedHashInit } from './expected-hash.ts'
import type { FillContext } from './fill-context.ts'
import { fillUnprovable } from './fill-unprovable.ts'
import type { Answer } from './module-source.ts'
import { notHere } from './not-found.ts'
import type { PeerId } from './peers.ts'
import type { Proof } from './proof.ts'
import { AllFailedError } from './race.ts'
import { runFill } from './run-fill.ts'
import { noLongerNeeded, Scope } from './scope.ts'
import { whyNoPeers, whyRaceAsksUpstream } from './why-upstream.ts'
import { type Move, nextMove, type RaceView } from './zip-race.ts'
import type { Reach } from './zip-reach.ts'
import { ZipSources } from './zip-sources.ts'
import type { HeldZip } from './zip-store.ts'
import type { VerifiedZip } from './zip-transfer.ts'

/** Answers a request for a zip (design, section 4). Goes on with what was `left` of it, where there is something. */
export async function fillZip(
  ctx: FillContext,
  module: ModuleVersion,
  left?: CutZips,
): Promise<Answer<HeldZip>> {
  const held = await ctx.held.findZip(module)
  if (held !== undefined) return { value: held, source: { kind: 'store' } }
  if (!ctx.canAskAnybody(module.path)) throw notHere(formatModuleVersion(module))
  return await runFill(ctx, module, async (scope) => {
    return ctx.isProvable(module.path)
      ? await new ZipFill(ctx, module, scope, { reach: { kind: 'anybody' }, left }).run()
      : await fillUnprovable(ctx, module, scope)
  })
}

/**
 * Brings a zip through the peer that asks upstream for our site: from holders by inventory, else from
 * the owner. Undefined when nothing came of it; then what was cut is `left`. Throws only when the scope ends.
 */
export async function relayZip(
  ctx: FillContext,
  module: ModuleVersion,
  owner: PeerId,
  scope: Scope,
  left: CutZips,
): Promise<Answer<HeldZip> | undefined> {
  return await tryZip(ctx, module, scope, { reach: { kind: 'owner', owner }, left })
}

/**
 * Brings a zip that nobody has asked for from members of our site that are known to hold it, and from nobody
 * else. Undefined when nothing came of it. Throws only when the scope ends.
 */
export async function bringZip(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
): Promise<Answer<HeldZip> | undefined> {
  return await tryZip(ctx, module, scope, { reach: { kind: 'near' } })
}

async function tryZip(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
  init: ZipFillInit,
): Promise<Answer<HeldZip> | undefined> {
  const held = await ctx.held.findZip(module)
  if (held !== undefined) return { value: held, source: { kind: 'store' } }
  try {
    return await new ZipFill(ctx, module, scope, init).run()
  } catch {
    // Whatever it was: what is done without them tells the reason.
    scope.signal.throwIfAborted()
    return undefined
  }
}

interface ZipFillInit {
  readonly reach: Reach
  readonly left?: CutZips | undefined
}

/** One miss: looks for the hash and for the bytes at once, and decides whom to ask next. */
class ZipFill {
  readonly #ctx: FillContext
  readonly #module: ModuleVersion
  readonly #reach: Reach
  readonly #work: Scope
  readonly #startedMs: number
  readonly #expected: ExpectedHash
  readonly #sources: ZipSources
  readonly #errors: unknown[] = []
  readonly #changes = new Changes()

  constructor(ctx: FillContext, module: ModuleVersion, scope: Scope, init: ZipFillInit) {
    const { reach, left } = init
    this.#ctx = ctx
    this.#module = module
    this.#reach = reach
    this.#work = new Scope(scope.signal)
    this.#startedMs = ctx.clock.monotonicMs()
    const onError = (error: unknown) => void this.#errors.push(error)
    const shared = { module, reach, left, onError, onChange: this.#changes.tell }
    const onFound: ExpectedHashInit['onFound'] = (...found) => this.#sources.open(...found)
    this.#expected = new ExpectedHash(ctx, this.#work, { ...shared, onFound })
    const { zipHash } = this.#expected
    this.#sources = new ZipSources(ctx, this.#work, { ...shared, zipHash })
  }

  async run(): Promise<Answer<HeldZip>> {
    if (this.#reach.kind === 'owner') return await this.#bring()
    const forget = this.#sources.show()
    try {
      return await this.#bring()
    } finally {
      forget()
    }
  }

  async #bring(): Promise<Answer<HeldZip>> {
    const { verified, proof } = await this.#race()
    return await commitZip(this.#ctx, verified, proof, (zip) => this.#sources.showWhole(zip))
  }

  async #race(): Promise<{ readonly verified: VerifiedZip; readonly proof: Proof }> {
    this.#work.signal.addEventListener('abort', this.#changes.tell, { once: true })
    const sums = this.#work.start(() => this.#expected.find())
    try {
      for (;;) {
        const { verified } = this.#sources
        if (verified !== undefined) return { verified, proof: (await sums).proof }
        this.#work.signal.throwIfAborted()
        await this.#move(nextMove(this.#view(), this.#budgets))
      }
    } finally {
      this.#sources.end()
      this.#ctx.background(this.#work.close())
    }
  }

  async #move(move: Move): Promise<void> {
    switch (move.kind) {
      case 'ask-holder':
        return this.#sources.askHolder()
      case 'ask-far-holder':
        return this.#sources.askFarHolder()
      case 'add-source':
        return this.#sources.addSource()
      case 'search-holders':
        return this.#sources.searchHolders()
      case 'ask-owner':
        return this.#askOwner()
      case 'ask-remote':
        return this.#sources.askRemote()
      case 'ask-upstream':
        return this.#askUpstream()
      case 'give-up':
        return this.#giveUp()
      case 'wait':
        return await this.#news(move.ms)
    }
  }

  get #budgets(): Budgets {
    const { budgets, headStartMs } = this.#ctx
    return { ...budgets, headStartMs: Math.max(budgets.headStartMs, headStartMs) }
  }

  /** Holders had their chance: who is asked then is the owner, if anybody. */
  #askOwner(): void {
    if (this.#reach.kind === 'owner') this.#sources.askOwner(this.#reach.owner)
    else this.#giveUp()
  }

  #giveUp(): never {
    throw new AllFailedError([...this.#errors, ...this.#silence()])
  }

  #askUpstream(): void {
    const module = this.#module
    const why = whyNoPeers(this.#ctx, module.path) ?? whyRaceAsksUpstream(this.#view())
    this.#ctx.emit({ kind: 'upstream-chosen', what: 'zip', module, why })
    this.#sources.askUpstream()
  }

  /** Peers that have not answered may have it: that is trouble of ours, and never "nobody has it". */
  #silence(): Error[] {
    if (this.#view().holderSearch !== 'running') return []
    const name = formatModuleVersion(this.#module)
    const message = `${name}: peers have not answered within ${this.#ctx.budgets.meshOnlyMs} ms`
    return [new UpstreamUnavailableError(message, { timedOut: true })]
  }

  #view(): RaceView {
    const nowMs = this.#ctx.clock.monotonicMs()
    const times = { nowMs, startedMs: this.#startedMs }
    return { ...times, ...this.#expected.view(), ...this.#sources.view() }
  }

  /** Resolves when something happened, or after `ms`. */
  async #news(ms: number | undefined): Promise<void> {
    const timer = new AbortController()
    const waits: Promise<void>[] = [this.#changes.next]
    if (ms !== undefined) waits.push(this.#ctx.clock.sleep(ms, { signal: timer.signal }))
    await Promise.race(waits)
    timer.abort(noLongerNeeded)
  }
}
