import { parseModuleVersion } from '@modmesh/module'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLookup, parseLookup } from '../src/index.ts'
import { readGoSum } from '../src/record.ts'
import { formatStoredRecord, parseStoredRecord } from '../src/stored-record.ts'
import { formatTreeHead, parseTreeHead } from '../src/tree-head.ts'
import { fakeLines } from '../testing/index.ts'
import { wanted } from './setting.ts'

const untrusted = expect.objectContaining({ code: 'SUMDB_UNTRUSTED' })
const line = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((s) => Array.from(s).every((c) => c >= ' '))
const text = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => `${lines.join('\n')}\n`)

describe('lookup answers', () => {
  test('an answer is read back as it was written', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), text, fc.string({ unit: 'grapheme' }), (id, record, note) => {
        const answer = { id, text: record, note }
        expect(parseLookup(Buffer.from(formatLookup(answer)))).toEqual(answer)
      }),
    )
  })

  test.for([
    ['nothing', ''],
    ['no number', 'a b\n\nnote'],
    ['a sign', '+1\na b\n\nnote'],
    ['a negative number', '-1\na b\n\nnote'],
    ['leading zeros', '01\na b\n\nnote'],
    ['a number too large', '99999999999999999\na b\n\nnote'],
    ['a number beyond any tree', '9007199254740993\na b\n\nnote'],
    ['no line end', '1'],
    ['no record', '1\n\nnote'],
    ['an empty record', '1\n\n\nnote'],
    ['no blank line', '1\na b\nnote\n'],
    ['a tab', '1\na\tb\n\nnote'],
    ['a NUL', '1\na\0b\n\nnote'],
    ['a carriage return', '1\na b\r\n\nnote'],
    ['too many bytes', `1\n${'a'.repeat(2_000_001)}\n\nnote`],
    ['too long a record', `1\n${'a'.repeat(1_000_001)}\n\nnote`],
  ])('an answer with %s is refused', ([, body]) => {
    expect(() => parseLookup(Buffer.from(body!))).toThrow(untrusted)
  })

  test('an answer that is not UTF-8 is refused', () => {
    expect(() => parseLookup(Buffer.from('1\na \xff\n\nnote', 'latin1'))).toThrow(untrusted)
  })
})

describe('go.sum lines', () => {
  const lines = fakeLines(wanted.path, wanted.version)
  const [zipLine, modLine] = lines.trimEnd().split('\n') as [string, string]

  test('both hashes are read', () => {
    expect(readGoSum(lines, wanted)).toEqual({
      zip: zipLine.split(' ')[2],
      mod: modLine.split(' ')[2],
    })
    expect(readGoSum(`${modLine}\n${zipLine}\n${zipLine}\n`, wanted)).toEqual(
      readGoSum(lines, wanted),
    )
  })

  test('a record without a go.mod line proves the zip alone', () => {
    expect(readGoSum(`${zipLine}\n`, wanted).mod).toBeUndefined()
  })

  test('a record with the go.mod line alone proves no zip', () => {
    expect(readGoSum(`${modLine}\n`, wanted)).toEqual({
      zip: undefined,
      mod: modLine.split(' ')[2],
    })
  })

  test('lines of other hashes than h1 are passed over', () => {
    expect(readGoSum(zipLine.replace('h1:', 'h2:') + `\n${lines}`, wanted)).toEqual(
      readGoSum(lines, wanted),
    )
  })

  test.for([
    ['of another module', fakeLines('example.com/other', wanted.version)],
    ['of another version', fakeLines(wanted.path, 'v1.2.4')],
    ['of a longer version', fakeLines(wanted.path, `${wanted.version}0`)],
    ['of a longer path', fakeLines(`x${wanted.path}`, wanted.version)],
    ['of the path in other letters', fakeLines(wanted.path.toLowerCase(), wanted.version)],
    ['with another kind of hash alone', `${zipLine.replace('h1:', 'h2:')}\n`],
    ['with two spaces', `${zipLine.replaceAll(' ', '  ')}\n`],
    ['with a shortened hash', `${zipLine.slice(0, -4)}\n`],
    ['with something after the hash', `${zipLine} x\n`],
    [
      'with two hashes for one zip',
      zipLine + '\n' + fakeLines(wanted.path, wanted.version, 'salt'),
    ],
    [
      'with two hashes for one go.mod',
      `${lines}${fakeLines(wanted.path, wanted.version, 's').split('\n')[1]}\n`,
    ],
    ['with a broken go.mod hash', `${zipLine}\n${modLine.slice(0, -4)}\n`],
  ])('a record %s is refused', ([, record]) => {
    expect(() => readGoSum(record!, wanted)).toThrow(untrusted)
  })

  test('a pseudo-version and +incompatible are read', () => {
    for (const version of ['v0.0.0-20200101000000-0123456789ab', 'v2.0.0+incompatible']) {
      const module = parseModuleVersion('example.com/m', version)
      expect(readGoSum(fakeLines(module.path, version), module).zip).toMatch(/^h1:/)
    }
  })
})

