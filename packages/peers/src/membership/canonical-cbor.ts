import { decode, encode } from 'cborg'
import * as v from 'valibot'

const decodeOptions = {
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  strict: true,
  rejectDuplicateMapKeys: true,
  useMaps: true,
} as const

/** Fields of a map, kept whole so that those of later versions survive a round trip. */
export type Fields = Readonly<Record<string, unknown>>

/** Encodes fields as a canonical CBOR map (RFC 7049 section 3.9); absent ones are left out. */
export function encodeFields(fields: Fields): Uint8Array {
  return encode(new Map(Object.entries(fields).filter(([, value]) => value !== undefined)))
}

/** Decodes one canonical CBOR map. Throws on any other bytes, also on another encoding of the same map. */
export function decodeFields(bytes: Uint8Array): Fields {
  const value: unknown = decode(bytes, decodeOptions)
  if (!(value instanceof Map)) throw new TypeError('not a map')
  if (Buffer.compare(encode(value), bytes) !== 0) throw new TypeError('not canonical')
  const fields: [string, unknown][] = []
  for (const [key, field] of value) {
    if (typeof key !== 'string') throw new TypeError('a key is not text')
    fields.push([key, field])
  }
  return Object.fromEntries(fields)
}

type BytesSchema = v.GenericSchema<Uint8Array, Uint8Array>
type TextSchema = v.GenericSchema<string, string>

/** Accepts byte strings of exactly `length` bytes. */
export function exactBytes(length: number): BytesSchema {
  return v.pipe(
    v.custom<Uint8Array>((value) => value instanceof Uint8Array),
    v.check((value) => value.byteLength === length),
  )
}

/** Accepts byte strings of 1 to `max` bytes. */
export function someBytes(max: number): BytesSchema {
  return v.pipe(
    v.custom<Uint8Array>((value) => value instanceof Uint8Array),
    v.check((value) => value.byteLength > 0 && value.byteLength <= max),
  )
}

/** Accepts non-empty text of at most `maxBytes` UTF-8 bytes without control characters. */
export function plainText(maxBytes: number): TextSchema {
  return v.pipe(
    v.string(),
    v.check((text) => isPlainText(text, maxBytes)),
  )
}

/** Tells whether a text is non-empty, at most `maxBytes` of UTF-8 and free of control characters and lone surrogates. */
export function isPlainText(text: string, maxBytes: number): boolean {
  if (text === '' || !text.isWellFormed() || Buffer.byteLength(text) > maxBytes) return false
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false
    // Line separators and direction overrides would let a member forge lines of our output.
    if (code === 0x2028 || code === 0x2029) return false
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return false
  }
  return true
}
