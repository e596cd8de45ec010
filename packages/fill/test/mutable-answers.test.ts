import { ModuleNotFoundError, UpstreamUnavailableError } from '@modmesh/fill'
import { MemoryAnswers } from '@modmesh/fill/twins'
import { parseModulePath } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { decode, patient, text, World, type WorldInit } from './support/world.ts'

const path = parseModulePath('example.com/mod')
const commit = '0123456789ab'
const info = (version: string): Uint8Array => text(`{"Version":"${version}"}`)

/** The kinds of answers that change: how each is asked, and what upstream says. */
const kinds = {
  list: {
    ask: (world: World, options = patient) => world.fill.list(path, options),
    set: (world: World, version: string) => world.upstream.lists.set(path, text(`${version}\n`)),
    says: (version: string) => `${version}\n`,
    clear: (world: World) => world.upstream.lists.clear(),
    ttls: 1,
  },
  latest: {
    ask: (world: World, options = patient) => world.fill.latest(path, options),
    set: (world: World, version: string) => world.upstream.latests.set(path, info(version)),
    says: (version: string) => decode(info(version)),
    clear: (world: World) => world.upstream.latests.clear(),
    ttls: 1,
  },
  branch: {
    ask: (world: World, options = patient) => world.fill.query(path, 'main', options),
    set: (world: World, version: string) =>
      world.upstream.queries.set(`${path}@main`, info(version)),
    says: (version: string) => decode(info(version)),
    clear: (world: World) => world.upstream.queries.clear(),
    ttls: 1,
  },
  commit: {
    ask: (world: World, options = patient) => world.fill.query(path, commit, options),
    set: (world: World, version: string) =>
      world.upstream.queries.set(`${path}@${commit}`, info(version)),
    says: (version: string) => decode(info(version)),
    clear: (world: World) => world.upstream.queries.clear(),
    ttls: 60,
  },
} as const

const kindNames = ['list', 'latest', 'branch', 'commit'] as const
const ttlMs = 1_000

/** A later run over what an earlier one kept. */
async function restarted(before: World, init: WorldInit = {}): Promise<World> {
  await before.fill[Symbol.asyncDispose]()
  return new World({ ttlMs, answers: before.answers, wallMs: before.clock.wallMs(), ...init })
}

