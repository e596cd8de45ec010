import {
  formatModuleVersion,
  InvalidFileError,
  isPseudoVersion,
  type ModuleVersion,
  parseVersionInfo,
  pseudoVersionTime,
  rfc3339Seconds,
} from '@modmesh/module'
import { BoundedMap } from '../bounded-map.ts'
import type { Clock } from '../clock.ts'
import {
  FillClosedError,
  ModuleNotFoundError,
  OfflineError,
  UpstreamUnavailableError,
} from '../errors.ts'
import type { AskOptions, ModuleSource } from '../module-source.ts'
import { handled, type Scope } from '../scope.ts'
import { SingleFlight } from '../single-flight.ts'
import { withTimeLimit } from '../time-limit.ts'
import type { Upstream } from '../upstream.ts'
import type { ZipStore } from '../zip-store.ts'
import { maxKnownTimes } from './policy-limits.ts'

/** Since when a version exists, as far as this node may believe it. */
export interface VersionTime {
  /** Since 1970. */
  readonly ms: number
  readonly from: 'upstream' | 'first-seen'
}

/** When this node first saw a module version that nobody who is believed has a time for. */
export interface FirstSeen {
  /** The time noted before, else `nowMs`, which is noted; durable when it resolves. Since 1970, ms. */
  see(module: ModuleVersion, nowMs: number): Promise<number>
}

export interface VersionTimesComponents {
  readonly source: Pick<ModuleSource, 'sums'>
  readonly store: Pick<ZipStore, 'findRecord' | 'findZip' | 'putRecord'>
  readonly upstream: Pick<Upstream, 'fetchInfo' | 'isEnabled'>
  readonly firstSeen: FirstSeen
  readonly clock: Clock
}

/**
 * Tells how old versions are. A time counts from upstream, from the name of a pseudo-version, or from when this node first
 * saw the proven record; never from a peer, who could make a new version look old (design, section 1).
 */
export class VersionTimes implements AsyncDisposable {
  readonly #closing = new AbortController()
  readonly #parts: VersionTimesComponents
  readonly #init: { readonly fetchTimeoutMs: number }
  readonly #flights = new SingleFlight<VersionTime>()
  readonly #known = new BoundedMap<VersionTime>(maxKnownTimes)

  constructor(components: VersionTimesComponents, init: { readonly fetchTimeoutMs: number }) {
    this.#parts = components
    this.#init = init
  }

  /** The time of a version. Throws what kept it from being known: not found, or upstream's trouble. */
  async find(module: ModuleVersion, options: AskOptions): Promise<VersionTime> {
    const named = isPseudoVersion(module.version) && readTime(pseudoVersionTime(module.version))
    if (typeof named === 'number') return { ms: named, from: 'upstream' }
    const key = formatModuleVersion(module)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const flightKey = options.cachedOnly === true ? `cached ${key}` : key
    const find = () => this.#find(module, options.cachedOnly === true)
    const time = await this.#flights.join(flightKey, find, options)
    // A time of first sight gives way to upstream's as soon as that can be asked.
    if (time.from === 'upstream') this.#known.set(key, time)
    return time
  }

  /** Ends what is being asked. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new FillClosedError())
    await this.#flights.settled()
  }

  async #find(module: ModuleVersion, cachedOnly: boolean): Promise<VersionTime> {
    const held = (await this.#parts.store.findRecord(module))?.info
    const ms = held?.from === 'upstream' ? timeOf(held.bytes) : undefined
    if (ms !== undefined) return { ms, from: 'upstream' }
    try {
      const asked = cachedOnly ? undefined : await this.#askUpstream(module)
      if (asked !== undefined) return { ms: asked, from: 'upstream' }
    } catch (error) {
      if (!isNoAnswer(error)) throw error
      return await this.#firstSight(module, cachedOnly, error)
    }
    return await this.#firstSight(module, cachedOnly, absent(module))
  }

  /** Upstream's time, or undefined where it gives none or may not be asked. */
  async #askUpstream(module: ModuleVersion): Promise<number | undefined> {
    const { upstream, store } = this.#parts
    if (!upstream.isEnabled(module.path)) return undefined
    const { bytes } = await this.#within(({ signal }) => upstream.fetchInfo(module, { signal }))
    const info = readInfo(bytes)
    if (info === undefined || info.version !== module.version) return undefined
    await store.putRecord({ module, info: { bytes, from: 'upstream' } }).catch(() => {
      // It is known all the same, and asked for again after a restart.
    })
    return info.ms
  }

  /** Counts from when the version was first seen here. Only a proven one is: else anybody could ask for it early. */
  async #firstSight(module: ModuleVersion, cachedOnly: boolean, why: Error): Promise<VersionTime> {
    if (!(await this.#isProven(module, cachedOnly))) throw why
    const { firstSeen, clock } = this.#parts
    return { ms: await firstSeen.see(module, clock.wallMs()), from: 'first-seen' }
  }

  async #isProven(module: ModuleVersion, cachedOnly: boolean): Promise<boolean> {
    const { store, source } = this.#parts
    if ((await store.findZip(module)) !== undefined) return true
    if ((await store.findRecord(module))?.mod !== undefined) return true
    try {
      await this.#within(({ signal }) => source.sums(module, { signal, cachedOnly }))
      return true
    } catch {
      // Whatever the reason: it is not known to exist.
      return false
    }
  }

  async #within<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
    const limit = { ms: this.#init.fetchTimeoutMs, signal: this.#closing.signal }
    const background = (task: Promise<unknown>) => void handled(task)
    return await withTimeLimit(this.#parts.clock, { ...limit, background }, work)
  }
}

function isNoAnswer(error: unknown): error is Error {
  return (
    error instanceof ModuleNotFoundError ||
    error instanceof UpstreamUnavailableError ||
    error instanceof OfflineError
  )
}

function absent(module: ModuleVersion): ModuleNotFoundError {
  return new ModuleNotFoundError(
    `${formatModuleVersion(module)}: not held here, and its age is not known`,
  )
}

function timeOf(bytes: Uint8Array): number | undefined {
  return readInfo(bytes)?.ms
}

function readInfo(
  bytes: Uint8Array,
): { readonly version: string; readonly ms: number | undefined } | undefined {
  try {
    const { version, time } = parseVersionInfo(bytes)
    return { version, ms: time === undefined ? undefined : readTime(time) }
  } catch (error) {
    if (error instanceof InvalidFileError) return undefined
    throw error
  }
}

/** A time at or before 1970 is what servers write that know none (Go's zero time is in the year 1). */
function readTime(text: string): number | undefined {
  const seconds = rfc3339Seconds(text)
  return seconds === undefined || seconds <= 0 ? undefined : seconds * 1_000
}
