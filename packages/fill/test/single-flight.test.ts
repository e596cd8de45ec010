import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SingleFlight } from '../src/single-flight.ts'

const { signal } = new AbortController()

test('whatever the order of events, no two equal pieces of work run at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(fc.nat(3), { maxLength: 20 }), async (s, keys) => {
      const flights = new SingleFlight<number>()
      const running = new Set<number>()
      const work = (key: number) => async () => {
        expect(running.has(key)).toBe(false)
        running.add(key)
        await s.schedule(Promise.resolve())
        running.delete(key)
        return key
      }
      const asks = keys.map(async (key) => {
        await s.schedule(Promise.resolve())
        return await flights.join(String(key), work(key), { signal })
      })
      await s.waitFor(Promise.all(asks))
      expect(await Promise.all(asks)).toEqual(keys)
      expect(flights.size).toBe(0)
    }),
  )
})

test('a failure ends the flight', async () => {
  const flights = new SingleFlight<number>()
  const failing = flights.join('a', () => Promise.reject(new Error('no')), { signal })
  await expect(failing).rejects.toThrow('no')
  expect(await flights.join('a', async () => 2, { signal })).toBe(2)
})

test('settled waits for all, and never rejects', async () => {
  const flights = new SingleFlight<number>()
  const work = Promise.withResolvers<number>()
  const flight = flights.join('a', () => work.promise, { signal })
  const settled = flights.settled()
  work.reject(new Error('no'))
  await expect(flight).rejects.toThrow('no')
  await settled
  expect(flights.size).toBe(0)
})
