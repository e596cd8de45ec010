import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Pieces } from '../../src/network/pieces.ts'

test('pieces of any sizes come out in order, whatever was taken before stays as it was', () => {
  const step = fc.oneof(
    fc.record({ push: fc.oneof(fc.nat(50), fc.nat(3_000)) }),
    fc.record({ take: fc.nat(5_000) }),
    fc.record({ drop: fc.nat(5_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pieces = new Pieces()
      let [came, gone] = [0, 0]
      const kept: { readonly bytes: Uint8Array; readonly from: number }[] = []
      for (const one of steps) {
        if ('push' in one) {
          pieces.push(new Uint8Array(one.push).map((_, at) => came + at))
          came += one.push
        } else if ('take' in one) {
          const length = Math.min(one.take, pieces.size)
          kept.push({ bytes: pieces.take(length), from: gone })
          expect(kept.at(-1)?.bytes).toHaveLength(length)
          gone += length
        } else {
          const { first } = pieces
          const length = Math.min(one.drop, first?.length ?? 0)
          if (first !== undefined) kept.push({ bytes: first, from: gone })
          pieces.drop(length)
          gone += length
        }
        expect(pieces.size).toBe(came - gone)
      }
      for (const { bytes, from } of kept) {
        expect(bytes.every((byte, at) => byte === ((from + at) & 255))).toBe(true)
      }
    }),
  )
})

test('a million pieces of one byte are few', () => {
  const pieces = new Pieces()
  for (let n = 0; n < 1_000_000; n++) pieces.push(Uint8Array.of(n))
  let count = 0
  for (let first = pieces.first; first !== undefined; first = pieces.first) {
    count += 1
    pieces.drop(first.length)
  }
  expect(count).toBeLessThan(100)
  expect(pieces.size).toBe(0)
})
