import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import type { Source } from './fill-event.ts'
import {
  aheadAfterSteps,
  farAheadAtOnce,
  farAheadRestMs,
  maxAheadPaths,
  maxBackStep,
  readAheadRestMs,
} from './limits.ts'
import type { Answer } from './module-source.ts'
import type { HeldZip } from './zip-store.ts'

/**
 * Asks other sites for zips a little before `go` does. `go mod download` asks for the `.info` of each module
 * whose zip it wants, then for the zips in the order of their paths, as many at once as there are processors:
 * too few to fill a link with a long round trip. So while zips are asked for in that order, the next ones are
 * asked for, too, as if `go` had; what it does not want it asks no `.info` of. It asks for direct requirements
 * first, and for the others in a second row. Not over metered links.
 */
export class FarAhead {
  readonly #ctx: FillContext
  readonly #bring: (module: ModuleVersion) => Promise<Answer<HeldZip>>
  /** Whose `.info` was asked for, by path. */
  readonly #wanted = new Map<ModulePath, ModuleVersion>()
  /** Their paths in order; undefined when it has to be made again. */
  #order: readonly ModulePath[] | undefined
  /** Where the last zip was in it. */
  #at = -1
  #stepsInOrder = 0
  /** Paths whose zip was asked for, by `go` or by us. */
  readonly #begun = new Set<ModulePath>()
  /** Brought or on their way, and not asked for yet: each with where it came from, once that is known. */
  readonly #unasked = new Map<string, Source | undefined>()
  #isLooking = false
  #coming = 0
  #lastZipMs = -Infinity
  #lastInfoMs = -Infinity

  constructor(components: {
    readonly ctx: FillContext
    /** Finds a zip as for any request. */
    readonly bring: (module: ModuleVersion) => Promise<Answer<HeldZip>>
  }) {
    this.#ctx = components.ctx
    this.#bring = components.bring
  }

  /** Notes that an `.info` was asked for. */
  sawInfo(module: ModuleVersion): void {
    const nowMs = this.#ctx.clock.monotonicMs()
    // While zips come no .info is asked for: so a rest before one is the end of a row.
    if (nowMs - this.#lastInfoMs > readAheadRestMs || this.#wanted.size >= maxAheadPaths) {
      this.#forget()
    }
    this.#lastInfoMs = nowMs
    this.#wanted.set(module.path, module)
    this.#order = undefined
  }

  /** Notes that a zip was asked for, and asks for the next ones. Returns where it came from, if it was brought. */
  sawZip(module: ModuleVersion): Source | undefined {
    const name = formatModuleVersion(module)
    const source = this.#unasked.get(name)
    this.#unasked.delete(name)
    if (this.#wanted.get(module.path)?.version !== module.version) return source
    this.#begun.add(module.path)
    this.#lastZipMs = this.#ctx.clock.monotonicMs()
    this.#step(module.path)
    return source
  }

  #step(path: ModulePath): void {
    if (this.#order === undefined) {
      this.#order = [...this.#wanted.keys()].toSorted(byPath)
      this.#at = -1
      this.#stepsInOrder = 0
    }
    const at = this.#order.indexOf(path)
    const step = at - this.#at
    const isInOrder = this.#at < 0 || Math.abs(step) <= maxBackStep
    this.#stepsInOrder = isInOrder ? this.#stepsInOrder + 1 : 0
    if (step > 0 || !isInOrder) this.#at = at
    this.#lookOn()
  }

  #lookOn(): void {
    if (this.#stepsInOrder < aheadAfterSteps || this.#isLooking || this.#order === undefined) return
    if (this.#ctx.clock.monotonicMs() - this.#lastZipMs > farAheadRestMs) return
    this.#ctx.background(this.#look(this.#order.slice(this.#at + 1)))
  }

  async #look(next: readonly ModulePath[]): Promise<void> {
    this.#isLooking = true
    try {
      for (const path of next) {
        if (this.#coming >= farAheadAtOnce) return
        const module = this.#wanted.get(path)
        if (module === undefined || this.#begun.has(path)) continue
        if (!(await this.#isFar(module)) || this.#begun.has(path)) continue
        this.#begun.add(path)
        this.#ctx.background(this.#bringOne(module))
      }
    } finally {
      this.#isLooking = false
    }
  }

  async #bringOne(module: ModuleVersion): Promise<void> {
    const name = formatModuleVersion(module)
    this.#unasked.set(name, undefined)
    this.#coming += 1
    try {
      const { source } = await this.#bring(module)
      if (this.#unasked.has(name)) this.#unasked.set(name, source)
    } catch (error) {
      this.#unasked.delete(name)
      throw error
    } finally {
      this.#coming -= 1
      this.#lookOn()
    }
  }

  /** Whether we lack it, and nobody but members of other sites says it has what is proven to be its content. */
  async #isFar(module: ModuleVersion): Promise<boolean> {
    if (!this.#ctx.canAskPeers(module.path)) return false
    const zipHash = (await this.#ctx.checksumDb.known(module))?.zip
    if (zipHash === undefined) return false
    if ((await this.#ctx.held.findZip(module)) !== undefined) return false
    const holders = this.#ctx.peers.holders(zipHash)
    return holders.length > 0 && holders.every(({ far }) => far !== undefined && !far.isMetered)
  }

  #forget(): void {
    this.#wanted.clear()
    this.#begun.clear()
    this.#unasked.clear()
    this.#stepsInOrder = 0
  }
}

/** In byte order, as `go` sorts them. */
function byPath(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
