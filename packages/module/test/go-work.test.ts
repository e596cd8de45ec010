import { expect, test } from 'vitest'
import {
  InvalidFileError,
  maxModBytes,
  parseGoWork,
  parseVendorModules,
  prunesGraph,
  tidiesWholeGraph,
} from '../src/index.ts'

const read = (text: string) => ({ ...parseGoWork(Buffer.from(text)) })

test('everything that a go.work says is read', () => {
  const text = `go 1.23.1 // why
toolchain go1.24.0
use ./one
use (
\t../two // a comment
\t"./with blank"
\t/abs
)
replace example.com/a v1.0.0 => ./a
replace (
\texample.com/b => example.com/c v1.2.3
)
godebug default=go1.21
future ./thing
`
  const expected = {
    go: '1.23.1',
    toolchain: 'go1.24.0',
    use: ['./one', '../two', './with blank', '/abs'],
    replace: [
      {
        old: { path: 'example.com/a', version: 'v1.0.0' },
        new: { path: './a', version: undefined },
      },
      {
        old: { path: 'example.com/b', version: undefined },
        new: { path: 'example.com/c', version: 'v1.2.3' },
      },
    ],
  }
  expect(read(text)).toEqual(expected)
  expect(read(text.replaceAll('\n', '\r\n'))).toEqual(expected)
})

test('an empty go.work uses nothing', () => {
  expect(read('')).toEqual({ go: undefined, toolchain: undefined, use: [], replace: [] })
})

test.for([
  ['go 1', 'go.work:1: go: invalid go version'],
  ['go 1.22\ngo 1.23', 'go.work:2: go: repeated go statement'],
  ['use', 'go.work:1: use: expects exactly one argument'],
  ['use a b', 'go.work:1: use: expects exactly one argument'],
  ['use `a`', 'go.work:1: use: expects exactly one argument'],
  ['replace a.b/c => ./d v1.0.0', 'go.work:1: replace: invalid replacement'],
  ['use (\n./a', 'go.work:1: unterminated block'],
  ['use /* no */ a', 'go.work:1: mod files must use // comments'],
] as const)('%j is refused: %s', ([text, message]) => {
  expect(() => read(text)).toThrow(InvalidFileError)
  expect(() => read(text)).toThrow(message)
})

test('files beyond the limit are refused unread', () => {
  const large = Buffer.alloc(maxModBytes + 1, '\n')
  expect(() => parseGoWork(large)).toThrow('go.work: too large')
  expect(() => parseVendorModules(large)).toThrow('vendor/modules.txt: too large')
})

test('a vendor folder names its modules, their replacements, and which have packages', () => {
  const text = `## workspace
# example.com/a v1.0.0
## explicit; go 1.22
example.com/a
# example.com/b v1.0.0+incompatible
## explicit
# example.com/c v1.0.0 => example.com/d v1.1.0
example.com/c/x
# example.com/e v1.0.0 => ../e
example.com/e
# example.com/f => example.com/g v1.0.0
example.com/not-counted
# nonsense
`
  const module = (path: string, version: string) => ({ path, version })
  const expected = [
    { ...module('example.com/a', 'v1.0.0'), replacedBy: undefined, hasPackages: true },
    {
      ...module('example.com/b', 'v1.0.0+incompatible'),
      replacedBy: undefined,
      hasPackages: false,
    },
    {
      ...module('example.com/c', 'v1.0.0'),
      replacedBy: module('example.com/d', 'v1.1.0'),
      hasPackages: true,
    },
    {
      ...module('example.com/e', 'v1.0.0'),
      replacedBy: { path: '../e', version: undefined },
      hasPackages: true,
    },
  ]
  expect(parseVendorModules(Buffer.from(text))).toEqual(expected)
  expect(parseVendorModules(Buffer.from(text.replaceAll('\n', '\r\n')))).toEqual(expected)
})

test.for([
  { go: undefined, prunes: false, tidies: true },
  { go: '1.9', prunes: false, tidies: true },
  { go: '1.16.3', prunes: false, tidies: true },
  { go: '1.17', prunes: true, tidies: true },
  { go: '1.18', prunes: true, tidies: false },
  { go: '1.21rc2', prunes: true, tidies: false },
  { go: '2.0', prunes: true, tidies: false },
])('go $go prunes its graph: $prunes', ({ go, prunes, tidies }) => {
  expect(prunesGraph(go)).toBe(prunes)
  expect(tidiesWholeGraph(go)).toBe(tidies)
})
