import { describe, expect, test } from 'vitest'
import { speedLimits } from '../src/limits.ts'
import { PeerScores } from '../src/peer-score.ts'
import { ManualClock } from './support/manual-clock.ts'

function start() {
  const clock = new ManualClock()
  const all = new PeerScores({ clock })
  /** One body with its first byte after a time, then so many bytes in another. */
  const give = async (peer: string, body: { firstMs: number; bytes: number; tookMs: number }) => {
    const fetching = all.fetching(peer)
    await clock.advance(body.firstMs)
    fetching.began()
    await clock.advance(body.tookMs)
    fetching.moved(body.bytes)
    fetching.ended('good')
  }
  return { clock, all, give }
}

const mb = 1_000_000
const near = (peer: string) => ({ peer, isSameSite: true, rttMs: 1 })
const order = (all: PeerScores, ...peers: string[]) =>
  all.rank(peers.map(near)).map(({ peer }) => peer)

describe('the speed of a peer', () => {
  test('is what it gave of large bodies while they came', async () => {
    const { all, give } = start()
    await give('a', { firstMs: 500, bytes: 10 * mb, tookMs: 100 })
    expect(all.conduct('a').bytesPerMs).toBe(100_000)
    await give('a', { firstMs: 500, bytes: 2_000, tookMs: 100 })
    expect(all.conduct('a').bytesPerMs).toBe(100_000)
  })

  test('is that of all its bodies together', async () => {
    const { clock, all } = start()
    const both = [all.fetching('a'), all.fetching('a')]
    for (const each of both) each.began()
    await clock.advance(100)
    for (const each of both) each.moved(5 * mb)
    for (const each of both) each.ended('good')
    expect(all.conduct('a').bytesPerMs).toBe(100_000)
  })

  test('shows while a body still comes, and follows what is new', async () => {
    const { clock, all, give } = start()
    await give('a', { firstMs: 1, bytes: 100 * mb, tookMs: 1_000 })
    const slow = all.fetching('a')
    slow.began()
    for (let second = 0; second < 5; second++) {
      await clock.advance(1_000)
      slow.moved(2 * mb)
    }
    expect(all.conduct('a').bytesPerMs).toBeLessThan(6_000)
  })

  test('puts much slower ones of a site after the others, who share the load', async () => {
    const { all, give } = start()
    await give('slow', { firstMs: 1, bytes: 2 * mb, tookMs: 1_000 })
    await give('fast', { firstMs: 1, bytes: 100 * mb, tookMs: 1_000 })
    await give('alike', { firstMs: 1, bytes: 60 * mb, tookMs: 1_000 })
    expect(order(all, 'slow', 'fast', 'alike', 'new')).toEqual(['fast', 'alike', 'new', 'slow'])
    all.fetching('fast')
    expect(order(all, 'slow', 'fast', 'alike', 'new')).toEqual(['alike', 'new', 'fast', 'slow'])
  })

  test('never makes another site the better one', async () => {
    const { all, give } = start()
    await give('slow', { firstMs: 1, bytes: 2 * mb, tookMs: 1_000 })
    await give('far', { firstMs: 1, bytes: 100 * mb, tookMs: 1_000 })
    const far = { peer: 'far', isSameSite: false, rttMs: 1 }
    expect(all.rank([far, near('slow')]).map(({ peer }) => peer)).toEqual(['slow', 'far'])
  })

  test('is forgotten after a time: who was slow is tried again', async () => {
    const { clock, all, give } = start()
    await give('slow', { firstMs: 1, bytes: 2 * mb, tookMs: 1_000 })
    await give('fast', { firstMs: 1, bytes: 100 * mb, tookMs: 1_000 })
    await clock.advance(speedLimits.freshMs)
    expect(order(all, 'slow', 'fast')).toEqual(['slow', 'fast'])
  })

  test('does not count while it is busy: others are asked first for a moment', async () => {
    const { clock, all } = start()
    all.fetching('a').ended('busy')
    expect(order(all, 'a', 'b')).toEqual(['b', 'a'])
    await clock.advance(speedLimits.busyMs)
    expect(order(all, 'a', 'b')).toEqual(['a', 'b'])
  })
})

describe('a peer that just failed', () => {
  test('is asked after the others for a while, and shown with the reason', async () => {
    const { clock, all, give } = start()
    all.fetching('a').ended('bad', 'the stream was cut')
    expect(order(all, 'a', 'b')).toEqual(['b', 'a'])
    expect(all.conduct('a').trouble).toEqual({ reason: 'the stream was cut', atMs: clock.wallMs() })
    await clock.advance(speedLimits.troubleMs)
    expect(order(all, 'a', 'b')).toEqual(['a', 'b'])
    await give('a', { firstMs: 1, bytes: 1, tookMs: 1 })
    expect(all.conduct('a').trouble).toBeUndefined()
  })

  test('has stalled where who waited gave up after long; not where it was our disk, or soon', async () => {
    const { clock, all } = start()
    const soon = all.fetching('soon')
    await clock.advance(300)
    soon.ended('none')
    const disk = all.fetching('disk')
    disk.began()
    disk.moved(1)
    await clock.advance(5_000)
    disk.ended('none')
    const hung = all.fetching('hung')
    hung.began()
    hung.moved(1)
    hung.wrote()
    await clock.advance(2_000)
    hung.ended('none')
    expect(all.conduct('soon').trouble).toBeUndefined()
    expect(all.conduct('disk').trouble).toBeUndefined()
    expect(all.conduct('hung').trouble?.reason).toBe('stalled')
    expect(order(all, 'hung', 'disk')).toEqual(['disk', 'hung'])
  })
})

describe('the usual first byte of a peer', () => {
  test('is what nine of ten of the last came within', async () => {
    const { all, give } = start()
    for (let count = 1; count < speedLimits.enoughFirstBytes; count++) {
      await give('a', { firstMs: count, bytes: 1, tookMs: 0 })
    }
    expect(all.conduct('a').usualFirstByteMs).toBeUndefined()
    await give('a', { firstMs: 1_000, bytes: 1, tookMs: 0 })
    expect(all.conduct('a').usualFirstByteMs).toBe(speedLimits.enoughFirstBytes - 1)
  })

  test('forgets what was long ago, by number and by time', async () => {
    const { clock, all, give } = start()
    for (let count = 0; count < 100; count++) await give('a', { firstMs: 900, bytes: 1, tookMs: 0 })
    for (let count = 0; count < speedLimits.firstBytes; count++) {
      await give('a', { firstMs: 3, bytes: 1, tookMs: 0 })
    }
    expect(all.conduct('a').usualFirstByteMs).toBe(3)
    await clock.advance(speedLimits.freshMs)
    expect(all.conduct('a').usualFirstByteMs).toBeUndefined()
  })
})