describe('stored records', () => {
  const hashes = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 52 })

  test('a record with its proof is read back as it was written', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), text, hashes, fc.string(), (id, record, path, head) => {
        const stored = parseStoredRecord(
          formatStoredRecord({ id, text: record, hashes: path, head: head.toWellFormed() }),
        )
        expect({ ...stored, hashes: stored.hashes.map((hash) => Uint8Array.from(hash)) }).toEqual({
          id,
          text: record,
          hashes: path.map((hash) => Uint8Array.from(hash)),
          head: head.toWellFormed(),
        })
      }),
    )
  })

  const hash = Buffer.alloc(32).toString('base64')
  test.for([
    ['nothing', ''],
    ['another first line', `modmesh record 2\n1\n${hash}\n\na\n\nn`],
    ['no number', `modmesh record 1\n\na\n\nn`],
    ['no record', `modmesh record 1\n1\n${hash}\n\nn`],
    ['a short hash', `modmesh record 1\n1\n${hash.slice(4)}\n\na\n\nn`],
    ['a hash that is not base64', `modmesh record 1\n1\n*${hash}\n\na\n\nn`],
    ['too many hashes', `modmesh record 1\n1\n${`${hash}\n`.repeat(53)}\na\n\nn`],
  ])('a stored record with %s is refused', ([, stored]) => {
    expect(() => parseStoredRecord(Buffer.from(stored!))).toThrow(untrusted)
  })
})

describe('tree texts', () => {
  const root = Buffer.alloc(32, 7)
  const empty = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='

  test('a tree is read back as it was written, with lines of the future after it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), fc.string(), (size, more) => {
        const written = formatTreeHead({ size, root })
        expect(parseTreeHead(written)).toEqual({ size, root })
        expect(parseTreeHead(`${written}${more}\n`)).toEqual({ size, root })
      }),
    )
    expect(parseTreeHead(`go.sum database tree\n0\n${empty}\n`).size).toBe(0)
  })

  test.for([
    ['nothing', ''],
    ['another first line', `go.sum database Tree\n1\n${empty}\n`],
    ['no size', `go.sum database tree\n\n${empty}\n`],
    ['leading zeros', `go.sum database tree\n01\n${empty}\n`],
    ['a size that is not a number', `go.sum database tree\n1e3\n${empty}\n`],
    ['a size too large', `go.sum database tree\n9007199254740993\n${empty}\n`],
    ['no root', 'go.sum database tree\n1\n'],
    ['a short root', `go.sum database tree\n1\n${empty.slice(4)}\n`],
    ['a root that is not base64', `go.sum database tree\n1\n*${empty.slice(1)}\n`],
    ['no last line end', `go.sum database tree\n1\n${empty}`],
    ['another root of no records', `go.sum database tree\n0\n${root.toString('base64')}\n`],
  ])('a tree with %s is refused', ([, tree]) => {
    expect(() => parseTreeHead(tree!)).toThrow(untrusted)
  })
})
