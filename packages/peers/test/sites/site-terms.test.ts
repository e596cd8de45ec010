import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type DayWindow,
  isWithin,
  minuteOfDay,
  type SiteMode,
  type SiteRule,
  termsAt,
} from '../../src/sites/site-terms.ts'

const office: DayWindow = { fromMinute: 8 * 60, toMinute: 18 * 60 }
const night: DayWindow = { fromMinute: 22 * 60, toMinute: 6 * 60 }

test.for<[string, DayWindow, number, boolean]>([
  ['its first minute is in', office, 8 * 60, true],
  ['the one before is not', office, 8 * 60 - 1, false],
  ['its end is not', office, 18 * 60, false],
  ['a night begins in the evening', night, 22 * 60, true],
  ['and goes over midnight', night, 0, true],
  ['to its end', night, 6 * 60, false],
  ['noon is no night', night, 12 * 60, false],
  ['equal ends are the whole day', { fromMinute: 60, toMinute: 60 }, 59, true],
])('a window: %s', ([, window, minute, isIn]) => {
  expect(isWithin(window, minute)).toBe(isIn)
})

test('a window and its opposite share the day', () => {
  const minute = fc.integer({ min: 0, max: 1_439 })
  fc.assert(
    fc.property(minute, minute, minute, (fromMinute, toMinute, now) => {
      fc.pre(fromMinute !== toMinute)
      const window = { fromMinute, toMinute }
      const opposite = { fromMinute: toMinute, toMinute: fromMinute }
      expect(isWithin(window, now)).toBe(!isWithin(opposite, now))
    }),
  )
})

const rules: readonly SiteRule[] = [
  { window: office, upRate: 1_000_000 },
  { mode: 'metered', upRate: 5_000_000, downRate: 3_000_000 },
  { window: night, mode: 'open' },
]

test.for<[string, number, SiteMode, number | undefined, number | undefined]>([
  ['in the office hours', 9 * 60, 'metered', 1_000_000, 3_000_000],
  ['at night', 23 * 60, 'open', 5_000_000, 3_000_000],
  ['between', 20 * 60, 'metered', 5_000_000, 3_000_000],
])('what is said for a time wins: %s', ([, minute, mode, upRate, downRate]) => {
  expect(termsAt(rules, minute)).toEqual({ mode, upRate, downRate })
})

test('without rules everything may cross', () => {
  expect(termsAt([], 0)).toEqual({ mode: 'open', upRate: undefined, downRate: undefined })
})

test.for<[string, string, number]>([
  ['before the clocks go forward', '2026-03-08T06:59:00Z', 1 * 60 + 59],
  ['the hour after it is none', '2026-03-08T07:00:00Z', 3 * 60],
  ['before they go back', '2026-11-01T05:30:00Z', 1 * 60 + 30],
  ['the hour comes twice', '2026-11-01T06:30:00Z', 1 * 60 + 30],
  ['midnight is 0', '2026-07-01T04:00:00Z', 0],
])('the minute of the day follows the wall clock: %s', ([, at, minute]) => {
  expect(minuteOfDay(Date.parse(at), 'America/New_York')).toBe(minute)
})
