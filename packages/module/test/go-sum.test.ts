import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatGoSum,
  type GoSumLine,
  maxSumBytes,
  parseGoSum,
  parseModHash,
  parseModuleVersion,
  parseZipHash,
} from '../src/index.ts'
import { anyModulePath } from './support/arbitrary.ts'

const a = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY='
const b = `h1:${Buffer.alloc(32, 7).toString('base64')}`

test('a go.sum is read line by line', () => {
  const text = `\nexample.com/M v1.0.0 ${a}\r\n  \n\texample.com/M\tv1.0.0/go.mod  ${b}`
  const module = parseModuleVersion('example.com/M', 'v1.0.0')
  expect(parseGoSum(Buffer.from(text))).toEqual([
    { kind: 'zip', module, hash: a },
    { kind: 'mod', module, hash: b },
  ])
})

test('a doubled line and a second hash are left to the caller', () => {
  const text = `x.y/m v1.0.0 ${a}\nx.y/m v1.0.0 ${a}\nx.y/m v1.0.0 ${b}\n`
  expect(parseGoSum(Buffer.from(text)).map(({ hash }) => hash)).toEqual([a, a, b])
})

test('what is written is sorted as go does, each line once', () => {
  const lines = [
    `x.y/m v1.10.0 ${a}`,
    `x.y/m v1.10.0/go.mod ${a}`,
    `x.y/m v1.9.0/go.mod ${a}`,
    `x.y/a v1.0.0 ${a}`,
    `x.y/a v1.0.0 ${a}`,
  ]
  const text = formatGoSum(parseGoSum(Buffer.from(lines.join('\n'))))
  expect(text).toBe([lines[3], lines[2], lines[0], lines[1], ''].join('\n'))
})

test('what is written is read back', () => {
  const line = fc.record({ path: anyModulePath, zip: fc.boolean(), hash: fc.constantFrom(a, b) })
  fc.assert(
    fc.property(fc.array(line), (given) => {
      const lines = given.filter(({ path }) => !path.includes('/v')).map(makeLine)
      const parsed = parseGoSum(Buffer.from(formatGoSum(lines)))
      expect(new Set(parsed.map(keyOf))).toEqual(new Set(lines.map(keyOf)))
      expect(parsed).toHaveLength(new Set(lines.map(keyOf)).size)
    }),
  )
})

test.for([
  ['two fields', 'x.y/m v1.0.0', 'wrong number of fields 2'],
  ['four fields', `x.y/m v1.0.0 ${a} x`, 'wrong number of fields 4'],
  ['a module path that is none', `m v1.0.0 ${a}`, 'malformed module path'],
  ['a version that is none', `x.y/m master ${a}`, 'invalid version'],
  ['a version that does not fit', `x.y/m v2.0.0/go.mod ${a}`, 'invalid version'],
  ['a hash that is none', 'x.y/m v1.0.0 h1:abc', 'not an h1 hash'],
  ['another algorithm', `x.y/m v1.0.0 h2${a.slice(2)}`, 'not an h1 hash'],
  ['another file', `x.y/m v1.0.0/go.sum ${a}`, 'invalid version'],
] as const)('%s is refused with its line', ([, line, reason]) => {
  const text = `x.y/m v1.0.0 ${a}\n\n${line}\n`
  expect(() => parseGoSum(Buffer.from(text))).toThrow(`go.sum:3: ${reason}`)
  expect(() => parseGoSum(Buffer.from(text))).toThrow(expect.objectContaining({ line: 3 }))
})

test('more than the limit is refused', () => {
  expect(parseGoSum(Buffer.alloc(maxSumBytes, ' '))).toEqual([])
  expect(() => parseGoSum(Buffer.alloc(maxSumBytes + 1, ' '))).toThrow('too large')
})

interface Given {
  readonly path: string
  readonly zip: boolean
  readonly hash: string
}

function makeLine({ path, zip, hash }: Given): GoSumLine {
  const version = path.startsWith('gopkg.in') ? 'v0.0.0' : 'v1.0.0'
  const module = parseModuleVersion(path, version)
  return zip
    ? { kind: 'zip', module, hash: parseZipHash(hash) }
    : { kind: 'mod', module, hash: parseModHash(hash) }
}

function keyOf({ kind, module, hash }: GoSumLine): string {
  return `${kind} ${module.path} ${module.version} ${hash}`
}
