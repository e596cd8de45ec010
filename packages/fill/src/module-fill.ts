import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import { FillClosedError, ModuleNotFoundError, NoProofError } from './errors.ts'
import { asError, type FillComponents, FillContext, type FillInit } from './fill-context.ts'
import type { FillKind } from './fill-event.ts'
import { fillInfo, fillMod, fillSums } from './fill-metadata.ts'
import {
  branchQuestion,
  fillMutable,
  latestQuestion,
  listQuestion,
  type MutableQuestion,
} from './fill-mutable.ts'
import { fillZip } from './fill-zip.ts'
import { meshNegativeTtlMs } from './limits.ts'
import type { Answer, AskOptions, ModuleSource } from './module-source.ts'
import { RememberedAnswers } from './remembered-answers.ts'
import { abortable } from './scope.ts'
import { SingleFlight } from './single-flight.ts'
import type { HeldZip } from './zip-store.ts'

/** Answers every question about modules: from the store, else by a fill that equal requests share. */
export class ModuleFill implements ModuleSource, AsyncDisposable {
  readonly #ctx: FillContext
  readonly #ttl: { readonly foundMs: number; readonly notFoundMs: number }
  readonly #closing = new AbortController()
  readonly #zips = new SingleFlight<Answer<HeldZip>>()
  readonly #bodies = new SingleFlight<Answer<Uint8Array>>()
  readonly #sums = new SingleFlight<ProvenSums>()
  readonly #remembered = new RememberedAnswers()

  constructor(components: FillComponents, init: FillInit) {
    this.#ctx = new FillContext(components, init)
    this.#ttl = { foundMs: init.ttlMs, notFoundMs: init.negativeTtlMs }
  }

