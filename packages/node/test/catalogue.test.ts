import type { HeldZip } from '@modmesh/fill'
import { FakeClock } from '@modmesh/fill/twins'
import { formatModuleVersion, type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import type { ZipRecord } from '@modmesh/store'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Catalogue, type CatalogueEntry } from '../src/catalogue.ts'

const hourMs = 3_600_000

/** What a catalogue asks of a store, over a list that a test writes. */
class ListedStore {
  readonly held = new Map<
    string,
    { readonly module: ModuleVersion; readonly committedMs: number }
  >()
  readonly #added = new Set<(zip: HeldZip) => void>()
  readonly #removed = new Set<(zip: ZipRecord) => void>()
  reads = 0

  list(): Iterable<{ readonly module: ModuleVersion; readonly committedMs: number }> {
    this.reads++
    return this.held.values()
  }

  onCommitted(listener: (zip: HeldZip) => void): () => void {
    this.#added.add(listener)
    return () => this.#added.delete(listener)
  }

  onRemoved(listener: (zip: ZipRecord) => void): () => void {
    this.#removed.add(listener)
    return () => this.#removed.delete(listener)
  }

  get listeners(): number {
    return this.#added.size + this.#removed.size
  }

  add(module: ModuleVersion, committedMs: number): void {
    this.held.set(formatModuleVersion(module), { module, committedMs })
    for (const listener of this.#added) listener({ module } as HeldZip)
  }

  remove(module: ModuleVersion): void {
    this.held.delete(formatModuleVersion(module))
    for (const listener of this.#removed) listener({ module } as ZipRecord)
  }
}

function setUp(): { store: ListedStore; clock: FakeClock; catalogue: Catalogue } {
  const store = new ListedStore()
  const clock = new FakeClock()
  return { store, clock, catalogue: new Catalogue({ store, clock }) }
}

function module(name: string, version = 'v1.0.0'): ModuleVersion {
  return parseModuleVersion(`example.com/${name}`, version)
}

const names = (entries: readonly CatalogueEntry[]): string[] =>
  entries.map((entry) => formatModuleVersion(entry.module))

const all = 1_000_000
const everything = Number.NEGATIVE_INFINITY

/** Reads by time as a follower does: from the last time on, without what it has seen. */
function followTime(catalogue: Catalogue, size: number, between = (): void => {}): string[] {
  const seen = new Set<string>()
  for (let since = everything; ; ) {
    const page = catalogue.since(since, size)
    for (const name of names(page)) seen.add(name)
    const last = page.at(-1)?.admittedUs
    if (page.length < size || last === undefined) return [...seen]
    since = last
    between()
  }
}

function followNames(catalogue: Catalogue, size: number, between = (): void => {}): string[] {
  const seen: string[] = []
  for (let after: ModuleVersion | undefined; ; ) {
    const page = catalogue.after(after, size)
    seen.push(...names(page))
    if (page.length < size) return seen
    after = page.at(-1)?.module
    between()
  }
}

function missing(found: readonly string[], wanted: readonly string[]): string[] {
  const all = new Set(found)
  return wanted.filter((name) => !all.has(name))
}

describe('the catalogue', () => {
  test('reads the store when it is first asked, and only then', () => {
    const { store, catalogue } = setUp()
    store.add(module('a'), 1)
    expect(store.reads + store.listeners).toBe(0)
    expect(names(catalogue.since(everything, all))).toEqual(['example.com/a@v1.0.0'])
    store.add(module('b'), 2)
    expect(names(catalogue.after(undefined, all))).toHaveLength(2)
    expect(store.reads).toBe(1)
  })

  test('is ordered by time, and by path and version', () => {
    const { store, catalogue } = setUp()
    store.add(module('b', 'v1.10.0'), 3)
    store.add(module('b', 'v1.9.0'), 5)
    store.add(module('b', 'v1.10.0-rc.1'), 4)
    store.add(module('a'), 6)
    expect(names(catalogue.since(everything, all))).toEqual([
      'example.com/b@v1.10.0',
      'example.com/b@v1.10.0-rc.1',
      'example.com/b@v1.9.0',
      'example.com/a@v1.0.0',
    ])
    expect(names(catalogue.after(undefined, all))).toEqual([
      'example.com/a@v1.0.0',
      'example.com/b@v1.9.0',
      'example.com/b@v1.10.0-rc.1',
      'example.com/b@v1.10.0',
    ])
  })

  test('has versions that differ in their build only, each once', () => {
    const { store, catalogue } = setUp()
    const both = [module('a', 'v2.0.0+incompatible'), module('a', 'v1.0.0')]
    for (const each of both) store.add(each, 1)
    expect(followNames(catalogue, 1)).toEqual([
      'example.com/a@v1.0.0',
      'example.com/a@v2.0.0+incompatible',
    ])
  })

  test('gives each entry a time of its own, whatever the clock says', async () => {
    const { store, catalogue, clock } = setUp()
    for (let i = 0; i < 50; i++) store.add(module(`old${i}`), 1000)
    catalogue.since(everything, all)
    for (let i = 0; i < 50; i++) store.add(module(`new${i}`), clock.wallMs())
    const times = catalogue.since(everything, all).map((entry) => entry.admittedUs)
    expect(new Set(times).size).toBe(100)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(followTime(catalogue, 2)).toHaveLength(100)
  })

  test('shows what was evicted no more, and what came again at its new time', async () => {
    const { store, catalogue, clock } = setUp()
    store.add(module('a'), 1)
    store.add(module('b'), 2)
    catalogue.since(everything, all)
    store.remove(module('a'))
    expect(names(catalogue.since(everything, all))).toEqual(['example.com/b@v1.0.0'])
    await clock.advance(10)
    store.add(module('a'), clock.wallMs())
    expect(names(catalogue.since(everything, all))).toEqual([
      'example.com/b@v1.0.0',
      'example.com/a@v1.0.0',
    ])
    expect(names(catalogue.after(undefined, all))).toEqual([
      'example.com/a@v1.0.0',
      'example.com/b@v1.0.0',
    ])
  })

  test('shows a version that was replaced once', () => {
    const { store, catalogue } = setUp()
    store.add(module('a'), 1)
    catalogue.since(everything, all)
    store.remove(module('a'))
    store.add(module('a'), 2)
    store.add(module('a'), 3)
    expect(names(catalogue.since(everything, all))).toEqual(['example.com/a@v1.0.0'])
    expect(names(catalogue.after(undefined, all))).toEqual(['example.com/a@v1.0.0'])
  })

  test('what comes after the clock was set back is behind what was there', () => {
    const { store, catalogue, clock } = setUp()
    store.add(module('before'), clock.wallMs() + hourMs / 2)
    const [before] = catalogue.since(everything, all)
    store.add(module('later'), clock.wallMs())
    expect(names(catalogue.since(before?.admittedUs ?? 0, all))).toEqual([
      'example.com/before@v1.0.0',
      'example.com/later@v1.0.0',
    ])
  })

  test('a time far ahead, of a clock that was wrong, does not spoil later ones', () => {
    const { store, catalogue, clock } = setUp()
    store.add(module('wrong'), clock.wallMs() + 10_000 * hourMs)
    store.add(module('before'), clock.wallMs())
    catalogue.since(everything, all)
    store.add(module('right'), clock.wallMs())
    const entries = catalogue.since(everything, all)
    const nowUs = clock.wallMs() * 1_000
    expect(entries.slice(0, 2)).toEqual([
      { module: module('before'), admittedUs: nowUs },
      { module: module('right'), admittedUs: nowUs + 1 },
    ])
  })

  test('keeps no endless account of changes while nobody asks', () => {
    const { store, catalogue } = setUp()
    catalogue.since(everything, all)
    for (let i = 0; i < 5_000; i++) store.add(module(`m${i}`), i)
    expect(store.listeners).toBe(0)
    expect(catalogue.since(everything, all)).toHaveLength(5_000)
    expect(store.reads).toBe(2)
  })

  test('its pages make up the whole, whatever is held and however large they are', () => {
    const one = fc.record({
      name: fc.constantFrom('a', 'b', 'c/d', 'e'),
      patch: fc.nat({ max: 30 }),
      at: fc.nat({ max: 20 }),
    })
    fc.assert(
      fc.property(fc.array(one), fc.integer({ min: 2, max: 9 }), (wanted, size) => {
        const { store, catalogue } = setUp()
        for (const { name, patch, at } of wanted) store.add(module(name, `v1.0.${patch}`), at)
        const held = [...store.held.keys()].toSorted()
        expect(followTime(catalogue, size).toSorted()).toEqual(held)
        expect(followNames(catalogue, size).toSorted()).toEqual(held)
      }),
    )
  })

  test('after any changes it is what a new one would be', () => {
    const change = fc.record({ patch: fc.nat({ max: 12 }), isAdded: fc.boolean() })
    fc.assert(
      fc.property(fc.array(fc.array(change)), (rounds) => {
        const { store, catalogue, clock } = setUp()
        catalogue.since(everything, all)
        for (const round of rounds) {
          for (const { patch, isAdded } of round) {
            const each = module('a', `v1.0.${patch}`)
            if (isAdded) store.add(each, clock.wallMs())
            else store.remove(each)
          }
          const anew = names(new Catalogue({ store, clock }).after(undefined, all))
          expect(names(catalogue.after(undefined, all))).toEqual(anew)
          expect(names(catalogue.since(everything, all)).toSorted()).toEqual(anew.toSorted())
        }
      }),
      { numRuns: 50 },
    )
  })

  test('100,000 entries are read page by page while others come and go', () => {
    const { store, catalogue, clock } = setUp()
    const count = 100_000
    for (let i = 0; i < count; i++) {
      store.add(module(`org${i % 997}/m${i}`, `v1.0.${i % 50}`), 1_600_000_000_000 + (i % 5_000))
    }
    const before = [...store.held.keys()]
    let extra = 0
    const churn = (): void => {
      for (let i = 0; i < 5; i++) store.add(module(`zz/new${extra++}`), clock.wallMs())
      store.remove(module(`zz/new${extra - 3}`))
    }
    const byTime = followTime(catalogue, 2_000, churn)
    expect(missing(byTime, before)).toEqual([])
    // All that is held at the end came before the last page, or is on it.
    expect(missing(byTime, [...store.held.keys()])).toEqual([])
    const byName = followNames(catalogue, 1_000, churn)
    expect(new Set(byName).size).toBe(byName.length)
    expect(missing(byName, before)).toEqual([])
    expect(store.reads).toBe(1)
  })
})
