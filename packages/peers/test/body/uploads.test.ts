import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FairTurns, type IsReady } from '../../src/body/fair-turns.ts'
import { bodyLimits, bodyRate, uploadPacing } from '../../src/body/limits.ts'
import { ProgressGuard } from '../../src/body/progress-guard.ts'
import { RecentRate } from '../../src/body/recent-rate.ts'
import { ratesOf, type UploadLimits } from '../../src/body/upload-limits.ts'
import { UploadPacer } from '../../src/body/upload-pacer.ts'
import { type Taker, UploadSlots } from '../../src/body/upload-slots.ts'
import { Uploads } from '../../src/body/uploads.ts'
import { ManualClock } from '../support/manual-clock.ts'

const calm = new AbortController().signal
const lan = (peer: string) => ({ peer, isWan: false })
const wan = (peer: string) => ({ peer, isWan: true })

describe('upload slots', () => {
  test('are limited per peer and in total, and come back once', () => {
    const slots = new UploadSlots({ all: { peerStreams: 2, streams: 3 } })
    const first = slots.take(lan('a'))
    slots.take(lan('a'))
    expect(slots.take(lan('a'))).toBeUndefined()
    expect(slots.take(lan('b'))).toBeDefined()
    expect(slots.take(lan('c'))).toBeUndefined()
    first?.()
    first?.()
    expect(slots.taken).toBe(2)
    expect(slots.take(lan('c'))).toBeDefined()
    expect(slots.take(lan('d'))).toBeUndefined()
  })

  test('of other sites have limits of their own, and count among all', () => {
    const slots = new UploadSlots({ all: { streams: 3 }, wan: { peerStreams: 1, streams: 2 } })
    expect(slots.take(wan('a'))).toBeDefined()
    expect(slots.take(wan('a'))).toBeUndefined()
    expect(slots.take(wan('b'))).toBeDefined()
    expect(slots.take(wan('c'))).toBeUndefined()
    expect(slots.take(lan('d'))).toBeDefined()
    expect(slots.take(lan('d'))).toBeUndefined()
    expect([slots.taken, slots.wanTaken]).toEqual([3, 2])
  })

  test('are kept for members that have none, however many others take', () => {
    const slots = new UploadSlots()
    const hungry = Array.from({ length: 20 }, (_, n) => `p${n}`)
    for (let round = 0; round < bodyLimits.uploadsPerPeer; round++) {
      for (const peer of hungry) slots.take(lan(peer))
    }
    expect(slots.taken).toBeLessThan(bodyLimits.uploads)
    expect(slots.take(lan('late'))).toBeDefined()
  })

  test('are no more than the rate leaves room for, one at least', () => {
    const slow = new UploadSlots({ all: { rate: uploadPacing.leastRate } })
    expect(slow.take(lan('a'))).toBeDefined()
    expect(slow.take(lan('b'))).toBeUndefined()
    const some = new UploadSlots({ all: { rate: 4 * uploadPacing.goodRate } })
    expect(takeAll(some, 'a')).toBe(4)
    expect(takeAll(some, 'b')).toBe(2)
    expect(takeAll(some, 'c')).toBe(1)
    const perPeer = new UploadSlots({ all: { peerRate: 3 * uploadPacing.goodRate } })
    expect(takeAll(perPeer, 'a')).toBe(3)
    expect(takeAll(perPeer, 'b')).toBe(3)
  })
})

function takeAll(slots: UploadSlots, peer: string): number {
  let count = 0
  while (slots.take(lan(peer)) !== undefined) count += 1
  return count
}

