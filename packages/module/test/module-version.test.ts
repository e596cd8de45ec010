import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compareModuleVersions,
  compareVersions,
  escapeModulePath,
  escapeVersion,
  formatModuleVersion,
  InvalidModulePathError,
  InvalidVersionError,
  parseModulePath,
  parseModuleVersion,
  parsePathAtVersion,
  parseVersion,
  unescapeModulePath,
  unescapeVersion,
} from '../src/index.ts'
import { anyModulePath, anyVersion } from './support/arbitrary.ts'

test('a path is what its escaped form stands for', () => {
  fc.assert(
    fc.property(anyModulePath, (path) => {
      const escaped = escapeModulePath(parseModulePath(path))
      expect(escaped).toBe(escaped.toLowerCase())
      expect(unescapeModulePath(escaped)).toBe(path)
    }),
  )
})

test('an escaped path that can be read is the one that would be written', () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from('aAzZ!/.v2')) })
  fc.assert(
    fc.property(text, (tail) => {
      const path = tryRead(() => unescapeModulePath(`x.y/${tail}`))
      if (path !== undefined) expect(escapeModulePath(path)).toBe(`x.y/${tail}`)
    }),
  )
})

test('a version is what its escaped form stands for', () => {
  fc.assert(
    fc.property(anyVersion, (version) => {
      expect(parseVersion(version)).toBe(version)
      expect(unescapeVersion(escapeVersion(version))).toBe(version)
    }),
  )
})

test.for(['', '..', 'a/b', 'A', 'a!', '!1', 'a\\b', 'é', 'a\u0000', 'a\ud800'])(
  'no file is named by the version %j',
  (text) => {
    expect(() => unescapeVersion(text)).toThrow(InvalidVersionError)
  },
)

test('versions are in one total order', () => {
  fc.assert(
    fc.property(anyVersion, anyVersion, anyVersion, (a, b, c) => {
      expect(compareVersions(a, b)).toBe(0 - compareVersions(b, a))
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }
    }),
  )
})

test('modules are sorted by path, then by version', () => {
  const names = ['a.b/d@v1.0.0', 'a.b/c@v1.10.0', 'a.b/c@v1.9.0', 'a.b/c@v1.9.0-rc1']
  const modules = names.map(parsePathAtVersion)
  const sorted = modules.sort(compareModuleVersions).map(formatModuleVersion)
  expect(sorted).toEqual([...names].reverse())
})

test.for([
  ['a path that is none', 'm', 'v1.0.0', InvalidModulePathError],
  ['a version that is none', 'a.b/m', 'latest', InvalidVersionError],
  ['a short version', 'a.b/m', 'v1', InvalidVersionError],
  ['build metadata', 'a.b/m', 'v1.0.0+meta', InvalidVersionError],
  ['a major that the path does not name', 'a.b/m', 'v2.0.0', InvalidVersionError],
  ['a major that the path names otherwise', 'a.b/m/v3', 'v2.0.0', InvalidVersionError],
] as const)('no module has %s', ([, path, version, expected]) => {
  expect(() => parseModuleVersion(path, version)).toThrow(expected)
})

test.for(['', '@', 'a.b/m', 'a.b/m@', '@v1.0.0', 'a.b/m@v1', 'a.b/m@v1.0.0@v1.0.0'])(
  'no module version is named %j',
  (text) => {
    expect(tryRead(() => parsePathAtVersion(text))).toBeUndefined()
  },
)

test('an error shows no more of a hostile text than a line', () => {
  const error = new InvalidModulePathError(`a\n${'x'.repeat(1e6)}`, 'reason')
  expect(error.message.length).toBeLessThan(400)
  expect(error.message).not.toContain('\n')
})

test('texts of a megabyte are refused without delay', () => {
  for (const piece of ['a.b/', '!a', '.', '1', '-', 'v1.', '~1/']) {
    const text = piece.repeat(2 ** 20 / piece.length)
    expect(tryRead(() => parseModulePath(`${text}!`))).toBeUndefined()
    expect(tryRead(() => parseVersion(`v1.0.0-${text}!`))).toBeUndefined()
  }
})

function tryRead<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof InvalidModulePathError || error instanceof InvalidVersionError) return
    throw error
  }
}
