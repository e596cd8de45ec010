import fc from 'fast-check'

/**
 * Any code point, those of one byte more often than others. In place of `unit: 'binary'` of fast-check, which takes a
 * second first to list them all.
 */
const anyCodePoint: fc.Arbitrary<string> = fc
  .oneof(
    fc.integer({ min: 0, max: 0xff }),
    fc.integer({ min: 0x100, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  )
  .map(
    (code) => String.fromCodePoint(code),
    (text) => (typeof text === 'string' ? (text.codePointAt(0) ?? -1) : -1),
  )

/** Text of any characters at all, control characters and those of two UTF-16 units among them. */
export function anyText(
  limits: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...limits, unit: anyCodePoint })
}
