import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteLru } from '../src/byte-lru.ts'
import { MemoryLevel } from '../src/memory-level.ts'

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step = fc.oneof(
  fc.record({ set: key, bytes: fc.nat(60) }),
  fc.record({ get: key }),
  fc.record({ drop: key }),
)

test('what was used last is kept, within the bytes there may be', () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const lru = new ByteLru<number>(100)
      let kept: { readonly key: string; readonly bytes: number }[] = []
      const without = (name: string) => kept.filter((each) => each.key !== name)
      for (const one of steps) {
        if ('set' in one) {
          lru.set(one.set, one.bytes, one.bytes)
          kept = [...without(one.set), { key: one.set, bytes: one.bytes }]
          while (kept.reduce((sum, { bytes }) => sum + bytes, 0) > 100) kept.shift()
        } else if ('get' in one) {
          const found = kept.find((each) => each.key === one.get)
          expect(lru.get(one.get)).toBe(found?.bytes)
          if (found !== undefined) kept = [...without(one.get), found]
        } else {
          lru.delete(one.drop)
          kept = without(one.drop)
        }
        expect(lru.size).toBe(kept.length)
        expect(lru.oldestKey()).toBe(kept[0]?.key)
        expect(lru.bytes).toBe(kept.reduce((sum, { bytes }) => sum + bytes, 0))
      }
    }),
  )
})

test('a level in memory holds no more values than it may, the last ones', () => {
  const level = new MemoryLevel<number>({ entries: 3, bytes: 1_000_000 })
  for (let n = 0; n < 10; n++) level.set(`key ${n}`, n, 1)
  expect(level.size).toBe(3)
  expect([6, 7, 8, 9].map((n) => level.get(`key ${n}`))).toEqual([undefined, 7, 8, 9])
})
