import { describe, expect, test } from 'vitest'
import {
  blameCut,
  dropDeadline,
  forgetDiscard,
  noOwners,
  type PlantedBug,
  shunPeers,
  skipSync,
  skipVerify,
  tellEarly,
  waitForSilent,
} from './planted-bugs.ts'
import { type Invariant, runSeed } from './run-seed.ts'

describe('the simulated mesh', () => {
  test('keeps every invariant for 300 seeds', async () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 300; seed++) {
      const { failure, tally } = await runSeed(seed)
      expect(failure, `seed 0x${seed.toString(16)}`).toBeUndefined()
      for (const what of tally.keys()) seen.add(what)
    }
    // A simulation in which nothing happens proves nothing.
    const sources = ['from peer', 'from upstream', 'from held']
    const owners = ['answered', 'nothing', 'failed', 'gone', 'silent', 'lied'].map(
      (o) => `owner ${o}`,
    )
    const bodies = ['joined', 'mismatch', 'part', 'blamed']
    for (const what of [
      ...bodies,
      ...sources,
      ...owners,
      'together 1',
      'crossed 1',
      'peer-blamed',
      'crash',
      'cut',
    ]) {
      expect(seen).toContain(what)
    }
  })

  test('does the same for the same seed', async () => {
    for (const seed of [7, 77, 777]) {
      const [first, second] = [await runSeed(seed), await runSeed(seed)]
      expect(second.traceHash).toBe(first.traceHash)
      expect(second.events).toBe(first.events)
    }
  })

  test('does other things for another seed', async () => {
    const hashes = new Set<number>()
    for (let seed = 1; seed <= 20; seed++) hashes.add((await runSeed(seed)).traceHash)
    expect(hashes.size).toBe(20)
  })

  const bugs: [string, PlantedBug, Invariant][] = [
    ['zips are not verified', skipVerify, 'I1'],
    ['the deadline never rings', dropDeadline, 'I4'],
    ['staged zips are not discarded', forgetDiscard, 'I11'],
    ['commits are not synced', skipSync, 'I3'],
    ['zips are told of before they are durable', tellEarly, 'I3'],
    ['peers are never asked', shunPeers, 'L1'],
    ['everybody asks upstream', noOwners, 'S1'],
    ['a silent owner is waited for', waitForSilent, 'S2'],
    ['those are blamed who merely went away', blameCut, 'B1'],
  ]
  test.for(bugs)('sees when %s', async ([, bug, invariant]) => {
    const failures = new Map<Invariant, number>()
    for (let seed = 1; seed <= 150 && !failures.has(invariant); seed++) {
      const { failure } = await runSeed(seed, { bug })
      if (failure) failures.set(failure.invariant, (failures.get(failure.invariant) ?? 0) + 1)
    }
    expect([...failures.keys()]).toEqual([invariant])
  })
})
