import type { HeldZip } from '@modmesh/fill'
import { compareVersions, formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { ListedZip, ZipRecord } from '@modmesh/store'

/** A module version whose zip is held, and since when. */
export interface CatalogueEntry {
  readonly module: ModuleVersion
  /** When it was admitted, microseconds since 1970; no two entries share one. */
  readonly admittedUs: number
}

/** What a catalogue is made from. */
export interface CatalogueComponents {
  readonly store: {
    list(): Iterable<Pick<ListedZip, 'module' | 'committedMs'>>
    onCommitted(listener: (zip: HeldZip) => void): () => void
    onRemoved(listener: (zip: ZipRecord) => void): () => void
  }
  readonly clock: { wallMs(): number }
}

/** What became of a module version since it was last looked at. */
interface Change {
  readonly module: ModuleVersion
  /** Undefined when it is gone. */
  readonly admittedUs: number | undefined
}

/** Changes kept while nobody asks: with more, the whole is read anew instead. */
const maxChanges = 1_000

/** A clock that was set back by less than this is not followed: who reads by time would miss what comes now. */
const maxStepBackUs = 3_600_000_000

/**
 * What is held, in order of time and of name. Read from the store when first asked for, then kept up to date by
 * what the store tells: some 100 bytes for each zip, and nothing where nobody asks.
 */
export class Catalogue {
  readonly #store: CatalogueComponents['store']
  readonly #clock: CatalogueComponents['clock']
  readonly #changes = new Map<string, Change>()
  #byTime: CatalogueEntry[] = []
  #byName: CatalogueEntry[] = []
  #lastUs = 0
  #unsubscribe: (() => void) | undefined

  constructor({ store, clock }: CatalogueComponents) {
    this.#store = store
    this.#clock = clock
  }

  /** Entries admitted at or after a time, the oldest first. */
  since(admittedUs: number, limit: number): readonly CatalogueEntry[] {
    this.#refresh()
    const start = indexOfTime(this.#byTime, admittedUs)
    return this.#byTime.slice(start, start + limit)
  }

  /** Entries behind a module version in the order of names, or from the first one. */
  after(module: ModuleVersion | undefined, limit: number): readonly CatalogueEntry[] {
    this.#refresh()
    const start =
      module === undefined
        ? 0
        : firstNotBefore(this.#byName, (entry) => compareNames(entry.module, module) || -1)
    return this.#byName.slice(start, start + limit)
  }

  #refresh(): void {
    if (this.#unsubscribe === undefined) this.#load()
    else if (this.#changes.size > 0) this.#apply()
  }

  #load(): void {
    const entries = Array.from(this.#store.list(), ({ module, committedMs }) => ({
      module,
      admittedUs: Math.round(committedMs * 1_000),
    }))
    this.#byName = entries.toSorted((a, b) => compareNames(a.module, b.module))
    // Stable: of one time they stay in the order of names.
    this.#byTime = spread(this.#byName.toSorted((a, b) => a.admittedUs - b.admittedUs))
    this.#lastUs = this.#byTime.at(-1)?.admittedUs ?? 0
    const stops = [
      this.#store.onCommitted(({ module }) => {
        const nowUs = Math.round(this.#clock.wallMs() * 1_000)
        this.#note({ module, admittedUs: this.#admit(nowUs) })
      }),
      this.#store.onRemoved(({ module }) => this.#note({ module, admittedUs: undefined })),
    ]
    this.#unsubscribe = () => {
      for (const stop of stops) stop()
    }
  }

  #unload(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#changes.clear()
    this.#byTime = []
    this.#byName = []
  }

  #note(change: Change): void {
    this.#changes.set(formatModuleVersion(change.module), change)
    if (this.#changes.size > maxChanges) this.#unload()
  }

  /** Later than all before it, where the clock says nothing else. */
  #admit(nowUs: number): number {
    const isBehind = nowUs <= this.#lastUs && this.#lastUs - nowUs < maxStepBackUs
    this.#lastUs = isBehind ? this.#lastUs + 1 : nowUs
    return this.#lastUs
  }

  #apply(): void {
    for (const { module, admittedUs } of this.#changes.values()) {
      this.#remove(module)
      if (admittedUs !== undefined) this.#insert({ module, admittedUs })
    }
    this.#changes.clear()
  }

  #remove(module: ModuleVersion): void {
    const at = firstNotBefore(this.#byName, (entry) => compareNames(entry.module, module))
    const found = this.#byName[at]
    if (found === undefined || compareNames(found.module, module) !== 0) return
    this.#byName.splice(at, 1)
    this.#byTime.splice(indexOfTime(this.#byTime, found.admittedUs), 1)
  }

  #insert(entry: Mutable): void {
    let at = indexOfTime(this.#byTime, entry.admittedUs)
    for (; this.#byTime[at]?.admittedUs === entry.admittedUs; at++) entry.admittedUs++
    this.#byTime.splice(at, 0, entry)
    const { module } = entry
    const place = firstNotBefore(this.#byName, (other) => compareNames(other.module, module))
    this.#byName.splice(place, 0, entry)
  }
}

function indexOfTime(entries: readonly CatalogueEntry[], admittedUs: number): number {
  return firstNotBefore(entries, (entry) => entry.admittedUs - admittedUs)
}

/** By path, then as versions are ordered; versions that differ in their build only, as text. */
function compareNames(a: ModuleVersion, b: ModuleVersion): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1
  if (a.version === b.version) return 0
  return compareVersions(a.version, b.version) || (a.version < b.version ? -1 : 1)
}

/** Moves equal times apart, so that a reader can go on behind any of them. Changes the entries in place. */
function spread(entries: Mutable[]): Mutable[] {
  let last = Number.NEGATIVE_INFINITY
  for (const entry of entries) {
    if (entry.admittedUs <= last) entry.admittedUs = last + 1
    last = entry.admittedUs
  }
  return entries
}

type Mutable = { -readonly [K in keyof CatalogueEntry]: CatalogueEntry[K] }

/** The index of the first entry that `compare` does not put below 0, in a list where those come first. */
function firstNotBefore(
  entries: readonly CatalogueEntry[],
  compare: (entry: CatalogueEntry) => number,
): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle]
    if (entry !== undefined && compare(entry) < 0) low = middle + 1
    else high = middle
  }
  return low
}
