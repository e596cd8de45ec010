import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, OwnerQuestion, PeerId } from '@modmesh/fill'
import { formatModuleVersion, parseModuleVersion, parseZipHash } from '@modmesh/module'
import { beforeEach, describe, expect, test } from 'vitest'
import { holdersOf, type SeedItem, type SeedSite, takersOf } from '../../src/seed/seed-site.ts'
import { SeedWork } from '../../src/seed/seed-work.ts'

const hash = parseZipHash(`h1:${Buffer.alloc(32).toString('base64')}`)
const items: readonly SeedItem[] = Array.from({ length: 20 }, (_, n) => ({
  module: parseModuleVersion(`example.com/m${n}`, 'v1.0.0'),
  zipHash: n % 5 === 4 ? undefined : hash,
}))

/** Time passes when somebody waits. */
class HastyClock implements Clock {
  nowMs = 0

  monotonicMs(): number {
    return this.nowMs
  }

  wallMs(): number {
    return this.nowMs
  }

  async sleep(ms: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    await turn()
    signal.throwIfAborted()
    this.nowMs += ms
  }
}

/** A site in memory, and a giver that it takes from. */
class FakeSite implements SeedSite {
  readonly self = 'a'
  live: readonly PeerId[] = ['b', 'c', 'd']
  readonly held = new Map<PeerId, Set<string>>()
  /** What came from outside, each time. */
  readonly crossed: string[] = []
  isThere = true
  /** Called before something is brought. */
  onBring: (member: PeerId, name: string) => void = () => {}

  others(): readonly PeerId[] {
    return this.live
  }

  async holds(member: PeerId, { module }: SeedItem): Promise<boolean> {
    return this.held.get(member)?.has(formatModuleVersion(module)) ?? false
  }

  async bring(member: PeerId, question: OwnerQuestion): Promise<void> {
    await turn()
    if (!('module' in question) || question.what === 'info') return
    const name = formatModuleVersion(question.module)
    this.onBring(member, name)
    const isHere = [...this.held.values()].some((held) => held.has(name))
    if (!isHere && !this.isThere) throw new Error('the giver is gone')
    if (!isHere) this.crossed.push(name)
    this.held.set(member, (this.held.get(member) ?? new Set()).add(name))
  }
}

let site: FakeSite
let clock: HastyClock
const states = new Set<string>()
const { signal } = new AbortController()

beforeEach(() => {
  site = new FakeSite()
  clock = new HastyClock()
  states.clear()
})

function start(init: { readonly replicas: number; readonly waitMs: number }): SeedWork {
  const isThere = (): boolean => site.isThere
  return new SeedWork({ site, clock, isThere, onProgress: ({ state }) => states.add(state) }, init)
}

const usual = { replicas: 2, waitMs: 60_000 }

describe('a seed', () => {
  test('brings each once, to the one that it falls to, and makes its copies inside', async () => {
    const work = start(usual)
    expect(await work.run(items, { signal })).toEqual(new Map())
    expect(site.crossed.toSorted()).toEqual(
      items.map((i) => formatModuleVersion(i.module)).toSorted(),
    )
    for (const item of items) {
      const takers = takersOf(item, ['a', 'b', 'c', 'd'], 2)
      expect((await holdersOf(site, item)).toSorted()).toEqual([...takers].toSorted())
    }
    expect(work.counts).toEqual({ present: 0, crossed: 16, copied: 20 })
    const report = await work.report(items, new Map(), (member) => member.toUpperCase())
    expect(report.map(({ what, missing }) => `${what} ${missing}`)).toContain('mod null')
    expect(report.every(({ held, missing }) => held.length === 2 && missing === null)).toBe(true)
  })

  test('asks for nothing that is held, by whomever', async () => {
    await start(usual).run(items, { signal })
    const again = start(usual)
    await again.run(items, { signal })
    expect(site.crossed).toHaveLength(20)
    expect(again.counts).toEqual({ present: 20, crossed: 0, copied: 0 })
  })

  test('waits for a giver that went away, and goes on', async () => {
    let brought = 0
    site.onBring = () => {
      brought += 1
      if (brought === 5) site.isThere = false
    }
    const sleep = clock.sleep.bind(clock)
    clock.sleep = async (ms, options) => {
      await sleep(ms, options)
      if (clock.nowMs > 30_000) site.isThere = true
    }
    expect(await start(usual).run(items, { signal })).toEqual(new Map())
    expect(site.crossed).toHaveLength(20)
    expect(states).toContain('waiting')
  })

  test('gives up a giver that stays away, and says so of what is missing', async () => {
    site.onBring = () => {
      site.isThere = site.crossed.length < 5
    }
    const work = start({ replicas: 2, waitMs: 10_000 })
    const failures = await work.run(items, { signal })
    const report = await work.report(items, failures, (member) => member)
    const missing = report.filter((line) => line.missing !== null)
    expect(missing).toHaveLength(20 - site.crossed.length)
    expect(missing.every(({ held }) => held.length === 0)).toBe(true)
    expect(new Set(missing.map((line) => line.missing)).size).toBeLessThanOrEqual(2)
  })

  test('has the next member bring what one cannot', async () => {
    site.onBring = (member) => {
      if (member === 'b') throw new Error('no space left')
    }
    const work = start({ replicas: 4, waitMs: 10_000 })
    const failures = await work.run(items, { signal })
    expect(site.crossed).toHaveLength(20)
    for (const item of items) expect(await holdersOf(site, item)).not.toContain('b')
    expect(new Set(failures.values())).toEqual(new Set(['no space left']))
  })

  test('makes the copies of a member that leaves at others', async () => {
    site.onBring = (member) => {
      if (member === 'c' && site.held.has('c')) {
        site.live = ['b', 'd']
        site.held.delete('c')
      }
      if (!['a', ...site.live].includes(member)) throw new Error('went away')
    }
    const failures = await start(usual).run(items, { signal })
    expect(failures).toEqual(new Map())
    expect(site.live).toEqual(['b', 'd'])
    for (const item of items) {
      const held = await holdersOf(site, item)
      // What it held alone when it left is lost to this run.
      if (held.length > 0) expect(held).toHaveLength(2)
    }
  })

  test('says so when fewer members are left than copies are wanted', async () => {
    site.onBring = () => {
      site.live = []
    }
    const failures = await start(usual).run(items.slice(0, 3), { signal })
    expect(new Set(failures.values())).toEqual(
      new Set(['fewer members are connected than copies wanted']),
    )
  })

  test('ends when it is cut', async () => {
    const cut = new AbortController()
    site.onBring = () => {
      if (site.crossed.length === 3) cut.abort(new Error('enough'))
    }
    site.isThere = true
    const late = start(usual).run(items, cut)
    site.onBring = () => {
      site.isThere = false
      cut.abort(new Error('enough'))
    }
    await expect(late).rejects.toThrow('enough')
  })
})
