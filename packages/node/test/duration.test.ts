import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../src/duration.ts'

test.for([
  ['30s', 30_000],
  ['90m', 5_400_000],
  ['12h', 43_200_000],
  ['7d', 604_800_000],
] as const)('%s is read as %d ms', ([text, ms]) => {
  expect(parseDuration('--expires', text)).toBe(ms)
})

test.for(['', 'h', '5', '0h', '-1h', '1.5h', '1e3h', '1w', 'soon'])(
  '"%s" is no time and is refused with the flag',
  (text) => {
    expect(() => parseDuration('--expires', text)).toThrow('--expires')
  },
)

test.for([
  [0, '0s'],
  [999, '0s'],
  [61_000, '1m1s'],
  [3_600_000, '1h'],
  [3_605_000, '1h'],
  [273_600_000, '3d4h'],
  [-5, '0s'],
] as const)('%d ms is written as %s', ([ms, text]) => {
  expect(formatDuration(ms)).toBe(text)
})
