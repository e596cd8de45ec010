import { expect, test } from 'vitest'
import { closestWord } from '../src/closest-word.ts'

const words = ['start', 'status', 'env', 'invite', 'mesh-listen']

test.for([
  ['strat', 'start'],
  ['statsu', 'status'],
  ['evn', 'env'],
  ['invte', 'invite'],
  ['mesh_listen', 'mesh-listen'],
  ['MESH-LISTEN', 'mesh-listen'],
  ['xyz', undefined],
  ['', undefined],
  ['a'.repeat(100_000), undefined],
] as const)('%s is taken for %s', ([typed, meant]) => {
  expect(closestWord(typed, words)).toBe(meant)
})

test('nothing is near when there is nothing', () => {
  expect(closestWord('x', [])).toBeUndefined()
})
