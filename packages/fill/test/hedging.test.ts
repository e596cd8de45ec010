import type { FakePeer } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { Hedges } from '../src/hedges.ts'
import { asksPerHedge, maxSparedHedges, minHedgeMs } from '../src/limits.ts'
import { patient, World } from './support/world.ts'

/** A record of a peer makes the hash known after 1 ms. Two holders; the first is asked first, and how late its first byte is usually is known. */
function worldOf(first: Partial<FakePeer>) {
  const world = new World({ random: () => 0 })
  const release = world.publish()
  const a = Object.assign(world.holder('a', release), { rttMs: 1, ...first })
  const b = Object.assign(world.holder('b', release), { rttMs: 10 })
  const fetch = async () => {
    const startedMs = world.clock.monotonicMs()
    const { source } = await world.run(world.fill.zip(release.module, patient))
    const tookMs = world.clock.monotonicMs() - startedMs
    return { from: source.kind === 'peer' ? source.peer : source.kind, tookMs }
  }
  return { world, a, b, fetch }
}

describe('a second holder is asked', () => {
  test('when the first byte is later than that peer’s own usual one', async () => {
    const { fetch } = worldOf({ delayMs: 200, usualFirstByteMs: 60 })
    expect(await fetch()).toEqual({ from: 'b', tookMs: 62 })
  })

  test('not while it is as slow as usual', async () => {
    const { fetch, b } = worldOf({ delayMs: 200, usualFirstByteMs: 210 })
    expect(await fetch()).toEqual({ from: 'a', tookMs: 201 })
    expect(b.asked).toBe(0)
  })

  test('not before a question on this link could be answered', async () => {
    const { fetch } = worldOf({ delayMs: 200, usualFirstByteMs: 1 })
    expect(await fetch()).toEqual({ from: 'b', tookMs: minHedgeMs + 2 })
    const far = worldOf({ delayMs: 200, usualFirstByteMs: 1, rttMs: 8 })
    expect(await far.fetch()).toEqual({ from: 'b', tookMs: 26 })
  })

  test('when the budget is spent, whatever is usual', async () => {
    const { fetch } = worldOf({ delayMs: 2_000, usualFirstByteMs: 1_500 })
    expect(await fetch()).toEqual({ from: 'b', tookMs: 252 })
  })

  test('and when nothing is known of the peer, not before that', async () => {
    const { fetch } = worldOf({ delayMs: 200 })
    expect(await fetch()).toEqual({ from: 'a', tookMs: 201 })
  })

  test('in one of twenty fetches at most, when all are late', async () => {
    const world = new World({ random: () => 0 })
    world.upstream.isOn = false
    const rounds = 200
    for (let n = 0; n < rounds; n++) {
      const release = world.release(`v1.0.${n}`)
      Object.assign(world.holder('a', release), { delayMs: 200, usualFirstByteMs: 50 })
      Object.assign(world.holder('b', release), { rttMs: 10, delayMs: 200 })
      await world.run(world.fill.zip(release.module, patient))
    }
    const asked = world.peers.peers.reduce((sum, peer) => sum + peer.asked, 0)
    expect(asked).toBeGreaterThan(rounds)
    expect(asked - rounds).toBeLessThanOrEqual(rounds / asksPerHedge + 1)
  })
})

describe('hedges', () => {
  test('are spared up to a few, and never more than their share over all', () => {
    const hedges = new Hedges()
    for (let n = 0; n < 1_000; n++) hedges.asked()
    let burst = 0
    for (; hedges.mayHedge; burst++) hedges.hedged()
    expect(burst).toBe(maxSparedHedges)
    let hedged = 0
    for (let n = 0; n < 1_000; n++) {
      hedges.asked()
      if (!hedges.mayHedge) continue
      hedges.hedged()
      hedged++
    }
    expect(hedged).toBe(1_000 / asksPerHedge)
  })
})