  async zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>> {
    const asked: Asked = { what: 'zip', path: module.path, version: module.version, options }
    return await this.#answer(asked, sizeOfZip, async () => {
      const held = await this.#ctx.store.findZip(module)
      if (held !== undefined) return { value: held, source: { kind: 'store' } }
      return await this.#join(this.#zips, asked, () => fillZip(this.#ctx, module, this.#closing))
    })
  }

  async mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#part('mod', module, options)
  }

  async info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    return await this.#part('info', module, options)
  }

  async list(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    const asked: Asked = { what: 'list', path, version: undefined, options }
    return await this.#mutable(asked, listQuestion(this.#ctx, path))
  }

  async latest(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    const asked: Asked = { what: 'latest', path, version: undefined, options }
    const info = async (module: ModuleVersion, askInfo: AskOptions) =>
      (await this.#findPart('info', module, askInfo)).value
    return await this.#mutable(asked, latestQuestion(this.#ctx, path, info))
  }

  async query(path: ModulePath, query: string, options: AskOptions): Promise<Answer<Uint8Array>> {
    const asked: Asked = { what: 'query', path, version: query, options }
    return await this.#mutable(asked, branchQuestion(this.#ctx, path, query))
  }

  /** Makes the hashes of a module version known and proven, from peers or the database. */
  async sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    this.#throwIfClosed()
    const known = await this.#ctx.checksumDb.known(module)
    if (known?.mod !== undefined) return known
    const name = formatModuleVersion(module)
    if (options.cachedOnly === true) throw notInStore(name)
    if (!this.#ctx.isProvable(module.path)) throw new NoProofError(module)
    return await this.#sums.join(name, () => fillSums(this.#ctx, module, this.#closing), options)
  }

  /** Aborts fills in flight; resolves when all of them have ended and nothing is left behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new FillClosedError())
    await Promise.all([this.#zips, this.#bodies, this.#sums].map((flights) => flights.settled()))
    await this.#ctx.settled()
  }

  async #part(
    what: 'mod' | 'info',
    module: ModuleVersion,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const asked: Asked = { what, path: module.path, version: module.version, options }
    return await this.#answer(asked, sizeOfBody, () => this.#findPart(what, module, options))
  }

  async #findPart(
    what: 'mod' | 'info',
    module: ModuleVersion,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const held = (await this.#ctx.findRecord(module))?.[what]
    if (held !== undefined) return { value: held.bytes, source: { kind: 'store' } }
    const asked: Asked = { what, path: module.path, version: module.version, options }
    const fill = what === 'mod' ? fillMod : fillInfo
    return await this.#join(this.#bodies, asked, () => fill(this.#ctx, module, this.#closing))
  }

  async #mutable(asked: Asked, question: MutableQuestion): Promise<Answer<Uint8Array>> {
    return await this.#answer(asked, sizeOfBody, async () => {
      const key = keyOf(asked)
      const fresh = this.#remembered.fresh(key, this.#ctx.clock.monotonicMs())
      if (fresh?.kind === 'found') return { value: fresh.bytes, source: fresh.source }
      if (asked.options.cachedOnly === true) return await this.#cachedOnly(key, asked, question)
      return await this.#join(this.#bodies, asked, () => this.#refresh(key, question))
    })
  }

  async #cachedOnly(
    key: string,
    asked: Asked,
    question: MutableQuestion,
  ): Promise<Answer<Uint8Array>> {
    const stale = this.#remembered.stale(key)
    const value = stale ?? (await question.fromHeld(asked.options))
    if (value === undefined) throw notInStore(question.name)
    return { value, source: { kind: 'held' } }
  }

  async #refresh(key: string, question: MutableQuestion): Promise<Answer<Uint8Array>> {
    const stale = this.#remembered.stale(key)
    const { signal } = this.#closing
    const answer = await fillMutable(this.#ctx, question, { signal, stale })
    const isUpstreams = answer.source.kind === 'upstream'
    // A dead upstream is not asked again for every request; without one there is nothing to spare.
    if (isUpstreams || this.#ctx.canAskUpstream(question.path)) {
      const lifeMs = isUpstreams ? this.#ttl.foundMs : this.#ttl.notFoundMs
      const source = isUpstreams ? ({ kind: 'store' } as const) : answer.source
      const wasUpstreams = isUpstreams || answer.value === stale
      const found = {
        kind: 'found',
        bytes: answer.value,
        source,
        isUpstreams: wasUpstreams,
      } as const
      this.#remembered.remember(key, found, this.#ctx.clock.monotonicMs() + lifeMs)
    }
    return answer
  }

  /** Joins the fill under way, unless it is known that there is nothing. */
  async #join<T>(flights: SingleFlight<T>, asked: Asked, fill: () => Promise<T>): Promise<T> {
    const key = keyOf(asked)
    if (asked.options.cachedOnly === true) throw notInStore(nameOf(asked))
    const remembered = this.#remembered.fresh(key, this.#ctx.clock.monotonicMs())
    if (remembered?.kind === 'not-found') throw remembered.error
    return await flights.join(key, () => this.#fly(key, asked.path, fill), asked.options)
  }

  async #fly<T>(key: string, path: ModulePath, fill: () => Promise<T>): Promise<T> {
    try {
      return await fill()
    } catch (error) {
      if (error instanceof ModuleNotFoundError) this.#rememberNothing(key, path, error)
      throw error
    }
  }

  #rememberNothing(key: string, path: ModulePath, error: ModuleNotFoundError): void {
    const { notFoundMs } = this.#ttl
    const isUpstreams = this.#ctx.canAskUpstream(path)
    // Nobody was asked: that costs nothing, and may change with the first peer.
    if (!isUpstreams && !this.#ctx.canAskPeers(path)) return
    const lifeMs = isUpstreams ? notFoundMs : Math.min(notFoundMs, meshNegativeTtlMs)
    const untilMs = this.#ctx.clock.monotonicMs() + lifeMs
    this.#remembered.remember(key, { kind: 'not-found', error }, untilMs)
  }

  /** Runs one request and tells how it ended. */
  async #answer<T>(
    asked: Asked,
    sizeOf: (value: T) => number,
    run: () => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    this.#throwIfClosed()
    const { what, path, version, options } = asked
    const startedMs = this.#ctx.clock.monotonicMs()
    const tookMs = () => this.#ctx.clock.monotonicMs() - startedMs
    try {
      const answer = await abortable(run(), options.signal)
      const bytes = sizeOf(answer.value)
      const { source } = answer
      this.#ctx.emit({ kind: 'answered', what, path, version, source, bytes, tookMs: tookMs() })
      return answer
    } catch (cause) {
      const error = asError(cause)
      this.#ctx.emit({ kind: 'failed', what, path, version, error, tookMs: tookMs() })
      throw error
    }
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new FillClosedError()
  }
}

/** One request. */
interface Asked {
  readonly what: FillKind
  readonly path: ModulePath
  /** The version or query; absent for lists and latest. */
  readonly version: string | undefined
  readonly options: AskOptions
}

/** Neither a path nor a version can hold a space. */
function keyOf(asked: Asked): string {
  return `${asked.what} ${asked.path} ${asked.version ?? ''}`
}

function nameOf(asked: Asked): string {
  return asked.version === undefined ? asked.path : `${asked.path}@${asked.version}`
}

function notInStore(name: string): ModuleNotFoundError {
  return new ModuleNotFoundError(`${name}: not in the store, and nobody else may be asked`)
}

function sizeOfZip(zip: HeldZip): number {
  return zip.size
}

function sizeOfBody(bytes: Uint8Array): number {
  return bytes.length
}
