import { contentId, nameKey } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { Announcer } from '../../src/dht/announcer.ts'
import { announceLimits as limits } from '../../src/limits.ts'
import type { ShelfItem } from '../../src/peer-shelf.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { hashOf, moduleOf } from '../support/memory-shelf.ts'

function item(name: string): ShelfItem {
  return { module: moduleOf(name), zipHash: hashOf(name) }
}

function announcing(
  held: readonly ShelfItem[] = [],
  options: {
    readonly provide?: () => Promise<number>
    /** Times of announcements of an earlier run. */
    readonly earlier?: (clock: ManualClock) => ReadonlyMap<string, number>
  } = {},
) {
  const clock = new ManualClock()
  const announced: string[] = []
  const withdrawn: string[] = []
  const state = { isAlone: false }
  const failures: unknown[] = []
  const announcer = new Announcer({
    clock,
    target: {
      isNeedless: () => state.isAlone,
      async provide(key) {
        announced.push(key.toString())
        return options.provide?.() ?? 1
      },
      async announcedMs(key) {
        return options.earlier?.(clock).get(key.toString())
      },
      async withdraw(key) {
        withdrawn.push(key.toString())
      },
    },
    async *contents() {
      yield* held
    },
    failed: (error) => failures.push(error),
  })
  announcer.start()
  return { announcer, announced, withdrawn, clock, state, failures }
}

const idOf = (one: ShelfItem) => contentId(one.zipHash).toString()
const nameOf = (one: ShelfItem) => nameKey(one.module.path).toString()

