import { describe, expect, test } from 'vitest'
import { whyRaceAsksUpstream } from '../src/why-upstream.ts'
import type { Attempt, RaceView } from '../src/zip-race.ts'
import { freshRace, peerAttempt } from './support/race-view.ts'
import { patient, World } from './support/world.ts'

const late: Attempt = { ...peerAttempt, startedMs: 0 }
const firstPeer = { startedMs: 0, windowMs: 250 }

const views: readonly [string, Partial<RaceView>][] = [
  ['no-holder', {}],
  ['upstream-first', { isUpstreamFirst: true, farCandidates: 1 }],
  ['peers-failed', { isUpstreamFirst: true, firstPeer }],
  ['no-hash', { expected: 'searching' }],
  ['peers-late', { firstPeer, attempts: [late] }],
  ['peers-failed', { firstPeer }],
  ['owner-failed', { owner: 'over' }],
]

test.for(views)('a race turns to upstream: %s', ([why, seen]) => {
  expect(whyRaceAsksUpstream({ ...freshRace, ...seen })).toBe(why)
})

describe('a fill tells', () => {
  test('whom it asked, what came of it, and why upstream was next', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('liar', release).fault = 'wrong-bytes'
    await world.run(world.fill.zip(release.module, patient))
    const { module } = release
    expect(world.events).toContainEqual(
      expect.objectContaining({
        kind: 'zip-asked',
        module,
        asked: { kind: 'peer', peer: 'liar' },
        outcome: 'failed',
        error: expect.any(Error),
      }),
    )
    const why = 'peers-failed'
    expect(world.events).toContainEqual({ kind: 'upstream-chosen', what: 'zip', module, why })
    const asked = { kind: 'zip-asked', asked: { kind: 'upstream' }, outcome: 'gave' }
    expect(world.events).toContainEqual(expect.objectContaining(asked))
  })

  test('which peers knew something of it', async () => {
    const world = new World()
    const release = world.release()
    world.holder('a', release)
    await world.run(world.fill.mod(release.module, patient))
    const answers = [{ peer: 'a', holdsZip: true }]
    expect(world.events).toContainEqual(expect.objectContaining({ kind: 'peers-told', answers }))
    expect(world.kinds()).not.toContain('upstream-chosen')
  })

  test('that nobody else is asked for what is private', async () => {
    const world = new World({ isPrivate: () => true })
    const { module } = world.publish()
    await world.run(world.fill.zip(module, patient))
    expect(world.events[0]).toEqual({
      kind: 'upstream-chosen',
      what: 'zip',
      module,
      why: 'private',
    })
  })
})