describe('fair turns', () => {
  const turn = (peer: string, bytes = 1, sinceMs = 0) => ({ peer, bytes, sinceMs, go: () => {} })
  const all = () => true
  /** The next one, however many come back late. */
  const next = (turns: FairTurns, nowMs: number, isReady: IsReady) => {
    turns.goOn()
    return turns.next(nowMs, isReady)
  }

  test('go by member, and within one in the order they came', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 0 })
    const many = [turn('a'), turn('a'), turn('a')]
    for (const one of many) turns.add(one)
    const single = turn('b')
    turns.add(single)
    const order = Array.from({ length: 4 }, () => next(turns, 0, all))
    expect(order).toEqual([many[0], single, many[1], many[2]])
    expect(next(turns, 0, all)).toBeUndefined()
  })

  test('count bytes, not turns', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 0 })
    for (let n = 0; n < 3; n++) turns.add(turn('large', 100))
    for (let n = 0; n < 200; n++) turns.add(turn('small', 1))
    const order = Array.from({ length: 203 }, () => next(turns, 0, all)?.peer)
    const between = order.lastIndexOf('large') - order.indexOf('large') - 1
    expect(between).toBeGreaterThanOrEqual(200)
  })

  test('of a member that rested begin level with the others', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 0 })
    for (let n = 0; n < 100; n++) turns.add(turn('a'))
    for (let n = 0; n < 50; n++) next(turns, 0, all)
    for (let n = 0; n < 50; n++) turns.add(turn('b'))
    const order = Array.from({ length: 20 }, () => next(turns, 0, all)?.peer)
    expect(order.filter((peer) => peer === 'b').length).toBeLessThanOrEqual(11)
  })

  test('of a member that was away for a moment catch up, by no more than the slack', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 10 })
    turns.add(turn('b'))
    next(turns, 0, all)
    for (let n = 0; n < 200; n++) turns.add(turn('a'))
    for (let n = 0; n < 9; n++) next(turns, 0, all)
    for (let n = 0; n < 100; n++) turns.add(turn('b'))
    const order = Array.from({ length: 28 }, () => next(turns, 0, all)?.peer)
    expect(order.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'b'))
    expect(order.slice(8).filter((peer) => peer === 'b')).toHaveLength(10)
  })

  test('wait for the next one of a member whose last one went, until told to go on', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 0 })
    turns.add(turn('one'))
    for (let n = 0; n < 3; n++) turns.add(turn('many'))
    expect([turns.next(0, all)?.peer, turns.next(0, all)?.peer]).toEqual(['one', undefined])
    expect(turns.isHeld).toBe(true)
    turns.add(turn('one'))
    expect([turns.next(0, all)?.peer, turns.next(0, all)?.peer]).toEqual(['many', 'one'])
    expect(turns.next(0, all)).toBeUndefined()
    turns.goOn()
    expect(turns.next(0, all)?.peer).toBe('many')
    expect(turns.next(0, all)?.peer).toBe('many')
    expect([turns.next(0, all), turns.isHeld]).toEqual([undefined, false])
  })

  test('pass over those that may not go, and leave them their place', () => {
    const turns = new FairTurns({ starvedMs: 1_000, slackBytes: 0 })
    turns.add(turn('a'))
    turns.add(turn('b'))
    expect(next(turns, 0, (peer) => peer !== 'a')?.peer).toBe('b')
    expect(next(turns, 0, (peer) => peer !== 'a')).toBeUndefined()
    expect(turns.waiting()).toEqual(['a'])
    expect(next(turns, 0, all)?.peer).toBe('a')
  })

  test('of whoever starves go first, the oldest of all', () => {
    const turns = new FairTurns({ starvedMs: 100, slackBytes: 0 })
    for (let n = 0; n < 3; n++) turns.add(turn('a', 1, n))
    next(turns, 0, all)
    for (const peer of ['b', 'c']) turns.add(turn(peer, 1, 50))
    expect(next(turns, 99, all)?.peer).toBe('b')
    expect(next(turns, 101, all)?.peer).toBe('a')
  })
})

