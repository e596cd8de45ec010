import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  hashMod,
  InvalidHashError,
  parseModHash,
  parseZipDigest,
  parseZipHash,
  zipHashBytes,
  zipHashFromBytes,
} from '../src/index.ts'

const empty = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY='

test('an empty go.mod has the hash that go writes', () => {
  expect(hashMod(new Uint8Array())).toBe(empty)
})

test('any other go.mod has another hash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      expect(hashMod(bytes)).not.toBe(empty)
      expect(parseModHash(hashMod(bytes))).toBe(hashMod(bytes))
    }),
  )
})

test('hash and bytes are two forms of one value', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hash = zipHashFromBytes(bytes)
      expect(hash).toBe(`h1:${Buffer.from(bytes).toString('base64')}`)
      expect(parseZipHash(hash)).toBe(hash)
      expect(zipHashBytes(hash)).toEqual(bytes)
    }),
  )
})

test.for([
  ['nothing', ''],
  ['another algorithm', empty.replace('h1', 'h2')],
  ['upper case', empty.replace('h1', 'H1')],
  ['no padding', empty.slice(0, -1)],
  ['31 bytes', `h1:${Buffer.alloc(31).toString('base64')}`],
  ['31 bytes and a wider padding', `h1:${Buffer.alloc(31, 1).toString('base64')}`],
  ['33 bytes', `h1:${Buffer.alloc(33).toString('base64')}`],
  ['bits beyond the last byte', empty.replace('Y=', 'Z=')],
  ['the alphabet of URLs', `h1:${Buffer.alloc(32, 0xff).toString('base64url')}=`],
  ['a line feed inside', empty.replace('G7', 'G\n')],
  ['a space behind', `${empty} `],
  ['padding in the middle', empty.replace('YY', '==')],
] as const)('%s is no hash', ([, text]) => {
  expect(() => parseZipHash(text)).toThrow(InvalidHashError)
  expect(() => parseModHash(text)).toThrow(InvalidHashError)
})

test.for([0, 31, 33])('%i bytes make no hash', (length) => {
  expect(() => zipHashFromBytes(new Uint8Array(length))).toThrow(InvalidHashError)
})

test('a zip digest is 64 lower-case hex digits', () => {
  const digest = '0123456789abcdef'.repeat(4)
  expect(parseZipDigest(digest)).toBe(digest)
  for (const bad of [
    '',
    digest.slice(1),
    `${digest}0`,
    digest.toUpperCase(),
    `${digest.slice(1)}g`,
  ]) {
    expect(() => parseZipDigest(bad), bad).toThrow(InvalidHashError)
  }
})
