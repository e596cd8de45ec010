import type { FakePeer } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { bytesOf, patient, type Release, World } from './support/world.ts'

const size = 1 << 20
/** Bytes per ms: alone it takes 10 s, and is not slow enough for upstream to join. */
const slow = 100
const fast = 1_000

/** Peers that hold a zip, in the order in which they are asked. */
function worldOf(...paces: readonly number[]) {
  const budgets = { splitMinBytes: 256 << 10 }
  const world = new World({ random: () => 0, budgets })
  const release = world.publish('v1.0.0', 'example.com/mod', size)
  const peers = paces.map((pace, n) =>
    Object.assign(world.holder(String.fromCharCode(97 + n), release), { rttMs: 1 + 10 * n, pace }),
  )
  return { world, release, peers }
}

async function take(world: World, release: Release): Promise<string> {
  const { value, source } = await world.run(world.fill.zip(release.module, patient))
  expect(Buffer.compare(await bytesOf(value), release.zip)).toBe(0)
  await world.run(world.fill[Symbol.asyncDispose]())
  return source.kind === 'peer' ? source.peer : source.kind
}

const sent = (peers: readonly FakePeer[]) => peers.map((peer) => peer.sent)
const total = (peers: readonly FakePeer[]) => sent(peers).reduce((sum, each) => sum + each, 0)
const outcomes = (world: World) =>
  world.events.flatMap((event) =>
    event.kind === 'zip-asked' && 'peer' in event.asked ? [[event.asked.peer, event.outcome]] : [],
  )

describe('a large zip', () => {
  test('comes from one holder alone when that is fast', async () => {
    const { world, release, peers } = worldOf(fast, fast)
    expect(await take(world, release)).toBe('a')
    expect(peers[1]?.ranges).toEqual([])
    expect(peers[1]?.sent).toBe(0)
  })

  test('of a slow holder comes mostly from the next one, and each sends its part once', async () => {
    const { world, release, peers } = worldOf(slow, fast)
    expect(await take(world, release)).toBe('b')
    expect(world.clock.monotonicMs()).toBeLessThan(3_000)
    expect(total(peers)).toBeLessThan(size * 1.01)
    expect(peers[0]?.sent).toBeGreaterThan(0)
    expect(outcomes(world)).toEqual([
      ['a', 'gave'],
      ['b', 'gave'],
    ])
    expect(world.upstream.asked).toEqual([])
  })

  test('of two slow holders comes from a third one, too, and from no fourth', async () => {
    const { world, release, peers } = worldOf(slow, slow, slow, slow)
    await take(world, release)
    expect(world.clock.monotonicMs()).toBeLessThan(5_500)
    expect(peers[3]?.sent).toBe(0)
  })

  test('that is not large comes from one, however slow', async () => {
    const { world, peers } = worldOf(slow, fast)
    const small = world.publish('v1.0.1', 'example.com/small', 256 << 10)
    for (const peer of peers) world.holder(peer.id, small)
    expect(await take(world, small)).toBe('a')
    expect(peers[1]?.ranges).toEqual([])
  })

  test('of a holder here is not fetched over a link to another site', async () => {
    const { world, release, peers } = worldOf(slow, fast)
    const far = { site: 'other', rttMs: 1, bytesPerSecond: undefined }
    Object.assign(peers[1] ?? {}, { far })
    expect(await take(world, release)).toBe('a')
    expect(peers[1]?.ranges).toEqual([])
  })

  test('of a fast holder comes from a known faster one, too', async () => {
    const { world, release, peers } = worldOf(300, fast)
    Object.assign(peers[1] ?? {}, { bytesPerMs: fast })
    await take(world, release)
    expect(peers[1]?.sent).toBeGreaterThan(size / 2)
  })
})

