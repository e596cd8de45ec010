import { describe, expect, test } from 'vitest'
import { Allowance } from '../../src/control/allowance.ts'
import { Inbox } from '../../src/control/inbox.ts'
import { Lanes } from '../../src/control/lanes.ts'
import { controlLimits } from '../../src/control/limits.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

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

describe('lanes', () => {
  test('run so many at once, the rest in order', async () => {
    const lanes = new Lanes(2)
    const began: number[] = []
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
    const runs = gates.map((gate, index) =>
      lanes.run(async () => {
        began.push(index)
        await gate.promise
      }, calm),
    )
    await settle()
    expect(began).toEqual([0, 1])
    gates[1]?.resolve()
    await settle()
    expect(began).toEqual([0, 1, 2])
    for (const gate of gates) gate.resolve()
    await Promise.all(runs)
    expect(began).toEqual([0, 1, 2, 3, 4])
  })

  test('are left by who gives up waiting, and freed by who fails', async () => {
    const lanes = new Lanes(1)
    const gate = Promise.withResolvers<void>()
    const first = lanes.run(() => gate.promise, calm)
    const stop = new AbortController()
    const second = lanes.run(async () => 'second', { signal: stop.signal })
    const third = lanes.run(async () => 'third', calm)
    stop.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    gate.reject(new Error('failed'))
    await expect(first).rejects.toThrow('failed')
    expect(await third).toBe('third')
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
