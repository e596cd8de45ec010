import { expect, test } from 'vitest'
import { EarnedHeadStart } from '../src/head-start.ts'
import { fruitlessSearches, trialSearches } from '../src/limits.ts'

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

test('after fruitless searches the next ones may wait, but now and then one does not', () => {
  const headStart = new EarnedHeadStart({ headStartMs: 20 })
  for (let n = 0; n < fruitlessSearches; n++) {
    expect(headStart.mayWait()).toBe(false)
    headStart.missed()
  }
  const waits = Array.from({ length: 4 * trialSearches }, () => headStart.mayWait())
  expect(waits.filter((mayWait) => !mayWait)).toHaveLength(4)
  headStart.found()
  expect(headStart.mayWait()).toBe(false)
})
