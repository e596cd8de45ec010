import { expect, test } from 'vitest'
import { InvalidFileError, maxModBytes, parseGoMod } from '../src/index.ts'

test('everything that a go.mod says is read', () => {
  const text = `// Package m.
//
// Deprecated: use example.com/n,
// which is better.
module example.com/m // Deprecated: no

go 1.23.1

toolchain go1.24.0

require (
\texample.com/a v1.2.3
\t"example.com/b" v2.0.0+incompatible // indirect; used by a
)

require local v0.0.0 // indirect

exclude example.com/a v1.2.2

replace (
\tlocal => ./local
\texample.com/a v1.2.3 => example.com/fork v1.2.4
)

// published by accident
retract [v1.0.0, v1.0.5]

tool example.com/t
godebug default=go1.21
ignore ./node_modules
future directive (
\twith lines
)
`
  expect({ ...parseGoMod(Buffer.from(text)) }).toEqual({
    module: 'example.com/m',
    deprecated: 'use example.com/n,\nwhich is better.\nDeprecated: no',
    go: '1.23.1',
    toolchain: 'go1.24.0',
    require: [
      { path: 'example.com/a', version: 'v1.2.3', indirect: false },
      { path: 'example.com/b', version: 'v2.0.0+incompatible', indirect: true },
      { path: 'local', version: 'v0.0.0', indirect: true },
    ],
    exclude: [{ path: 'example.com/a', version: 'v1.2.2' }],
    replace: [
      { old: { path: 'local' }, new: { path: './local' } },
      {
        old: { path: 'example.com/a', version: 'v1.2.3' },
        new: { path: 'example.com/fork', version: 'v1.2.4' },
      },
    ],
    retract: [{ low: 'v1.0.0', high: 'v1.0.5', rationale: 'published by accident' }],
  })
})

test.for([
  ['an unterminated block', 'module m.x/y\nrequire (\n\ta.b/c v1.0.0\n', 2],
  ['a second module', 'module a\n\nmodule b\n', 3],
  ['a version that does not fit', 'module a\nrequire a.b/c v2.0.0\n', 2],
  ['a branch as version', 'require a.b/c master\n', 1],
  ['an open string', 'module "a\n', 1],
  ['a C comment', '\n/* a */\n', 2],
  ['a control character', 'module a\u0001\n', 1],
  ['a byte order mark', '\ufeffmodule a\n', 1],
] as const)('%s is refused with its line', ([, text, line]) => {
  expect(() => parseGoMod(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: 'INVALID_FILE', line }),
  )
})

test('a path quoted with bytes that are not UTF-8 is refused', () => {
  expect(() => parseGoMod(Buffer.from('module "\\xff"'))).toThrow(InvalidFileError)
})

test.for([
  'replace a => b',
  'replace => b',
  'exclude a',
  'retract [v1.0.0',
  'replace a v1 => ./b v1',
])('malformed lines that do not count in a dependency are skipped: %s', (line) => {
  const { module, replace, exclude, retract } = parseGoMod(Buffer.from(`${line}\nmodule m.x/y\n`))
  expect({ module, replace, exclude, retract }).toEqual({
    module: 'm.x/y',
    replace: [],
    exclude: [],
    retract: [],
  })
})

test('more than the limit is refused', () => {
  expect(() => parseGoMod(Buffer.alloc(maxModBytes + 1, '\n'))).toThrow('too large')
})

test.for([
  ['brackets', '('],
  ['quotes', '"\\'],
  ['slashes', '/ '],
  ['blank lines', '\n'],
  ['comments', '//\n'],
  ['words', 'é '],
  ['one word', 'a'],
  ['escapes', '"\\x61" '],
] as const)('a megabyte of %s is read without delay', ([, piece]) => {
  const text = `retract ${piece.repeat(2 ** 20 / piece.length)}`
  expect(outcome(text)).toMatch(/^(read|refused)$/u)
})

function outcome(text: string): string {
  try {
    parseGoMod(Buffer.from(text))
    return 'read'
  } catch (error) {
    if (error instanceof InvalidFileError) return 'refused'
    throw error
  }
}
