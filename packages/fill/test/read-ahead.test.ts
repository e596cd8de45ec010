import type { PeerFault } from '@modmesh/fill/twins'
import type { ModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { aheadAfterSteps, aheadStep, aheadZips, readAheadRestMs } from '../src/limits.ts'
import { patient, type Release, World, type WorldInit } from './support/world.ts'

/** A project of so many modules whose zips a member of the site holds, with their go.mod files read. */
async function project(count: number, init: WorldInit & { readonly far?: true } = {}) {
  const world = new World(init)
  const releases = Array.from({ length: count }, (_, n) =>
    world.release('v1.0.0', `example.com/m${String(n).padStart(3, '0')}`),
  )
  for (const release of releases) {
    const peer = world.holder('p', release)
    if (init.far) peer.far = { site: 'away', rttMs: 1, bytesPerSecond: undefined }
  }
  for (const { module } of releases) await world.run(world.fill.mod(module, patient))
  const held = async () => {
    await world.clock.advance(20)
    const all = await Promise.all(releases.map(({ module }) => world.store.findZip(module)))
    return all.flatMap((zip, n) => (zip === undefined ? [] : [n]))
  }
  const ask = (...numbers: number[]) =>
    Promise.all(numbers.map((n) => world.run(world.fill.zip(moduleAt(releases, n), patient))))
  return { world, releases, held, ask }
}

function moduleAt(releases: readonly Release[], n: number): ModuleVersion {
  const release = releases[n]
  if (release === undefined) throw new Error('no such release')
  return release.module
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, n) => n)
}

describe('zips asked for in the order of their paths', () => {
  test('are followed by the next ones that a member of the site holds', async () => {
    const { held, ask, world } = await project(100)
    for (let n = 0; n < aheadAfterSteps - 1; n++) await ask(n)
    expect(await held()).toEqual(upTo(aheadAfterSteps - 1))
    await ask(aheadAfterSteps - 1)
    await expect.poll(held).toEqual(upTo(aheadAfterSteps + aheadStep))
    await ask(aheadAfterSteps)
    await expect.poll(held).toEqual(upTo(aheadAfterSteps + aheadStep + 1))
    expect(world.upstream.asked).toEqual([])
    const [first] = await ask(aheadAfterSteps + 1)
    expect(first?.source).toMatchObject({ kind: 'peer', peer: 'p' })
    const [again] = await ask(aheadAfterSteps + 1)
    expect(again?.source).toMatchObject({ kind: 'store' })
  })

  test('are followed though several are asked for at once, and some are left out', async () => {
    const { held, ask } = await project(60)
    await ask(1, 0)
    await ask(3, 2)
    await ask(8, 5)
    await ask(7, 10)
    await expect.poll(async () => (await held()).at(-1)).toBeGreaterThan(10)
  })

  test('and not asked for then end it', async () => {
    const { held, ask } = await project(600)
    const asked = [0, 1, 2]
    for (let n = 2 + aheadStep; n < 600; n += aheadStep) asked.push(n)
    for (const n of asked) {
      await ask(n)
      await held()
    }
    const all = await held()
    expect(all.filter((n) => !asked.includes(n))).toHaveLength(aheadZips)
    expect(all).toEqual(expect.arrayContaining(asked))
  })

  test('begin anew after a rest', async () => {
    const { held, ask, world } = await project(150)
    for (const n of [0, 1, 2]) await ask(n)
    await expect.poll(held).toEqual(upTo(3 + aheadStep))
    await world.clock.advance(readAheadRestMs + 1)
    for (const n of [100, 101, 102, 103]) await ask(n)
    // Nobody asked for a go.mod since: nothing tells what comes next.
    expect(await held()).toEqual([...upTo(3 + aheadStep), 100, 101, 102, 103])
  })
})

test('a zip that was asked for before its turn counts as asked for', async () => {
  const { held, ask } = await project(12)
  await Promise.all(upTo(12).map((n) => ask(n)))
  expect(await held()).toEqual(upTo(12))
  for (const n of upTo(12)) {
    const [again] = await ask(n)
    expect(again?.source).toMatchObject({ kind: 'store' })
  }
})

