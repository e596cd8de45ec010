import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseTxtar } from '../../../test/support/txtar.ts'
import {
  checkZipEntries,
  maxZipBytes,
  maxZipEntries,
  parseModuleVersion,
  type ZipEntry,
  ZipRulesError,
  zipPrefix,
} from '../src/index.ts'

const cases = join(import.meta.dirname, '../testdata/zip-rules')

/** x/mod v0.42.0 zip.CheckZip decides all of them the same way. */
test.for(readdirSync(cases))('%s', (name) => {
  const { files } = parseTxtar(readFileSync(join(cases, name), 'utf8'))
  const [module = '', entries = '', want = ''] = files.map(({ text }) => text)
  expect(files.map((file) => file.name)).toEqual(['module', 'entries', 'want'])
  expect(judge(module, parseEntries(entries))).toMatch(
    want === 'accepted\n' ? /^accepted$/ : new RegExp(`^refused: .*${want.slice(9, -1)}`, 'su'),
  )
})

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const prefix = zipPrefix(module)

test('a zip file larger than the limit is refused whatever it holds', () => {
  expect(() => checkZipEntries(module, [], maxZipBytes)).not.toThrow()
  expect(() => checkZipEntries(module, [], maxZipBytes + 1)).toThrow(ZipRulesError)
})

test('more entries than the limit are refused', () => {
  const entries = Array.from({ length: maxZipEntries + 1 }, (_, i) => ({
    name: `${prefix}${i}`,
    size: 0,
  }))
  expect(() => checkZipEntries(module, entries.slice(1), 0)).not.toThrow()
  expect(() => checkZipEntries(module, entries, 0)).toThrow(`${maxZipEntries + 1} entries`)
})

test.for([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 63])(
  'a size of %s cannot bring the sum below the limit',
  (size) => {
    expect(() => checkZipEntries(module, [{ name: `${prefix}a`, size }], 0)).toThrow(ZipRulesError)
  },
)

test.for(['', 'dir/'])('a directory entry %j with content is refused', (name) => {
  const entry = { name: prefix + name, size: 1 }
  expect(() => checkZipEntries(module, [entry], 0)).toThrow('directory with content')
})

test('a name with a lone surrogate is refused', () => {
  const entry = { name: `${prefix}a\ud800`, size: 1 }
  expect(() => checkZipEntries(module, [entry], 0)).toThrow('invalid UTF-8')
})

test('names of a thousand directories each cost no more than their length', () => {
  const deep = Array.from({ length: 200 }, (_, i) => `${prefix}d${i}/${'a/'.repeat(1000)}f`)
  const entries = deep.map((name) => ({ name, size: 0 }))
  expect(() => checkZipEntries(module, entries, 0)).not.toThrow()
})

function judge(text: string, entries: readonly ZipEntry[]): string {
  const [path = '', version = ''] = text.trim().split(' ')
  try {
    checkZipEntries(parseModuleVersion(path, version), entries, 0)
    return 'accepted'
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `refused: ${error.message}`
    throw error
  }
}

/** Lines of size, space and name; a name may hold spaces. */
function parseEntries(text: string): ZipEntry[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => {
    const space = line.indexOf(' ')
    return { size: Number(line.slice(0, space)), name: line.slice(space + 1) }
  })
}
