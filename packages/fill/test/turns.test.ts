import { FakeClock } from '@modmesh/fill/twins'
import { expect, test } from 'vitest'
import { Turns } from '../src/turns.ts'

const clock = new FakeClock()
const calm = { signal: new AbortController().signal }

test('turns run so many at once, the rest in order', async () => {
  const turns = new Turns(2)
  const began: number[] = []
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const runs = gates.map((gate, index) =>
    turns.run(async () => {
      began.push(index)
      await gate.promise
    }, calm),
  )
  await clock.settle()
  expect(began).toEqual([0, 1])
  gates[1]?.resolve()
  await clock.settle()
  expect(began).toEqual([0, 1, 2])
  for (const gate of gates) gate.resolve()
  await Promise.all(runs)
  expect(began).toEqual([0, 1, 2, 3, 4])
})

test('turns are left by who gives up waiting, and freed by who fails', async () => {
  const turns = new Turns(1)
  const gate = Promise.withResolvers<void>()
  const first = turns.run(() => gate.promise, calm)
  const stop = new AbortController()
  const second = turns.run(async () => 'second', { signal: stop.signal })
  const third = turns.run(async () => 'third', calm)
  stop.abort(new Error('enough'))
  await expect(second).rejects.toThrow('enough')
  gate.reject(new Error('failed'))
  await expect(first).rejects.toThrow('failed')
  expect(await third).toBe('third')
})