describe('nothing is brought ahead', () => {
  test('of what other sites hold', async () => {
    const { held, ask } = await project(20, { far: true })
    for (const n of [0, 1, 2, 3]) await ask(n)
    expect(await held()).toEqual([0, 1, 2, 3])
  })

  test('when zips are asked for in no order', async () => {
    const { held, ask } = await project(400)
    for (const n of [200, 3, 390, 80, 300, 1]) await ask(n)
    expect(await held()).toEqual([1, 3, 80, 200, 300, 390])
  })

  test('of what nobody holds: upstream is not asked for it', async () => {
    const world = new World()
    const releases = upTo(20).map((n) => world.publish('v1.0.0', `example.com/m${n + 10}`))
    for (const { module } of releases) await world.run(world.fill.mod(module, patient))
    const zips = () => world.upstream.asked.filter((asked) => JSON.stringify(asked).includes('zip'))
    for (const { module } of releases.slice(0, 5)) await world.run(world.fill.zip(module, patient))
    expect(zips()).toHaveLength(5)
  })

  test('of versions that a newer one of the same path stands in for', async () => {
    const world = new World()
    const releases = upTo(10).flatMap((n) =>
      ['v1.0.0', 'v1.2.0', 'v1.1.0'].map((version) => world.release(version, `example.com/m${n}`)),
    )
    for (const release of releases) world.holder('p', release)
    for (const { module } of releases) await world.run(world.fill.mod(module, patient))
    const newest = releases.filter(({ module }) => module.version === 'v1.2.0')
    for (const { module } of newest.slice(0, 3)) await world.run(world.fill.zip(module, patient))
    const held = async () => {
      await world.clock.advance(20)
      const all = await Promise.all(releases.map(({ module }) => world.store.findZip(module)))
      return new Set(
        all.flatMap((zip) => (zip === undefined ? [] : [zip.module.version as string])),
      )
    }
    expect(await held()).toEqual(new Set(['v1.2.0']))
  })
})

describe('a member of the site that does not deliver what nobody asked for', () => {
  /**
   * `good` holds the zips that are asked for, `bad` the next ones. Upstream and a member of another site have
   * all of them, and `bad` may be the owner that asks upstream for the site.
   */
  async function untrue(fault: PeerFault, { mayOwn = false } = {}) {
    const world = new World()
    const releases = upTo(20).map((n) => world.publish('v1.0.0', `example.com/m${n + 10}`))
    for (const release of releases) world.holder('far', release)
    for (const release of releases.slice(0, 3)) world.holder('good', release)
    for (const release of releases.slice(3)) world.holder('bad', release)
    const [far, , bad] = world.peers.peers
    if (far === undefined || bad === undefined) throw new Error('no peers')
    far.far = { site: 'away', rttMs: 1, bytesPerSecond: undefined }
    bad.fault = fault
    bad.canFetch = mayOwn
    for (const { module } of releases) await world.run(world.fill.mod(module, patient))
    const zip = (n: number) => world.fill.zip(moduleAt(releases, n), patient)
    const fromElsewhere = () => {
      const zips = world.upstream.asked.filter((asked) => asked.includes('zip'))
      return { far: far.asked, upstream: zips.length, owner: bad.ownerAsked.length }
    }
    const before = fromElsewhere()
    for (const n of [0, 1, 2]) await world.run(zip(n))
    return { world, bad, zip, before, fromElsewhere }
  }

  const faults: readonly PeerFault[] = [
    'stall-start',
    'stall-body',
    'short-body',
    'wrong-bytes',
    'refuse',
    'busy',
    'garbage',
  ]

  test.for(faults)('sends nobody elsewhere for it: %s', async (fault) => {
    const { world, bad, before, fromElsewhere } = await untrue(fault, { mayOwn: true })
    await world.clock.advance(20_000)
    expect(bad.asked).toBeGreaterThan(0)
    expect(fromElsewhere()).toEqual(before)
  })

  test.for(faults)('does not keep it from who asks for it meanwhile: %s', async (fault) => {
    const { world, bad, zip, before, fromElsewhere } = await untrue(fault)
    expect(bad.asked).toBeGreaterThan(0)
    const startMs = world.clock.monotonicMs()
    const { value, source } = await world.run(zip(3))
    expect(value.module.path).toBe('example.com/m13')
    expect(source).not.toMatchObject({ peer: 'bad' })
    expect(world.clock.monotonicMs() - startMs).toBeLessThan(5_000)
    expect(fromElsewhere()).not.toEqual(before)
  })
})
