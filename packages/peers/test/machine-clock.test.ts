import { describe, expect, test } from 'vitest'
import { machineClock } from '../src/machine-clock.ts'

describe('a sleep', () => {
  test('ends when its time is over', async () => {
    const began = machineClock.monotonicMs()
    await machineClock.sleep(20, { signal: new AbortController().signal })
    expect(machineClock.monotonicMs() - began).toBeGreaterThanOrEqual(18)
  })

  test('ends early with the reason of its signal, itself', async () => {
    const stop = new AbortController()
    const reason = new Error('enough')
    const sleeping = machineClock.sleep(60_000, { signal: stop.signal })
    stop.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
    await expect(machineClock.sleep(60_000, { signal: stop.signal })).rejects.toBe(reason)
  })

  test('that ended is not disturbed by an abort that comes later', async () => {
    const stop = new AbortController()
    const sleeping = machineClock.sleep(1, { signal: stop.signal })
    await sleeping
    stop.abort(new Error('too late'))
    await expect(sleeping).resolves.toBeUndefined()
  })
})
