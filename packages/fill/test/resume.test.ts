import type { FakePeer } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { bytesOf, patient, type Release, World } from './support/world.ts'

/** Large enough that a cut is worth waiting for the next holder. */
const large = 3 << 20
const half = large / 2

/** A world in which peers hold a zip that upstream has, too. */
function worldOf(size: number, ...ids: readonly string[]) {
  const world = new World({ random: () => 0 })
  const release = world.publish('v1.0.0', 'example.com/mod', size)
  // In this order.
  const peers = ids.map((id, n) => Object.assign(world.holder(id, release), { rttMs: 1 + 10 * n }))
  return { world, release, peers }
}

async function take(world: World, release: Release): Promise<string> {
  const { value, source } = await world.run(world.fill.zip(release.module, patient))
  expect(Buffer.compare(await bytesOf(value), release.zip)).toBe(0)
  await world.run(world.fill[Symbol.asyncDispose]())
  expect(world.store.staged).toBe(0)
  return source.kind === 'peer' ? source.peer : source.kind
}

const sent = (peers: readonly FakePeer[]) => peers.map((peer) => peer.sent)

describe('a zip whose holder is cut', () => {
  test.for(['short-body', 'stall-body', 'hang'] as const)(
    'by %s goes on at the next holder',
    async (fault) => {
      const { world, release, peers } = worldOf(large, 'a', 'b')
      Object.assign(peers[0] ?? {}, { fault })
      expect(await take(world, release)).toBe('b')
      expect(sent(peers)).toEqual([half, half])
      expect(world.upstream.asked).toEqual([])
      expect(world.blamed()).toEqual([])
    },
  )

  test.for([0, 1, large - 1, large])('after %i bytes is whole in the end', async (endsAt) => {
    const { world, release, peers } = worldOf(large, 'a', 'b')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', endsAt })
    expect(await take(world, release)).toBe('b')
    expect(sent(peers)).toEqual([endsAt, large - endsAt])
  })

  test('twice is joined of three', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b', 'c')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', endsAt: 1_000 })
    Object.assign(peers[1] ?? {}, { fault: 'short-body', endsAt: 2_000_000 })
    expect(await take(world, release)).toBe('c')
    expect(sent(peers)).toEqual([1_000, 1_999_000, large - 2_000_000])
  })

  test('goes on at the same one when it is there again, before upstream is asked', async () => {
    const { world, release, peers } = worldOf(large, 'a')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', endsTimes: 1 })
    expect(await take(world, release)).toBe('a')
    expect(sent(peers)).toEqual([large])
    expect(world.upstream.asked).toEqual([])
  })

  test('by one that is cut each time comes from upstream soon', async () => {
    const { world, release, peers } = worldOf(large, 'a')
    Object.assign(peers[0] ?? {}, { fault: 'short-body' })
    expect(await take(world, release)).toBe('upstream')
    expect(peers[0]?.asked).toBe(2)
    expect(sent(peers)).toEqual([half])
    expect(world.clock.monotonicMs()).toBeLessThan(100)
  })

  test('and had sent wrong bytes is fetched anew of the next, whom nobody blames', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', flipsAt: 9 })
    expect(await take(world, release)).toBe('b')
    expect(sent(peers)).toEqual([half, half + large])
    expect(world.blamed()).toEqual([])
  })

  test('is joined no more once joined bytes were wrong', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b', 'c')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', flipsAt: 9 })
    Object.assign(peers[1] ?? {}, { endsAnewAt: 2_000_000 })
    expect(await take(world, release)).toBe('c')
    expect(peers[2]?.sent).toBe(large)
    expect(world.blamed()).toEqual([])
  })

  test('starts over at one that does not know how to go on', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b')
    Object.assign(peers[0] ?? {}, { fault: 'short-body' })
    Object.assign(peers[1] ?? {}, { resumes: false })
    expect(await take(world, release)).toBe('b')
    expect(sent(peers)).toEqual([half, large])
  })

  test.for(['refuse', 'garbage'] as const)(
    'is kept for the one after the next when that says no: %s',
    async (fault) => {
      const { world, release, peers } = worldOf(large, 'a', 'b', 'c')
      Object.assign(peers[0] ?? {}, { fault: 'short-body' })
      Object.assign(peers[1] ?? {}, { fault })
      expect(await take(world, release)).toBe('c')
      expect(peers[2]?.sent).toBe(half)
    },
  )

  test('whose rest is wrong is not kept of that one', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b', 'c')
    Object.assign(peers[0] ?? {}, { fault: 'short-body' })
    Object.assign(peers[1] ?? {}, { fault: 'wrong-bytes' })
    expect(await take(world, release)).toBe('c')
    expect(world.blamed()).toEqual(['b'])
    expect(peers[2]?.sent).toBe(large)
  })

  test('counts to each source what it sent itself', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b')
    Object.assign(peers[0] ?? {}, { fault: 'short-body', endsAt: 1_000 })
    await take(world, release)
    const asked = world.events.flatMap((event) => (event.kind === 'zip-asked' ? [event.bytes] : []))
    expect(asked).toEqual([1_000, large - 1_000])
    expect(peers[1]?.sent).toBe(large - 1_000)
  })

  test('leaves nothing behind when nobody has the rest', async () => {
    const { world, release, peers } = worldOf(large, 'a')
    world.upstream.isOn = false
    Object.assign(peers[0] ?? {}, { fault: 'short-body' })
    await world.failure(world.fill.zip(release.module, patient))
    await world.run(world.fill[Symbol.asyncDispose]())
    expect(world.store.staged).toBe(0)
  })

  test('leaves nothing behind when nobody waits for it any more', async () => {
    const { world, release, peers } = worldOf(large, 'a', 'b')
    Object.assign(peers[0] ?? {}, { fault: 'short-body' })
    Object.assign(peers[1] ?? {}, { fault: 'stall-body' })
    const filling = world.fill.zip(release.module, patient)
    const ended = filling.catch(() => 'ended')
    await world.clock.advance(10)
    expect(sent(peers)).toEqual([half, 0])
    await world.run(world.fill[Symbol.asyncDispose]())
    await ended
    expect(world.store.staged).toBe(0)
  })
})