describe('an announcer', () => {
  test('announces each content under its id and each path once under its name', async () => {
    const [a, b, c] = [item('x.org/a@v1.0.0'), item('x.org/a@v1.1.0'), item('x.org/c@v1.0.0')]
    const { announced, clock, announcer } = announcing([a, b, c])
    await clock.advance(10_000)
    expect(announced.toSorted()).toEqual(
      [idOf(a), idOf(b), idOf(c), nameOf(a), nameOf(c)].toSorted(),
    )
    announcer.stop()
  })

  test('waits until there is somebody to announce to', async () => {
    const one = item('x.org/a@v1.0.0')
    const { announced, clock, state, announcer } = announcing([one])
    state.isAlone = true
    await clock.advance(0)
    const before = announced.length
    await clock.advance(60_000)
    expect(announced.length).toBe(before)
    state.isAlone = false
    await clock.advance(1_000)
    expect(announced).toContain(nameOf(one))
    announcer.stop()
  })

  test('announces new contents before the rest of the round, when the build is quiet', async () => {
    const held = Array.from({ length: 200 }, (_, n) => item(`x.org/m${n}@v1.0.0`))
    const { announced, clock, announcer } = announcing(held)
    await clock.advance(100)
    const fresh = item('x.org/fresh@v1.0.0')
    announcer.add(fresh)
    const before = announced.length
    await clock.advance(limits.quietMs - 1)
    expect(announced.slice(before)).not.toContain(idOf(fresh))
    await clock.advance(2 * limits.aloneMs)
    expect(announced.slice(before, before + 2)).toEqual([idOf(fresh), nameOf(fresh)])
    announcer.stop()
  })

  test('does not wait for quiet for ever', async () => {
    const { announced, clock, announcer } = announcing()
    for (let ms = 0; ms < 2 * limits.quietMaxMs; ms += limits.quietMs / 2) {
      announcer.add(item(`x.org/m${ms}@v1.0.0`))
      await clock.advance(limits.quietMs / 2)
    }
    expect(announced.length).toBeGreaterThan(0)
    announcer.stop()
  })

  test('tries again what nobody took for ever, ever more slowly', async () => {
    const one = item('x.org/a@v1.0.0')
    let taken = 0
    const { announced, clock, announcer } = announcing([one], { provide: async () => taken })
    const triesIn = async (ms: number): Promise<number> => {
      const before = announced.length
      for (let at = 0; at < ms; at += 100) await clock.advance(100)
      return announced.length - before
    }
    const first = await triesIn(4_000)
    expect(first).toBeGreaterThan(3)
    await triesIn(60_000)
    expect(await triesIn(60_000)).toBeLessThanOrEqual(60_000 / (limits.failedMs / 2))
    expect(await triesIn(600_000)).toBeGreaterThan(10)
    taken = 1
    await triesIn(3 * limits.failedMs)
    expect(new Set(announced.slice(-2))).toEqual(new Set([idOf(one), nameOf(one)]))
    expect(announcer.waiting).toBe(0)
    expect(await triesIn(60_000)).toBe(0)
    announcer.stop()
  })

  test('survives a target and a shelf that fail, and tries no more once stopped', async () => {
    const one = item('x.org/a@v1.0.0')
    const { announced, clock, announcer } = announcing([one], {
      provide: () => Promise.reject(new Error('no route')),
    })
    await clock.advance(60_000)
    expect(announced.length).toBeGreaterThan(1)
    announcer.stop()
    const before = announced.length
    await clock.advance(60_000)
    expect(announced.length).toBe(before)
  })

  test('goes on after a restart where it was, and announces again what is old', async () => {
    const [done, old, open] = [
      item('x.org/done@v1.0.0'),
      item('x.org/old@v1.0.0'),
      item('x.org/open@v1.0.0'),
    ]
    const began = new ManualClock().wallMs()
    const earlier = new Map([
      [idOf(done), began - 1_000],
      [nameOf(done), began - 1_000],
      [idOf(old), began - limits.roundMs],
      [nameOf(old), began - limits.roundMs],
    ])
    const { announced, clock, announcer } = announcing([done, old, open], {
      earlier: () => earlier,
    })
    await clock.advance(10_000)
    expect(announced.toSorted()).toEqual(
      [idOf(old), nameOf(old), idOf(open), nameOf(open)].toSorted(),
    )
    announcer.stop()
  })

  test('announces nothing that was removed meanwhile, and withdraws what it announced', async () => {
    const [gone, stays] = [item('x.org/gone@v1.0.0'), item('x.org/stays@v1.0.0')]
    const { announced, withdrawn, clock, announcer } = announcing()
    announcer.add(gone)
    announcer.add(stays)
    await announcer.remove(gone.zipHash)
    await clock.advance(10_000)
    expect(announced).toContain(idOf(stays))
    expect(announced).not.toContain(idOf(gone))
    expect(withdrawn).toEqual([idOf(gone)])
    announcer.stop()
  })

  test('uses at most a quarter of a core, and 50 announcements a second', async () => {
    const held = Array.from({ length: 2_000 }, (_, n) => item(`x.org/m${n}@v1.0.0`))
    const costMs = 40
    const { announced, clock, announcer } = announcing(held, {
      provide: async () => {
        await clock.sleep(costMs, { signal: new AbortController().signal })
        return 5
      },
    })
    for (let ms = 0; ms < 16_000; ms += 20) await clock.advance(20)
    expect(announced.length).toBeLessThanOrEqual(16_000 / (costMs * (1 + limits.restFactor)) + 1)
    expect(announced.length).toBeGreaterThan(50)
    announcer.stop()
    const cheap = announcing(held)
    for (let ms = 0; ms < 2_000; ms += 10) await cheap.clock.advance(10)
    expect(cheap.announced.length).toBeLessThanOrEqual(2_000 / limits.restMs + 1)
    cheap.announcer.stop()
  })

  test('announces everything once per round, and rounds come before records run out', async () => {
    const one = item('x.org/a@v1.0.0')
    const { announced, clock, announcer } = announcing([one])
    await clock.advance(limits.quietMs)
    expect(announced).toHaveLength(2)
    expect(limits.roundMs).toBeLessThan(48 * 3_600_000)
    announcer.stop()
  })

  test('leaves what found no room in the queue to a round that begins at once', async () => {
    const [early, late] = [item('x.org/early@v1.0.0'), item('x.org/late@v1.0.0')]
    const held = [early]
    const { announced, clock, state, announcer } = announcing(held)
    await clock.advance(10_000)
    expect(announced).toHaveLength(2)
    state.isAlone = true
    await clock.advance(limits.aloneMs)
    held.push(late)
    announcer.add(late)
    for (let n = 0; n < limits.queued; n++) announcer.add(item('x.org/one@v1.0.0'))
    state.isAlone = false
    for (let ms = 0; ms < 300_000 && announcer.waiting > 0; ms += 1_000) await clock.advance(1_000)
    await clock.advance(10_000)
    expect(announced.slice(2)).toContain(idOf(late))
    announcer.stop()
  })

  test('keeps a bounded queue of new contents', () => {
    const { announcer, state } = announcing()
    state.isAlone = true
    for (let n = 0; n < limits.queued; n++) announcer.add(item(`x.org/m${n}@v1.0.0`))
    expect(announcer.waiting).toBe(limits.queued)
    announcer.stop()
  })
})
