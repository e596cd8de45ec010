import {
  compareVersions,
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
} from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import type { Source } from './fill-event.ts'
import {
  aheadAfterSteps,
  aheadAtOnce,
  aheadBytes,
  aheadStep,
  aheadZips,
  maxAheadPaths,
  maxBackStep,
  readAheadRestMs,
} from './limits.ts'
import type { Answer } from './module-source.ts'
import type { HeldZip } from './zip-store.ts'

/**
 * Brings zips before they are asked for, from members of the site that hold them. `go mod download` asks for a
 * project's zips in the order of their paths, as many at once as there are processors, and works on each while
 * nothing comes: so while zips are asked for in that order, the next ones of what go.mod files were asked for are
 * on their way. Zips that nobody asks for then soon end it.
 */
export class ReadAhead {
  readonly #ctx: FillContext
  readonly #bring: (module: ModuleVersion) => Promise<Answer<HeldZip> | undefined>
  /** The highest version of each path that a part was asked of. */
  readonly #versions = new Map<ModulePath, Version>()
  /** Their paths in order; undefined when it has to be made again. */
  #order: readonly ModulePath[] | undefined
  /** Where the last zip was in it, and where the last one brought ahead. */
  #at: ModulePath | undefined
  #ahead: ModulePath | undefined
  #stepsInOrder = 0
  /** Paths whose zip was asked for. */
  readonly #asked = new Set<ModulePath>()
  /** Brought or on their way, and not asked for yet: each with where it came from, once that is known. */
  readonly #unasked = new Map<string, Brought>()
  #isLooking = false
  #coming = 0
  #lastMs = -Infinity

  constructor(components: {
    readonly ctx: FillContext
    /** Asks no others than members of the site that hold it; undefined when they do not deliver. */
    readonly bring: (module: ModuleVersion) => Promise<Answer<HeldZip> | undefined>
  }) {
    this.#ctx = components.ctx
    this.#bring = components.bring
  }

  /** Notes that a go.mod or `.info` was asked for. */
  sawFile({ path, version }: ModuleVersion): void {
    this.#forgetOld()
    const known = this.#versions.get(path)
    if (known !== undefined && compareVersions(known, version) >= 0) return
    if (known === undefined) {
      if (this.#versions.size >= maxAheadPaths) this.#forget()
      this.#order = undefined
    }
    this.#versions.set(path, version)
  }

  /** Notes that a zip was asked for, and brings what may come next. Returns where it came from, if it was brought. */
  sawZip(module: ModuleVersion): Source | undefined {
    this.sawFile(module)
    const name = formatModuleVersion(module)
    const brought = this.#unasked.get(name)
    this.#unasked.delete(name)
    this.#asked.add(module.path)
    this.#step(module.path)
    return brought?.source
  }

  #step(path: ModulePath): void {
    this.#order ??= [...this.#versions.keys()].toSorted(byPath)
    const step =
      this.#at === undefined ? 1 : indexOf(this.#order, path) - indexOf(this.#order, this.#at)
    if (step > aheadStep || step < -maxBackStep) this.#stepsInOrder = 0
    else this.#stepsInOrder += 1
    if (step > 0 || this.#stepsInOrder === 0) this.#at = path
    this.#lookOn()
  }

  #lookOn(): void {
    const isDue = this.#stepsInOrder >= aheadAfterSteps && !this.#isLooking
    if (isDue && this.#order !== undefined) this.#ctx.background(this.#look(this.#order))
  }

  async #look(order: readonly ModulePath[]): Promise<void> {
    this.#isLooking = true
    try {
      const from = indexOf(order, this.#at)
      const start = Math.max(from, indexOf(order, this.#ahead))
      for (const path of order.slice(start + 1, from + 1 + aheadStep)) {
        if (this.#isEnough()) return
        this.#ahead = path
        const version = this.#versions.get(path)
        if (version === undefined || this.#asked.has(path)) continue
        if (!(await this.#isNear({ path, version })) || this.#asked.has(path)) continue
        this.#ctx.background(this.#bringOne({ path, version }))
      }
    } finally {
      this.#isLooking = false
    }
  }

  async #bringOne(module: ModuleVersion): Promise<void> {
    const name = formatModuleVersion(module)
    this.#unasked.set(name, { source: undefined, bytes: 0 })
    this.#coming += 1
    try {
      const answer = await this.#bring(module)
      if (answer === undefined) this.#unasked.delete(name)
      else if (this.#unasked.has(name)) {
        this.#unasked.set(name, { source: answer.source, bytes: answer.value.size })
      }
    } catch (error) {
      this.#unasked.delete(name)
      throw error
    } finally {
      this.#coming -= 1
      this.#lookOn()
    }
  }

  #isEnough(): boolean {
    if (this.#coming >= aheadAtOnce || this.#unasked.size >= aheadZips) return true
    return [...this.#unasked.values()].reduce((sum, { bytes }) => sum + bytes, 0) >= aheadBytes
  }

  /** Whether we lack it, and a member of the site says it has what is proven to be its content. */
  async #isNear(module: ModuleVersion): Promise<boolean> {
    if (!this.#ctx.canAskPeers(module.path)) return false
    const zipHash = (await this.#ctx.checksumDb.known(module))?.zip
    if (zipHash === undefined) return false
    if ((await this.#ctx.held.findZip(module)) !== undefined) return false
    return this.#ctx.peers.holders(zipHash).some(({ far }) => far === undefined)
  }

  #forgetOld(): void {
    const nowMs = this.#ctx.clock.monotonicMs()
    if (nowMs - this.#lastMs > readAheadRestMs) this.#forget()
    this.#lastMs = nowMs
  }

  #forget(): void {
    this.#versions.clear()
    this.#order = undefined
    this.#at = undefined
    this.#ahead = undefined
    this.#stepsInOrder = 0
    this.#unasked.clear()
    this.#asked.clear()
  }
}

/** A zip that nobody has asked for yet; the source is known when it is there. */
interface Brought {
  readonly source: Source | undefined
  readonly bytes: number
}

/** In byte order, as `go` sorts them. */
function byPath(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Where a path is, or would be. */
function indexOf(order: readonly ModulePath[], path: ModulePath | undefined): number {
  if (path === undefined) return -1
  let [low, high] = [0, order.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((order[middle] ?? path) < path) low = middle + 1
    else high = middle
  }
  return low
}
