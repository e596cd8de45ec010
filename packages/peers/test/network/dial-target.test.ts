import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dialPace, isForgettable, newTarget, redialDelayMs } from '../../src/network/dial-target.ts'
import { failuresUntilForgotten, failuresUntilIdle } from '../../src/network/limits.ts'

function target(origin: 'configured' | 'lan' | 'mesh', failures: number) {
  const made = newTarget({ origin, label: 'x', address: undefined, peer: 'x' })
  return { ...made, failures }
}

describe('the wait before the next dial', () => {
  test('is none after a steady connection', () => {
    expect(redialDelayMs(target('configured', 0), dialPace, 0.9)).toBe(0)
  })

  test('doubles from a quarter of a second to 15 s', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((n) =>
      redialDelayMs(target('configured', n), dialPace, 1),
    )
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000])
  })

  test('of a configured address is never above 15 s, however long it was gone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const wait = redialDelayMs(target('configured', failures), dialPace, random)
          expect(wait).toBeGreaterThanOrEqual(125)
          expect(wait).toBeLessThanOrEqual(15_000)
        },
      ),
    )
  })

  test('of a learned member that is long gone is minutes', () => {
    expect(redialDelayMs(target('mesh', failuresUntilIdle), dialPace, 1)).toBe(dialPace.idleMs)
    expect(redialDelayMs(target('mesh', failuresUntilIdle - 1), dialPace, 1)).toBe(15_000)
  })

  test('of our own address is minutes', () => {
    expect(redialDelayMs({ ...target('configured', 1), isSelf: true }, dialPace, 1)).toBe(
      dialPace.idleMs,
    )
  })
})

test('only a learned peer that was never reached is forgotten', () => {
  const failures = failuresUntilForgotten
  expect(isForgettable(target('mesh', failures))).toBe(true)
  expect(isForgettable(target('lan', failures))).toBe(true)
  expect(isForgettable(target('mesh', failures - 1))).toBe(false)
  expect(isForgettable({ ...target('mesh', failures), everConnected: true })).toBe(false)
  expect(isForgettable(target('configured', failures))).toBe(false)
})