/** Bodies that want bytes without end; what each got, by number. */
function greedy(
  pacer: UploadPacer,
  takers: readonly { readonly peer: string; readonly isWan: boolean }[],
): { readonly got: number[]; readonly stop: () => void } {
  const end = new AbortController()
  const got = takers.map(() => 0)
  const body = async (n: number): Promise<void> => {
    const taker = takers[n]
    const paced = taker && pacer.begin(taker)
    if (paced === undefined) throw new Error('not limited')
    while (!end.signal.aborted) {
      await paced.wait(paced.pieceBytes, end)
      got[n] = (got[n] ?? 0) + paced.pieceBytes
    }
    paced.end()
  }
  for (const n of takers.keys()) body(n).catch(() => undefined) // it was stopped
  return { got, stop: () => end.abort() }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

describe('a paced link', () => {
  test.for([65_536, 1_000_000, 50_000_000])(
    'of %d bytes per second gives as much, and no more than a short burst beyond',
    async (rate) => {
      const clock = new ManualClock()
      const pacer = new UploadPacer({ clock }, { all: { rate } })
      const run = greedy(pacer, [lan('a'), lan('b')])
      await clock.advance(2_000)
      const burst = (rate * uploadPacing.burstMs) / 1_000 + uploadPacing.pieceMaxBytes
      expect(sum(run.got)).toBeGreaterThan(rate * 2 * 0.95)
      expect(sum(run.got)).toBeLessThanOrEqual(rate * 2 + burst)
      run.stop()
    },
  )

  test('gives one body of a member as much as sixteen of another', async () => {
    const clock = new ManualClock()
    const pacer = new UploadPacer({ clock }, { all: { rate: 2_000_000 } })
    const many = Array.from({ length: 16 }, () => lan('many'))
    const run = greedy(pacer, [...many, lan('one')])
    await clock.advance(3_000)
    const one = run.got.at(-1) ?? 0
    expect(one / sum(run.got)).toBeGreaterThan(0.48)
    expect(one / sum(run.got)).toBeLessThan(0.52)
    const ofMany = run.got.slice(0, -1)
    expect(Math.min(...ofMany) / Math.max(...ofMany)).toBeGreaterThan(0.8)
    run.stop()
  })

  test('is fair also when the machine is late, and many turns go at once', async () => {
    const clock = new ManualClock()
    const late = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      sleep: (ms: number, options: { readonly signal: AbortSignal }) =>
        clock.sleep(Math.max(ms, 60), options),
    }
    const pacer = new UploadPacer({ clock: late }, { all: { rate: 8_000_000 } })
    const many = Array.from({ length: 16 }, () => lan('many'))
    const run = greedy(pacer, [...many, lan('one')])
    await clock.advance(2_000)
    expect(sum(run.got)).toBeGreaterThan(8_000_000 * 2 * 0.9)
    expect((run.got.at(-1) ?? 0) / sum(run.got)).toBeGreaterThan(0.45)
    run.stop()
  })

  test('limits each member, and members of other sites together', async () => {
    const clock = new ManualClock()
    const limits = {
      all: { rate: 10_000_000, peerRate: 4_000_000 },
      wan: { rate: 1_000_000, peerRate: 700_000 },
    }
    const run = greedy(new UploadPacer({ clock }, limits), [lan('a'), lan('b'), wan('c'), wan('d')])
    await clock.advance(2_000)
    const [a = 0, b = 0, c = 0, d = 0] = run.got.map((bytes) => bytes / 2)
    for (const ofLan of [a, b]) {
      expect(ofLan / 4_000_000).toBeGreaterThan(0.95)
      expect(ofLan / 4_000_000).toBeLessThan(1.1)
    }
    expect((c + d) / 1_000_000).toBeGreaterThan(0.95)
    expect((c + d) / 1_000_000).toBeLessThan(1.15)
    expect(c / d).toBeGreaterThan(0.9)
    expect(c / d).toBeLessThan(1.1)
    run.stop()
  })

  test('with a limit for other sites only does not touch the own site', () => {
    const pacer = new UploadPacer({ clock: new ManualClock() }, { wan: { rate: 100_000 } })
    expect(pacer.begin(lan('a'))).toBeUndefined()
    expect(pacer.begin(wan('b'))).toBeDefined()
    expect(new UploadPacer({ clock: new ManualClock() }, {}).begin(wan('c'))).toBeUndefined()
  })

  test('limits small bodies in a row, too', async () => {
    const clock = new ManualClock()
    const pacer = new UploadPacer({ clock }, { all: { peerRate: 100_000 } })
    let got = 0
    const end = new AbortController()
    const rowOfBodies = async (): Promise<void> => {
      while (!end.signal.aborted) {
        const body = pacer.begin(lan('a'))
        await body?.wait(1_000, end)
        got += 1_000
        body?.end()
      }
    }
    rowOfBodies().catch(() => undefined) // it was stopped
    await clock.advance(2_000)
    end.abort()
    expect(got).toBeLessThanOrEqual(100_000 * 2 + 11_000)
    expect(got).toBeGreaterThan(100_000 * 2 * 0.95)
  })

  test('forgets who left the line, and gives its turn to the next', async () => {
    const clock = new ManualClock()
    const pacer = new UploadPacer({ clock }, { all: { rate: 65_536 } })
    const gone = new AbortController()
    const [first, second] = [pacer.begin(lan('a')), pacer.begin(lan('b'))]
    await first?.wait(65_536, { signal: calm })
    const waiting = expect(first?.wait(16_384, gone)).rejects.toThrow('gone')
    let isSecond = false
    const after = second?.wait(16_384, { signal: calm }).then(() => {
      isSecond = true
    })
    gone.abort(new Error('gone'))
    await waiting
    expect(isSecond).toBe(false)
    await clock.advance(1_001)
    await after
    expect(isSecond).toBe(true)
    await expect(first?.wait(1, gone)).rejects.toThrow('gone')
    expect(clock.sleeping).toBe(0)
  })

  const rate = fc.option(fc.integer({ min: 64_000, max: 3_000_000 }), { nil: undefined })
  const scenario = fc.record({
    all: fc.record({ rate, peerRate: rate }),
    wan: fc.record({ rate, peerRate: rate }),
    wanted: fc.array(fc.record({ count: fc.integer({ min: 1, max: 20 }), isWan: fc.boolean() }), {
      minLength: 1,
      maxLength: 30,
    }),
  })

  /** One with six, eight with one: by member alone, the six would get too little. */
  const free = { rate: undefined, peerRate: undefined }
  const crowded = {
    all: { rate: 786_432, peerRate: undefined },
    wan: free,
    wanted: Array.from({ length: 9 }, (_, n) => ({ count: n === 0 ? 6 : 1, isWan: false })),
  }

  test('breaks no limit, and lets nobody with a slot wait longer than an asker does', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ all, wan: ofWan, wanted }) => {
        const clock = new ManualClock()
        const limits: UploadLimits = { all, wan: ofWan }
        const slots = new UploadSlots(limits)
        const pacer = new UploadPacer({ clock }, limits)
        const takers = wanted
          .flatMap(({ count, isWan }, n) =>
            Array.from({ length: count }, () => ({ peer: `p${n}`, isWan })),
          )
          .filter(({ isWan }) => ratesOf(isWan ? [all, ofWan] : [all]).length > 0)
          .filter((taker) => slots.take(taker) !== undefined)
        const run = greedy(pacer, takers)
        await clock.advance(1_000)
        const before = [...run.got]
        await clock.advance(2_000)
        run.stop()
        const got = run.got.map((bytes, n) => bytes - (before[n] ?? 0))
        for (const bytes of got) expect(bytes).toBeGreaterThanOrEqual(2 * bodyRate.minRate)
        const most = (of: number) => of * 2.1 + uploadPacing.pieceMinBytes
        const bytesOf = (isCounted: (taker: Taker) => boolean) =>
          sum(got.filter((_, n) => isCounted(takers[n] ?? lan('none'))))
        expect(sum(got)).toBeLessThanOrEqual(most(all.rate ?? Infinity))
        expect(bytesOf(({ isWan }) => isWan)).toBeLessThanOrEqual(most(ofWan.rate ?? Infinity))
        for (const { peer, isWan } of takers) {
          const peerRate = Math.min(
            all.peerRate ?? Infinity,
            (isWan ? ofWan.peerRate : undefined) ?? Infinity,
          )
          expect(bytesOf((taker) => taker.peer === peer)).toBeLessThanOrEqual(most(peerRate))
        }
      }),
      { numRuns: 20, examples: [[crowded]] },
    )
  })
})

