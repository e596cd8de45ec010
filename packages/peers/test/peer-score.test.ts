import { describe, expect, test } from 'vitest'
import { blameLimits } from '../src/limits.ts'
import { PeerScores } from '../src/peer-score.ts'
import { ManualClock } from './support/manual-clock.ts'

function scores() {
  const clock = new ManualClock()
  return { clock, scores: new PeerScores({ clock }) }
}

const near = (peer: string, rttMs = 1) => ({ peer, isSameSite: true, rttMs })
const order = (ranked: readonly { readonly peer: string }[]) => ranked.map(({ peer }) => peer)

/** One fetch of one byte. */
function end(all: PeerScores, peer: string, outcome: 'good' | 'bad' | 'none'): void {
  const fetching = all.fetching(peer)
  fetching.moved(1)
  fetching.ended(outcome)
}

describe('peer scores', () => {
  test('avoid a blamed peer for a time that doubles with each lie', async () => {
    const { clock, scores: all } = scores()
    all.blame('a', 'lied')
    expect(all.isAvoided('a')).toBe(true)
    expect(all.isAvoided('b')).toBe(false)
    await clock.advance(blameLimits.firstMs)
    expect(all.isAvoided('a')).toBe(false)
    expect(all.conduct('a').blamed).toMatchObject({ reason: 'lied', count: 1, isActive: false })
    all.blame('a', 'lied again')
    await clock.advance(blameLimits.firstMs)
    expect(all.isAvoided('a')).toBe(true)
    await clock.advance(blameLimits.firstMs)
    expect(all.isAvoided('a')).toBe(false)
  })

  test('never avoid for longer than the limit', async () => {
    const { clock, scores: all } = scores()
    for (let lie = 0; lie < 50; lie++) {
      all.blame('a', 'lied')
      await clock.advance(blameLimits.togetherMs)
    }
    await clock.advance(blameLimits.maxMs)
    expect(all.isAvoided('a')).toBe(false)
  })

  test('forgive old lies one by one', async () => {
    const { clock, scores: all } = scores()
    for (let lie = 0; lie < 3; lie++) {
      all.blame('a', 'lied')
      await clock.advance(blameLimits.togetherMs)
    }
    expect(all.conduct('a').blamed?.count).toBe(3)
    await clock.advance(2 * blameLimits.forgiveMs)
    all.blame('a', 'lied again')
    expect(all.conduct('a').blamed).toMatchObject({ count: 2, isActive: true })
    await clock.advance(50 * blameLimits.forgiveMs)
    all.blame('a', 'lied after long')
    expect(all.conduct('a').blamed?.count).toBe(1)
  })

  test('count reports of one lie once, and keep reasons short', () => {
    const { scores: all } = scores()
    all.blame('a', 'x'.repeat(10_000))
    all.blame('a', 'the same, from another part')
    expect(all.conduct('a').blamed?.count).toBe(1)
    expect(all.conduct('a').blamed?.reason).toHaveLength(blameLimits.reasonLength)
  })

  test('prefer our site, then the nearer, then the less busy', () => {
    const { scores: all } = scores()
    const far = { peer: 'far', isSameSite: false, rttMs: 0.1 }
    expect(order(all.rank([far, near('slow', 90), near('a'), near('b', 2)]))).toEqual([
      'a',
      'b',
      'slow',
      'far',
    ])
    all.fetching('a')
    expect(order(all.rank([near('a'), near('b', 2)]))).toEqual(['b', 'a'])
    expect(order(all.rank([{ ...near('new'), rttMs: undefined }, near('a')]))).toEqual(['a', 'new'])
  })

  test('put those last that mostly fail', () => {
    const { scores: all } = scores()
    for (let count = 0; count < blameLimits.outcomes; count++) {
      end(all, 'bad', count % 3 === 0 ? 'good' : 'bad')
    }
    const far = { peer: 'far', isSameSite: false, rttMs: 200 }
    expect(order(all.rank([near('bad'), far]))).toEqual(['far', 'bad'])
    expect(all.conduct('bad').takenBytes).toBe(blameLimits.outcomes)
    for (let count = 0; count < blameLimits.outcomes; count++) {
      end(all, 'bad', 'good')
    }
    expect(order(all.rank([near('bad'), far]))).toEqual(['bad', 'far'])
  })

  test('do not count a fetch that was cancelled', () => {
    const { scores: all } = scores()
    for (let count = 0; count < 100; count++) end(all, 'a', 'none')
    const other = { peer: 'b', isSameSite: false, rttMs: 200 }
    expect(order(all.rank([other, near('a')]))).toEqual(['a', 'b'])
    expect(all.conduct('a').takenBytes).toBe(100)
  })

  test('remember a bounded number of peers, and liars longest', () => {
    const { scores: all } = scores()
    all.blame('liar', 'lied')
    for (let count = 0; count < 2 * blameLimits.peers; count++) all.gave(`peer ${count}`, 1)
    expect(all.isAvoided('liar')).toBe(true)
    expect(all.conduct('peer 0').givenBytes).toBe(0)
    expect(all.blamed()).toEqual(['liar'])
  })

  test('refuse control streams of a cut peer for a while', async () => {
    const { clock, scores: all } = scores()
    all.cut('a')
    expect(all.isCut('a')).toBe(true)
    await clock.advance(blameLimits.cutMs)
    expect(all.isCut('a')).toBe(false)
  })
})
