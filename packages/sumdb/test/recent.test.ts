import { expect, test } from 'vitest'
import { Recent } from '../src/recent.ts'

test('the entries used last stay', () => {
  const recent = new Recent<string, number>(2)
  recent.set('a', 1)
  recent.set('b', 2)
  expect(recent.get('a')).toBe(1)
  recent.set('c', 3)
  expect([recent.get('a'), recent.get('b'), recent.get('c')]).toEqual([1, undefined, 3])
  recent.set('c', 4)
  expect([recent.get('a'), recent.get('c')]).toEqual([1, 4])
  recent.delete('a')
  expect(recent.get('a')).toBeUndefined()
})