describe.for(kindNames)('%s', (name) => {
  const kind = kinds[name]

  test('is fresh for its own time, and then asked for again', async () => {
    const world = new World({ ttlMs })
    kind.set(world, 'v1.0.0')
    await world.run(kind.ask(world))
    kind.set(world, 'v1.1.0')
    await world.clock.advance(kind.ttls * ttlMs - 1)
    const fresh = await world.run(kind.ask(world))
    expect([decode(fresh.value), fresh.ageMs]).toEqual([kind.says('v1.0.0'), kind.ttls * ttlMs - 1])
    expect(world.upstream.asked).toHaveLength(1)
    await world.clock.advance(1)
    const renewed = await world.run(kind.ask(world))
    expect([decode(renewed.value), renewed.ageMs]).toEqual([kind.says('v1.1.0'), 0])
  })

  test('is only asked whether it changed, and is fresh again when not', async () => {
    const world = new World({ ttlMs })
    world.upstream.validates = true
    kind.set(world, 'v1.0.0')
    await world.run(kind.ask(world))
    await world.clock.advance(kind.ttls * ttlMs)
    const same = await world.run(kind.ask(world))
    expect([decode(same.value), same.ageMs, world.upstream.unchanged]).toEqual([
      kind.says('v1.0.0'),
      0,
      1,
    ])
    await world.run(kind.ask(world))
    expect(world.upstream.asked).toHaveLength(2)
    await world.clock.advance(kind.ttls * ttlMs)
    kind.set(world, 'v1.1.0')
    expect(decode((await world.run(kind.ask(world))).value)).toBe(kind.says('v1.1.0'))
  })

  test('is known over a restart: asked whether it changed, given with its age when upstream is dead', async () => {
    const before = new World({ ttlMs })
    before.upstream.validates = true
    kind.set(before, 'v1.0.0')
    await before.run(kind.ask(before))
    await before.clock.advance(7_000)
    const dead = await restarted(before)
    dead.upstream.fault = 'down'
    const older = await dead.run(kind.ask(dead))
    expect(older).toMatchObject({ source: { kind: 'stale', why: 'failed' }, ageMs: 7_000 })
    expect(decode(older.value)).toBe(kind.says('v1.0.0'))
    const alive = await restarted(dead)
    alive.upstream.validates = true
    kind.set(alive, 'v1.0.0')
    expect(decode((await alive.run(kind.ask(alive))).value)).toBe(kind.says('v1.0.0'))
    expect(alive.upstream.unchanged).toBe(1)
  })

  test('a restart does not make it fresh: upstream is asked', async () => {
    const before = new World({ ttlMs })
    kind.set(before, 'v1.0.0')
    await before.run(kind.ask(before))
    const world = await restarted(before)
    kind.set(world, 'v1.1.0')
    expect(decode((await world.run(kind.ask(world))).value)).toBe(kind.says('v1.1.0'))
  })

  test('when upstream is slow the older one is given soon, the newer one as soon as it is there', async () => {
    const world = new World({ ttlMs })
    kind.set(world, 'v1.0.0')
    await world.run(kind.ask(world))
    await world.clock.advance(kind.ttls * ttlMs)
    world.upstream.delayMs = 4_000
    kind.set(world, 'v1.1.0')
    const startedMs = world.clock.monotonicMs()
    const older = await world.run(kind.ask(world))
    expect(decode(older.value)).toBe(kind.says('v1.0.0'))
    expect(older.source).toEqual({ kind: 'stale', why: 'slow' })
    expect(world.clock.monotonicMs() - startedMs).toBe(150)
    // One that comes while it is on its way waits no longer than that.
    await world.run(kind.ask(world))
    expect(world.clock.monotonicMs() - startedMs).toBe(150)
    await world.clock.advance(4_000)
    const newer = await world.run(kind.ask(world))
    expect([decode(newer.value), newer.source]).toEqual([
      kind.says('v1.1.0'),
      { kind: 'store', level: 'memory' },
    ])
    expect(world.upstream.asked).toHaveLength(2)
  })

  test('a burst is one question, even when who asked first goes away', async () => {
    const world = new World({ ttlMs })
    world.upstream.delayMs = 100
    kind.set(world, 'v1.0.0')
    const impatient = new AbortController()
    const first = kind.ask(world, { signal: impatient.signal })
    const gone = expect(first).rejects.toThrow('gone')
    const others = Array.from({ length: 50 }, () => kind.ask(world))
    await world.clock.advance(10)
    impatient.abort(new Error('gone'))
    await gone
    const answers = await world.run(Promise.all(others))
    expect(new Set(answers.map(({ value }) => decode(value)))).toEqual(
      new Set([kind.says('v1.0.0')]),
    )
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('one question goes on when nobody is left to wait, and its answer is kept', async () => {
    const world = new World({ ttlMs })
    world.upstream.delayMs = 100
    kind.set(world, 'v1.0.0')
    const impatient = new AbortController()
    const gone = expect(kind.ask(world, { signal: impatient.signal })).rejects.toThrow('gone')
    await world.clock.advance(10)
    impatient.abort(new Error('gone'))
    await gone
    await world.clock.advance(100)
    const answer = await world.run(kind.ask(world))
    expect(answer.source).toEqual({ kind: 'store', level: 'memory' })
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('"not found" is believed for a short time, and then an older answer is gone, too', async () => {
    const world = new World({ ttlMs, negativeTtlMs: 500 })
    kind.set(world, 'v1.0.0')
    await world.run(kind.ask(world))
    await world.clock.advance(kind.ttls * ttlMs)
    kind.clear(world)
    expect(await world.failure(kind.ask(world))).toBeInstanceOf(ModuleNotFoundError)
    await world.clock.advance(499)
    kind.set(world, 'v1.1.0')
    expect(await world.failure(kind.ask(world))).toBeInstanceOf(ModuleNotFoundError)
    expect(world.upstream.asked).toHaveLength(2)
    expect(world.answers.kept.size).toBe(0)
    await world.clock.advance(1)
    expect(decode((await world.run(kind.ask(world))).value)).toBe(kind.says('v1.1.0'))
  })

  test('of an upstream that flips between two answers, each stands for its time', async () => {
    const world = new World({ ttlMs })
    world.upstream.validates = true
    for (let turn = 0; turn < 20; turn++) {
      const version = `v1.${turn % 2}.0`
      kind.set(world, version)
      expect(decode((await world.run(kind.ask(world))).value)).toBe(kind.says(version))
      await world.clock.advance(kind.ttls * ttlMs)
    }
    expect(world.upstream.asked).toHaveLength(20)
    expect(world.answers.kept.size).toBe(1)
  })

  test('offline it is what an earlier run heard, with its age', async () => {
    const before = new World({ ttlMs })
    kind.set(before, 'v1.0.0')
    await before.run(kind.ask(before))
    await before.clock.advance(90_000)
    const world = await restarted(before)
    world.upstream.isOn = false
    const answer = await world.run(kind.ask(world))
    expect(decode(answer.value)).toBe(kind.says('v1.0.0'))
    expect(answer).toMatchObject({ source: { kind: 'stale', why: 'offline' }, ageMs: 90_000 })
    expect(world.upstream.asked).toEqual([])
  })

  test('cached-only it is what is known, and nobody is asked', async () => {
    const before = new World({ ttlMs })
    kind.set(before, 'v1.0.0')
    await before.run(kind.ask(before))
    await before.clock.advance(5_000)
    const world = await restarted(before)
    const cachedOnly = { ...patient, cachedOnly: true }
    const answer = await world.run(kind.ask(world, cachedOnly))
    expect(answer).toMatchObject({ source: { kind: 'stale', why: 'not-asked' }, ageMs: 5_000 })
    expect(world.upstream.asked).toEqual([])
    const other = new World({ ttlMs })
    expect(await other.failure(kind.ask(other, cachedOnly))).toBeInstanceOf(ModuleNotFoundError)
    expect(other.upstream.asked).toEqual([])
  })
})

describe('an older answer', () => {
  test('that is very old is worth a longer wait for the newer one', async () => {
    const world = new World({ ttlMs })
    kinds.list.set(world, 'v1.0.0')
    await world.run(kinds.list.ask(world))
    await world.clock.advance(11 * ttlMs)
    kinds.list.set(world, 'v1.1.0')
    world.upstream.delayMs = 4_000
    const answer = await world.run(kinds.list.ask(world))
    expect(decode(answer.value)).toBe('v1.1.0\n')
    await world.clock.advance(11 * ttlMs)
    world.upstream.delayMs = 6_000
    const startedMs = world.clock.monotonicMs()
    const older = await world.run(kinds.list.ask(world))
    expect(older).toMatchObject({ source: { kind: 'stale', why: 'slow' } })
    expect(world.clock.monotonicMs() - startedMs).toBe(5_000)
  })

  test('of a run whose clock was ahead has age 0, and is asked for at once', async () => {
    const before = new World({ ttlMs })
    kinds.list.set(before, 'v1.0.0')
    await before.run(kinds.list.ask(before))
    const world = await restarted(before, { wallMs: before.clock.wallMs() - 86_400_000 })
    world.upstream.fault = 'down'
    const older = await world.run(kinds.list.ask(world))
    expect(older).toMatchObject({ source: { kind: 'stale', why: 'failed' }, ageMs: 0 })
    await world.clock.advance(250)
    world.upstream.fault = 'none'
    kinds.list.set(world, 'v1.1.0')
    expect(decode((await world.run(kinds.list.ask(world))).value)).toBe('v1.1.0\n')
  })

  test('of a run whose clock was far behind is merely old', async () => {
    const before = new World({ ttlMs, wallMs: 0 })
    kinds.list.set(before, 'v1.0.0')
    await before.run(kinds.list.ask(before))
    const world = await restarted(before, { wallMs: 1_800_000_000_000 })
    world.upstream.isOn = false
    const older = await world.run(kinds.list.ask(world))
    expect(older).toMatchObject({ source: { kind: 'stale', why: 'offline' } })
    expect(older.ageMs).toBe(1_800_000_000_000)
  })

  test('that stands in grows older while it does', async () => {
    const world = new World({ ttlMs })
    kinds.list.set(world, 'v1.0.0')
    await world.run(kinds.list.ask(world))
    await world.clock.advance(2_000)
    world.upstream.fault = 'down'
    await world.run(kinds.list.ask(world))
    await world.clock.advance(200)
    const again = await world.run(kinds.list.ask(world))
    expect(again).toMatchObject({ source: { kind: 'stale', why: 'failed' }, ageMs: 2_200 })
    expect(world.upstream.asked).toHaveLength(2)
  })

  test('of a dead upstream gains what was fetched since', async () => {
    const world = new World({ ttlMs })
    kinds.list.set(world, 'v1.0.0')
    kinds.latest.set(world, 'v1.0.0')
    await world.run(kinds.list.ask(world))
    await world.run(kinds.latest.ask(world))
    const { module } = world.publish('v1.1.0')
    await world.run(world.fill.mod(module, patient))
    await world.run(world.fill.info(module, patient))
    await world.clock.advance(2_000)
    world.upstream.fault = 'down'
    expect(decode((await world.run(kinds.list.ask(world))).value)).toBe('v1.0.0\nv1.1.0\n')
    const latest = await world.run(kinds.latest.ask(world))
    expect(JSON.parse(decode(latest.value))).toMatchObject({ Version: 'v1.1.0' })
    expect(latest.ageMs).toBe(2_000)
  })

  test('is not written to disk at each turn when it did not change', async () => {
    const world = new World({ ttlMs })
    kinds.list.set(world, 'v1.0.0')
    for (let turn = 0; turn < 1_200; turn++) {
      await world.run(kinds.list.ask(world))
      await world.clock.advance(ttlMs)
    }
    expect(world.upstream.asked).toHaveLength(1_200)
    expect(world.answers.calls.put).toBe(2)
  })
})

describe('what is kept', () => {
  test('is read once for a burst', async () => {
    const before = new World({ ttlMs })
    kinds.list.set(before, 'v1.0.0')
    await before.run(kinds.list.ask(before))
    const world = await restarted(before)
    kinds.list.set(world, 'v1.0.0')
    await world.run(Promise.all(Array.from({ length: 50 }, () => kinds.list.ask(world))))
    expect(world.answers.calls.find).toBe(2)
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('may be gone or wrong: it is as if nothing had been heard', async () => {
    const world = new World({ ttlMs, answers: new MemoryAnswers() })
    world.upstream.fault = 'down'
    expect(await world.failure(kinds.list.ask(world))).toBeInstanceOf(UpstreamUnavailableError)
    world.upstream.fault = 'none'
    kinds.list.set(world, 'v1.0.0')
    await world.clock.advance(250)
    expect(decode((await world.run(kinds.list.ask(world))).value)).toBe('v1.0.0\n')
  })

  test('of one path is never the answer for another', async () => {
    const world = new World({ ttlMs })
    const other = parseModulePath('example.com/mod/v2')
    world.upstream.lists.set(path, text('v1.0.0\n'))
    world.upstream.lists.set(other, text('v2.0.0\n'))
    await world.run(world.fill.list(path, patient))
    await world.run(world.fill.list(other, patient))
    const later = await restarted(world)
    later.upstream.isOn = false
    expect(decode((await later.run(later.fill.list(path, patient))).value)).toBe('v1.0.0\n')
    expect(decode((await later.run(later.fill.list(other, patient))).value)).toBe('v2.0.0\n')
  })
})

describe('with a dead upstream', () => {
  test('what is not held fails each time at once, and upstream is heard again soon after it is back', async () => {
    const world = new World({ ttlMs })
    world.upstream.fault = 'down'
    for (let i = 0; i < 3; i++) {
      expect(await world.failure(kinds.list.ask(world))).toBeInstanceOf(UpstreamUnavailableError)
    }
    expect(world.clock.monotonicMs()).toBe(0)
    world.upstream.fault = 'none'
    kinds.list.set(world, 'v1.0.0')
    expect(decode((await world.run(kinds.list.ask(world))).value)).toBe('v1.0.0\n')
  })

  test('a black hole is waited for once, by all who ask meanwhile together', async () => {
    const world = new World({ ttlMs, budgets: { fetchTimeoutMs: 30_000 } })
    kinds.list.set(world, 'v1.0.0')
    await world.run(kinds.list.ask(world))
    await world.clock.advance(2_000)
    world.upstream.fault = 'stall'
    const startedMs = world.clock.monotonicMs()
    const answers = await world.run(
      Promise.all(Array.from({ length: 20 }, () => kinds.list.ask(world))),
    )
    expect(answers.every(({ source }) => source.kind === 'stale')).toBe(true)
    expect(world.clock.monotonicMs() - startedMs).toBe(150)
    expect(world.upstream.asked).toHaveLength(2)
  })
})
