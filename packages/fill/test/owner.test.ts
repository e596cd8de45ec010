import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ownerKey, pickOwner } from '../src/owner.ts'

const names = Array.from({ length: 8 }, (_, n) => `12D3KooWmember${n}`)
const keys = Array.from({ length: 4_000 }, (_, n) => `example.com/m${n}@v1.0.0`)

test('every member owns about as many keys as the next', () => {
  const counts = new Map(names.map((name) => [name, 0]))
  for (const key of keys) {
    const owner = pickOwner(key, names) ?? ''
    counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  expect(counts.size).toBe(names.length)
  // 500 each on average; five standard deviations are 105.
  for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(105)
})

test('when one leaves, only its own keys move', () => {
  const [gone = '', ...left] = names
  for (const key of keys) {
    const before = pickOwner(key, names)
    const after = pickOwner(key, left)
    if (before === gone) expect(after).not.toBe(gone)
    else expect(after).toBe(before)
  }
})

test('the order in which members are known makes no difference', () => {
  const some = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(some, fc.string(), (members, key) => {
      const owner = pickOwner(key, members)
      expect(members).toContain(owner)
      expect(pickOwner(key, members.toReversed())).toBe(owner)
      expect(pickOwner(key, members.toSorted())).toBe(owner)
    }),
  )
})

test('nobody owns anything where there is nobody', () => {
  expect(pickOwner('example.com/m', [])).toBeUndefined()
})

test('all parts of a version have one key, all answers that change of a path another', () => {
  const module = parseModuleVersion('example.com/m', 'v1.0.0')
  expect(ownerKey(module)).toBe('example.com/m@v1.0.0')
  expect(ownerKey({ path: parseModulePath('example.com/m') })).toBe('example.com/m')
})