describe('one of several sources', () => {
  test.for(['refuse', 'busy', 'stall', 'garbage'] as const)(
    'that fails by %s is replaced by the next',
    async (rangeFault) => {
      const { world, release, peers } = worldOf(slow, fast, fast)
      Object.assign(peers[1] ?? {}, { rangeFault })
      expect(await take(world, release)).toBe('c')
      expect(world.clock.monotonicMs()).toBeLessThan(5_500)
      expect(world.blamed()).toEqual(rangeFault === 'garbage' ? ['b'] : [])
      expect(outcomes(world)).toContainEqual(['b', 'failed'])
    },
  )

  test('that cannot give parts leaves the zip to the first', async () => {
    const { world, release, peers } = worldOf(slow, fast)
    Object.assign(peers[1] ?? {}, { resumes: false })
    expect(await take(world, release)).toBe('a')
    expect(peers[0]?.asked).toBe(1)
    expect(peers[0]?.sent).toBe(size)
  })

  test('that has other bytes for the same content gives none', async () => {
    const { world, release, peers } = worldOf(slow, fast)
    const hash = release.sums.zip
    if (hash === undefined) throw new Error('no hash')
    peers[1]?.zips.set(hash, new Uint8Array(release.zip.length + 1))
    expect(await take(world, release)).toBe('a')
    expect(peers[1]?.sent).toBe(0)
    expect(world.blamed()).toEqual([])
  })

  test('that sends wrong bytes is named once the true ones are there, and nobody else is', async () => {
    const { world, release, peers } = worldOf(slow, fast, fast)
    Object.assign(peers[1] ?? {}, { rangeFault: 'wrong-bytes' })
    expect(await take(world, release)).toBe('c')
    expect(world.blamed()).toEqual(['b'])
    expect(peers[2]?.sent).toBe(size)
  })

  test('that sends wrong bytes from the beginning is named, too', async () => {
    const { world, release, peers } = worldOf(slow, fast, fast)
    Object.assign(peers[0] ?? {}, { flipsAt: 100 })
    expect(await take(world, release)).toBe('c')
    expect(world.blamed()).toEqual(['a'])
  })

  test('with a liar among two: the whole comes from one of them', async () => {
    const { world, release, peers } = worldOf(slow, fast)
    world.upstream.isOn = false
    Object.assign(peers[1] ?? {}, { rangeFault: 'wrong-bytes' })
    await take(world, release)
    expect(world.blamed()).toEqual(['b'])
  })

  test('that agreed on a lie are all blamed', async () => {
    const { world, release, peers } = worldOf(slow, fast, fast)
    const hash = release.sums.zip
    if (hash === undefined) throw new Error('no hash')
    const lie = release.zip.slice()
    lie[500_000] = 99
    for (const peer of peers.slice(0, 2)) peer.zips.set(hash, lie)
    expect(await take(world, release)).toBe('c')
    expect(world.blamed().toSorted()).toEqual(['a', 'b'])
  })

  test('is not missed: when the first dies, the others bring the rest', async () => {
    const { world, release, peers } = worldOf(slow, slow, slow)
    const [a] = peers
    if (a === undefined) throw new Error('no peer')
    const filling = world.fill.zip(release.module, patient)
    await world.clock.advance(3_000)
    world.peers.drop('a')
    const { value } = await world.run(filling)
    expect(Buffer.compare(await bytesOf(value), release.zip)).toBe(0)
    expect(outcomes(world)).toContainEqual(['a', 'failed'])
    expect(total(peers)).toBeLessThan(size * 1.05)
    expect(world.blamed()).toEqual([])
  })

  test('leaves nothing behind when nobody waits any more', async () => {
    const { world, release } = worldOf(slow, slow)
    const ended = world.fill.zip(release.module, patient).catch(() => 'ended')
    await world.clock.advance(5_000)
    await world.run(world.fill[Symbol.asyncDispose]())
    await ended
    expect(world.store.staged).toBe(0)
  })

  test('fails with our own disk, and no peer is blamed', async () => {
    let writes = 0
    const onStep = (step: string) => {
      if (step === 'write' && ++writes > 20) throw new Error('disk full')
    }
    const budgets = { splitMinBytes: 256 << 10 }
    const world = new World({ random: () => 0, budgets, store: { onStep } })
    const release = world.publish('v1.0.0', 'example.com/mod', size)
    for (const [n, pace] of [slow, slow].entries()) {
      Object.assign(world.holder(`p${n}`, release), { pace })
    }
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error.message).toContain('disk full')
    expect(world.blamed()).toEqual([])
  })
})
