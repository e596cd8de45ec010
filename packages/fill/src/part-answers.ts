import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import { CutZips } from './cut-zips.ts'
import { ModuleNotFoundError, NoProofError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { Source } from './fill-event.ts'
import { fillFile, fillSums } from './fill-metadata.ts'
import { keyOf, nameOf, type PartRequest } from './fill-request.ts'
import { bringZip, fillZip, relayZip } from './fill-zip.ts'
import { maxHotPartBytes, maxHotParts } from './limits.ts'
import { MemoryLevel } from './memory-level.ts'
import type { Answer, AskOptions } from './module-source.ts'
import type { NegativeAnswers } from './negative-answers.ts'
import { notInStore } from './not-found.ts'
import { OwnerFlight, type Ways } from './owner-flight.ts'
import { relayPart, relaySums } from './relay.ts'
import { SingleFlight } from './single-flight.ts'
import type { HeldZip } from './zip-store.ts'

/**
 * The parts of module versions, which never change: from memory and the store, else by a fill that equal
 * requests share.
 */
export class PartAnswers {
  readonly #ctx: FillContext
  readonly #negatives: NegativeAnswers
  readonly #zips: OwnerFlight<Answer<HeldZip>>
  /** Zips on their way that nobody had asked for. */
  readonly #ahead = new SingleFlight<Answer<HeldZip> | undefined>()
  readonly #files: OwnerFlight<Answer<Uint8Array>>
  readonly #sums: OwnerFlight<ProvenSums>
  readonly #hot = new MemoryLevel<Uint8Array>({ entries: maxHotParts, bytes: maxHotPartBytes })

  constructor(components: { readonly ctx: FillContext; readonly negatives: NegativeAnswers }) {
    const { ctx, negatives } = components
    this.#ctx = ctx
    this.#negatives = negatives
    this.#zips = new OwnerFlight(ctx)
    this.#files = new OwnerFlight(ctx)
    this.#sums = new OwnerFlight(ctx)
  }

  /** A go.mod or `.info` that memory can answer with at once. */
  now(key: string): Answer<Uint8Array> | undefined {
    const value = this.#hot.get(key)
    return value && { value, source: fromMemory }
  }

  /** Finds a zip. Throws what `explainFailure` makes of all that went wrong. */
  async zip(asked: PartRequest<'zip'>): Promise<Answer<HeldZip>> {
    const { module } = asked
    const held = await this.#ctx.held.findZip(module)
    if (held !== undefined) return { value: held, source: { kind: 'store' } }
    const brought = await this.#joinAhead(asked)
    if (brought !== undefined) return brought
    const left = new CutZips(this.#ctx)
    return await this.#join(this.#zips, asked, {
      relay: (owner, scope) => relayZip(this.#ctx, module, owner, scope, left),
      direct: () => fillZip(this.#ctx, module, left),
      end: () => left.end(),
    })
  }

  /**
   * Brings a zip before it is asked for, from members of our site that are known to hold it; who asks for it
   * meanwhile waits with us. Undefined when nothing came of it, or it is on its way already.
   */
  async zipAhead(module: ModuleVersion): Promise<Answer<HeldZip> | undefined> {
    const key = keyOf({ what: 'zip', ...module })
    if (this.#zips.has(key)) return undefined
    const { closing } = this.#ctx
    return await this.#ahead.join(key, () => this.#bring(module), { signal: closing })
  }

  /** Finds a go.mod or `.info`. Throws as `zip` does. */
  async file(asked: PartRequest<'mod' | 'info'>): Promise<Answer<Uint8Array>> {
    const key = keyOf(asked)
    const hot = this.now(key)
    if (hot !== undefined) return hot
    const answer = await this.#findFile(asked)
    this.#hot.set(key, answer.value, answer.value.length)
    return answer
  }

  /** Makes the hashes of a module version known and proven, from peers or the database. */
  async sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    const known = await this.#ctx.checksumDb.known(module)
    if (known?.mod !== undefined) return known
    const name = formatModuleVersion(module)
    if (options.cachedOnly === true) throw notInStore(name)
    if (!this.#ctx.isProvable(module.path)) throw new NoProofError(module)
    const ways: Ways<ProvenSums> = {
      relay: (owner, scope) => relaySums(this.#ctx, module, 'mod', owner, scope),
      direct: () => fillSums(this.#ctx, module),
    }
    return await this.#sums.join({ ...module, key: name, name }, ways, options)
  }

  /** Drops what memory holds of a module version. */
  forget(module: ModuleVersion): void {
    for (const what of ['mod', 'info'] as const) this.#hot.delete(keyOf({ what, ...module }))
  }

  /** Resolves when no fill is under way. */
  async settled(): Promise<void> {
    const flights = [this.#zips, this.#ahead, this.#files, this.#sums]
    await Promise.all(flights.map((each) => each.settled()))
  }

  async #bring(module: ModuleVersion): Promise<Answer<HeldZip> | undefined> {
    const name = formatModuleVersion(module)
    try {
      return await this.#ctx.withDeadline(name, (scope) => bringZip(this.#ctx, module, scope))
    } catch {
      // It took too long, for nobody or for those who have waited a moment only: they have their own time.
      this.#ctx.closing.throwIfAborted()
      return undefined
    }
  }

  /** What is being brought already; undefined when nothing is, or nothing came of it. */
  async #joinAhead({ module, options }: PartRequest): Promise<Answer<HeldZip> | undefined> {
    const key = keyOf({ what: 'zip', ...module })
    if (options.cachedOnly === true || !this.#ahead.has(key)) return undefined
    return await this.#ahead.join(key, async () => undefined, options)
  }

  async #findFile(asked: PartRequest<'mod' | 'info'>): Promise<Answer<Uint8Array>> {
    const { what, module } = asked
    const held = (await this.#ctx.held.findRecord(module))?.[what]
    if (held !== undefined) return { value: held.bytes, source: { kind: 'store' } }
    return await this.#join(this.#files, asked, {
      relay: (owner, scope) => relayPart(this.#ctx, module, what, owner, scope),
      direct: () => fillFile(this.#ctx, module, what),
    })
  }

  /** Joins the fill under way, unless it is known that there is nothing. */
  async #join<T>(flights: OwnerFlight<T>, asked: PartRequest, ways: Ways<T>): Promise<T> {
    const { module, options } = asked
    const key = keyOf(asked)
    const name = nameOf(asked)
    if (options.cachedOnly === true) throw notInStore(name)
    const nothing = this.#negatives.find(key)
    if (nothing !== undefined) throw nothing
    const direct = () => this.#remembering(key, module, ways.direct)
    return await flights.join({ ...module, key, name }, { ...ways, direct }, options)
  }

  /** Remembers for the next request where nobody has it. */
  async #remembering<T>(key: string, { path }: ModuleVersion, fill: () => Promise<T>): Promise<T> {
    try {
      return await fill()
    } catch (error) {
      if (error instanceof ModuleNotFoundError) this.#negatives.remember(key, path, error)
      throw error
    }
  }
}

const fromMemory: Source = { kind: 'store', level: 'memory' }