describe('uploads', () => {
  test('tell what goes on, and what the limits are', async () => {
    const clock = new ManualClock()
    const limits = { all: { rate: 1_000_000 }, wan: { rate: 200_000, peerStreams: 3 } }
    const uploads = new Uploads({ clock, isWan: (peer) => peer === 'far' }, limits)
    const far = uploads.begin('far')
    expect(uploads.begin('far')).toBeUndefined()
    const near = uploads.begin('near')
    far?.sent(5_000)
    near?.sent(10_000)
    expect(uploads.report()).toEqual({
      all: {
        streams: 2,
        bytesPerSecond: 3_000,
        limits: { rate: 1_000_000, peerRate: undefined, streams: 30, peerStreams: 7 },
      },
      wan: {
        streams: 1,
        bytesPerSecond: 1_000,
        limits: { rate: 200_000, peerRate: undefined, streams: 6, peerStreams: 1 },
      },
      refused: 1,
    })
    far?.end()
    near?.end()
    await clock.advance(uploadPacing.measureMs)
    const { all, wan: ofWan } = uploads.report()
    expect([all.streams, all.bytesPerSecond, ofWan.bytesPerSecond]).toEqual([0, 0, 0])
  })

  test('cut chunks to pieces, and the wait for a turn is not the asker’s', async () => {
    const clock = new ManualClock()
    const uploads = new Uploads({ clock, isWan: () => false }, { all: { rate: 65_536 } })
    const guard = new ProgressGuard({ clock }, { stallMs: 100, ...bodyRate })
    const upload = uploads.begin('a')
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(50_000)
      yield new Uint8Array(10)
    }
    const sizes: number[] = []
    const sending = (async () => {
      for await (const piece of upload?.paced(chunks(), { guard, signal: calm }) ?? []) {
        sizes.push(piece.byteLength)
        guard.moved(piece.byteLength)
      }
      guard.stop()
    })()
    await clock.advance(2_000)
    await sending
    expect(sizes).toEqual([16_384, 16_384, 16_384, 848, 10])
    expect(guard.signal.aborted).toBe(false)
    expect(clock.sleeping).toBe(0)
    upload?.end()
  })

  test('without limits go as they come', () => {
    const uploads = new Uploads({ clock: new ManualClock(), isWan: () => true })
    const guard = new ProgressGuard({ clock: new ManualClock() }, { stallMs: 100, ...bodyRate })
    async function* chunks(): AsyncGenerator<Uint8Array> {}
    const source = chunks()
    expect(uploads.begin('a')?.paced(source, { guard, signal: calm })).toBe(source)
    guard.stop()
  })
})

test('a recent rate counts what is recent', async () => {
  const clock = new ManualClock()
  const rate = new RecentRate({ clock }, { overMs: 1_000 })
  rate.note(500)
  await clock.advance(500)
  rate.note(500)
  expect(rate.perSecond()).toBe(1_000)
  await clock.advance(600)
  expect(rate.perSecond()).toBe(500)
  await clock.advance(600)
  expect(rate.perSecond()).toBe(0)
})
