import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import {
  formatManifest,
  hash1,
  hashManifest,
  InvalidFileError,
  type ManifestLine,
  parseManifest,
  ZipRulesError,
} from '../src/index.ts'

const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const name = anyText().filter((text) => !text.includes('\n'))
const lines = fc.array(fc.record({ name, sha256 }))
const zeros = new Uint8Array(32)

test('a manifest holds a line for each file, in byte order of the names', () => {
  const names = ['m@v1/\u{10400}', 'm@v1/\ufb01', 'm@v1/b', 'm@v1/a']
  const manifest = formatManifest(names.map((each) => ({ name: each, sha256: zeros })))
  const hex = '0'.repeat(64)
  expect(Buffer.from(manifest).toString()).toBe(
    `${hex}  m@v1/a\n${hex}  m@v1/b\n${hex}  m@v1/\ufb01\n${hex}  m@v1/\u{10400}\n`,
  )
})

test('what is written is read back, sorted', () => {
  fc.assert(
    fc.property(lines, (files) => {
      const manifest = formatManifest(files)
      const parsed = parseManifest(manifest)
      expect(formatManifest(parsed)).toEqual(manifest)
      expect(new Set(parsed.map(keyOf))).toEqual(new Set(files.map(keyOf)))
    }),
  )
})

test('a text that can be read is exactly what would be written', () => {
  const piece = fc.constantFrom(
    '0'.repeat(64),
    'A'.repeat(64),
    'f'.repeat(63),
    '  ',
    ' ',
    'a',
    '\n',
    '\r',
    'é',
  )
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = Buffer.from(pieces.join(''))
      const parsed = tryParse(text)
      if (parsed !== undefined) expect(formatManifest(parsed)).toEqual(Uint8Array.from(text))
    }),
  )
})

test.for([
  ['a name with a line feed, which would forge a second line', 'a\nb'],
  ['a lone surrogate, which has no bytes', 'a\udc00'],
] as const)('no hash is made of %s', async ([, bad]) => {
  expect(() => formatManifest([{ name: bad, sha256: zeros }])).toThrow(ZipRulesError)
  await expect(hash1([bad], () => [])).rejects.toThrow(ZipRulesError)
})

test('a digest of another length is a mistake of the caller', () => {
  expect(() => formatManifest([{ name: 'a', sha256: new Uint8Array(31) }])).toThrow(RangeError)
})

describe('a manifest from a peer is refused', () => {
  const hex = '0'.repeat(64)
  test.for([
    ['without its last line feed', `${hex}  a`, 1],
    ['with one space', `${hex} a\n`, 1],
    ['with upper-case digits', `${'A'.repeat(64)}  a\n`, 1],
    ['with a blank line', `${hex}  a\n\n`, 2],
    ['with a short digest', `${hex.slice(1)}  a\n`, 1],
    ['out of order', `${hex}  b\n${hex}  a\n`, 2],
    ['in the order of UTF-16', `${hex}  \u{10400}\n${hex}  \ufb01\n`, 2],
  ] as const)('%s', ([, text, line]) => {
    expect(() => parseManifest(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'INVALID_FILE', line }),
    )
  })

  test('with a name that is not UTF-8', () => {
    const text = Buffer.concat([Buffer.from(`${hex}  `), Uint8Array.of(0xff, 0x0a)])
    expect(() => parseManifest(text)).toThrow(InvalidFileError)
  })
})

test('hash1 reads each file in chunks', async () => {
  const files = new Map([
    ['m@v1/b', ['package', ' m\n']],
    ['m@v1/a', []],
  ])
  const whole = Array.from(files, ([each, chunks]): ManifestLine => {
    return { name: each, sha256: createHash('sha256').update(chunks.join('')).digest() }
  })
  const seen = await hash1(Array.from(files.keys()), (each) =>
    (files.get(each) ?? []).map((chunk) => Buffer.from(chunk)),
  )
  expect(seen).toBe(hashManifest(formatManifest(whole)))
})

test('a failing read fails the hash', async () => {
  const open = (): never => {
    throw new Error('disk')
  }
  await expect(hash1(['a'], open)).rejects.toThrow('disk')
})

function keyOf(line: ManifestLine): string {
  return `${line.name} ${Buffer.from(line.sha256).toString('hex')}`
}

function tryParse(text: Uint8Array): ManifestLine[] | undefined {
  try {
    return parseManifest(text)
  } catch (error) {
    if (error instanceof InvalidFileError) return undefined
    throw error
  }
}
