import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import { ContentSet, joinKeys, splitKeys } from '../../src/control/content-set.ts'

/** Few different keys, zero among them, so that they meet again. */
const key = fc
  .tuple(fc.nat(3), fc.nat(20))
  .map(([high, low]) => Uint8Array.of(high === 3 ? 0xff : high, 0, 0, 0, 0, 0, 0, low))

function name(value: Uint8Array): string {
  return Buffer.from(value).toString('hex')
}

describe('a content set', () => {
  test('does as a Set of texts does', () => {
    const step = fc.tuple(fc.constantFrom('add', 'delete', 'has'), key)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.nat(), (steps, seed) => {
        const set = new ContentSet(seed)
        const model = new Set<string>()
        for (const [what, value] of steps) {
          const was = model.has(name(value))
          if (what === 'add') {
            expect(set.add(value)).toBe(!was)
            model.add(name(value))
          } else if (what === 'delete') {
            expect(set.delete(value)).toBe(was)
            model.delete(name(value))
          } else expect(set.has(value)).toBe(was)
        }
        expect(set.size).toBe(model.size)
        expect([...splitKeys(set.toBytes())].map(name).sort()).toEqual([...model].sort())
      }),
      { numRuns: 300 },
    )
  })

  test('keeps a hundred thousand keys in 16 bytes each, quickly', () => {
    const set = new ContentSet()
    const value = new Uint8Array(8)
    const view = new DataView(value.buffer)
    const took = startStopwatch()
    for (let count = 0; count < 100_000; count++) {
      // Alike in their low bits: what a peer would choose to make them collide.
      view.setUint32(0, count * 65_536)
      view.setUint32(4, count >>> 16)
      set.add(value)
    }
    expect(took()).toBeLessThan(1_000)
    expect(set.size).toBe(100_000)
    expect(set.byteLength).toBeLessThanOrEqual(16 * 2 ** 17)
  })

  test('joins and splits keys inversely', () => {
    fc.assert(
      fc.property(fc.array(key), (keys) => {
        expect([...splitKeys(joinKeys(keys))].map(name)).toEqual(keys.map(name))
      }),
    )
  })
})
