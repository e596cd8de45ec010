import { describe, expect, test } from 'vitest'
import { aheadAfterSteps, farAheadAtOnce, farAheadRestMs, readAheadRestMs } from '../src/limits.ts'
import { patient, type Release, World } from './support/world.ts'

interface Init {
  readonly count?: number
  /** Whose `.info` is asked for; all when absent. */
  readonly wanted?: (n: number) => boolean
  readonly isMetered?: boolean
  /** Of each zip. */
  readonly bytes?: number
}

/** A project whose zips a member of another site holds, asked for as `go mod download` asks for it. */
async function project(init: Init = {}) {
  const { count = 60, wanted = () => true, isMetered = false, bytes = 1000 } = init
  const world = new World()
  const releases = Array.from({ length: count }, (_, n) =>
    world.release('v1.0.0', `example.com/m${String(n).padStart(3, '0')}`, bytes),
  )
  for (const release of releases) {
    const far = { site: 'hq', rttMs: 1, bytesPerSecond: undefined, isMetered }
    world.holder('hq', release).far = far
  }
  for (const { module } of releases) await world.run(world.fill.mod(module, patient))
  for (const [n, { module }] of releases.entries()) {
    if (wanted(n)) await world.run(world.fill.info(module, patient))
  }
  const held = async (): Promise<number[]> => {
    await world.clock.advance(50)
    const all = await Promise.all(releases.map(({ module }) => world.store.findZip(module)))
    return all.flatMap((zip, n) => (zip === undefined ? [] : [n]))
  }
  const ask = (n: number) => world.run(world.fill.zip(moduleOf(releases, n), patient))
  return { world, releases, held, ask }
}

function moduleOf(releases: readonly Release[], n: number): Release['module'] {
  const release = releases[n]
  if (release === undefined) throw new Error('no such release')
  return release.module
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, n) => n)
}

describe('zips of another site that are asked for in the order of their paths', () => {
  test('are followed by the next ones, to the end', async () => {
    const { held, ask, world } = await project()
    for (let n = 0; n < aheadAfterSteps - 1; n++) await ask(n)
    expect(await held()).toEqual(upTo(aheadAfterSteps - 1))
    await ask(aheadAfterSteps - 1)
    await expect.poll(held).toEqual(upTo(60))
    const { source } = await ask(40)
    expect(source).toMatchObject({ kind: 'peer', peer: 'hq' })
    expect((await ask(40)).source).toMatchObject({ kind: 'store' })
    expect(world.peers.peers[0]?.asked).toBe(60)
  })

  test('are followed by no more than are on their way when go asks for nothing more', async () => {
    const { held, ask, world } = await project({ bytes: 150_000 })
    for (const n of upTo(aheadAfterSteps - 1)) await ask(n)
    const bytesPerMs = 150_000 / (farAheadRestMs * 1.5)
    for (const peer of world.peers.peers) peer.pace = bytesPerMs
    await ask(aheadAfterSteps - 1)
    await world.clock.advance(farAheadRestMs * 4)
    expect((await held()).length).toBeGreaterThan(aheadAfterSteps)
    expect((await held()).length).toBeLessThanOrEqual(aheadAfterSteps + farAheadAtOnce)
  })

  test('are not followed by what nobody wants: its .info was not asked for', async () => {
    const { held, ask } = await project({ wanted: (n) => n % 3 !== 1 })
    for (const n of [0, 2, 3]) await ask(n)
    await expect.poll(async () => (await held()).length).toBe(40)
    expect((await held()).filter((n) => n % 3 === 1)).toEqual([])
  })

  test('are followed after a long wait, too: a link may be cut', async () => {
    const { held, ask, world } = await project()
    for (const n of [0, 1]) await ask(n)
    await world.clock.advance(2 * readAheadRestMs)
    await ask(2)
    await expect.poll(held).toEqual(upTo(60))
  })
})

describe('nothing is asked for ahead', () => {
  test('over a metered link', async () => {
    const { held, ask } = await project({ isMetered: true })
    for (const n of upTo(5)) await ask(n)
    expect(await held()).toEqual(upTo(5))
  })

  test('of zips that are asked for in no order', async () => {
    const { held, ask } = await project()
    for (const n of [50, 3, 30, 59, 10]) await ask(n)
    expect(await held()).toEqual([3, 10, 30, 50, 59])
  })

  test('of what was wanted long before the last .info', async () => {
    const { held, ask, world, releases } = await project({ wanted: (n) => n !== 59 })
    await world.clock.advance(readAheadRestMs + 1)
    await world.run(world.fill.info(moduleOf(releases, 59), patient))
    for (const n of upTo(5)) await ask(n)
    expect(await held()).toEqual(upTo(5))
  })
})
