import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { compareBytes, sortByBytes } from '../src/byte-order.ts'

test('the order is that of the UTF-8 bytes', () => {
  fc.assert(
    fc.property(anyText(), anyText(), (a, b) => {
      expect(compareBytes(a, b)).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('texts that part after a common beginning are in order too', () => {
  fc.assert(
    fc.property(anyText(), anyText(), anyText(), (head, a, b) => {
      const bytes = Buffer.compare(Buffer.from(head + a), Buffer.from(head + b))
      expect(compareBytes(head + a, head + b)).toBe(bytes)
    }),
  )
})

test.for([
  ['with', ['\u{10400}', '\ufb01', 'a', '']],
  ['without', ['b', '\ufb01', 'B', 'a', '']],
] as const)(
  'sorting a list %s characters beyond the basic plane follows the bytes',
  ([, names]) => {
    const sorted = sortByBytes(names, (name) => name)
    const bytes = names.map((name) => Buffer.from(name)).sort((a, b) => Buffer.compare(a, b))
    expect(sorted).toEqual(bytes.map(String))
  },
)
