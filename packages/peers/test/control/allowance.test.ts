import { describe, expect, test } from 'vitest'
import { Allowance } from '../../src/control/allowance.ts'
import { Inbox } from '../../src/control/inbox.ts'
import { controlLimits } from '../../src/control/limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

const calm = { signal: new AbortController().signal }

describe('an allowance', () => {
  test('gives a burst, then so many per second', async () => {
    const clock = new ManualClock()
    const allowance = new Allowance({ clock }, { perSecond: 10, burst: 5 })
    const take = () => Array.from({ length: 100 }, () => allowance.take(1)).filter(Boolean).length
    expect(take()).toBe(5)
    await clock.advance(300)
    expect(take()).toBe(3)
    await clock.advance(100_000)
    expect(take()).toBe(5)
    allowance.giveBack(2)
    expect(take()).toBe(2)
  })

  test('makes who waits wait for its turn', async () => {
    const clock = new ManualClock()
    const allowance = new Allowance({ clock }, { perSecond: 1_000, burst: 1_000 })
    await allowance.wait(5_000, calm)
    let isThrough = false
    void allowance.wait(1, calm).then(() => (isThrough = true))
    await clock.advance(3_999)
    expect(isThrough).toBe(false)
    await clock.advance(10)
    expect(isThrough).toBe(true)
  })
})

describe('an inbox', () => {
  test('ends with blame when it is outrun, by bytes or by pieces', async () => {
    for (const [size, count] of [
      [65_536, controlLimits.inboxBytes / 65_536 + 1],
      [1, controlLimits.inboxPieces + 1],
    ] as const) {
      const inbox = new Inbox()
      for (let n = 0; n < count; n++) inbox.push(new Uint8Array(size))
      await expect(inbox[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PROTOCOL' })
    }
  })

  test('gives what waits before its end, and nothing after', async () => {
    const inbox = new Inbox()
    inbox.push(Uint8Array.of(1))
    inbox.end()
    inbox.push(Uint8Array.of(2))
    const seen: unknown[] = []
    for await (const piece of inbox) seen.push(piece)
    expect(seen).toEqual([Uint8Array.of(1)])
  })
})
