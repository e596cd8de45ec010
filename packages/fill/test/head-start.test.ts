import { expect, test } from 'vitest'
import { EarnedHeadStart } from '../src/head-start.ts'
import { fruitlessSearches } from '../src/limits.ts'

test('peers have their head start until a row of searches found nothing', () => {
  const headStart = new EarnedHeadStart({ headStartMs: 20 })
  for (let n = 0; n < fruitlessSearches; n++) {
    expect(headStart.ms).toBe(20)
    headStart.missed()
  }
  expect(headStart.ms).toBe(0)
})

test('one answer gives it back', () => {
  const headStart = new EarnedHeadStart({ headStartMs: 20 })
  for (let n = 0; n < 2 * fruitlessSearches; n++) headStart.missed()
  headStart.found()
  expect(headStart.ms).toBe(20)
})
