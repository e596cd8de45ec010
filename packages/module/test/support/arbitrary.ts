import * as fc from 'fast-check'
import { splitPathMajor } from '../../src/path-major.ts'
import { findPathFault } from '../../src/path-rules.ts'

const elementChar = fc.constantFrom(...Array.from('abzABZ019-._~'))
const element = fc.string({ unit: elementChar, minLength: 1, maxLength: 8 })

/** Valid module paths. */
export const anyModulePath: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('example.com', 'a.b-c.d', 'x.0'), fc.array(element, { maxLength: 4 }))
  .map(([host, elements]) => [host, ...elements].join('/'))
  .filter((path) => !findPathFault(path, 'module') && splitPathMajor(path) !== undefined)

const number = fc.oneof(fc.nat(12).map(String), fc.bigInt({ min: 0n, max: 10n ** 30n }).map(String))
const identifier = fc
  .string({ unit: fc.constantFrom(...Array.from('01aZ-')), minLength: 1, maxLength: 4 })
  .filter((text) => !/^0\d+$/.test(text))
const prerelease = fc.array(identifier, { maxLength: 3 }).map((ids) => ids.join('.'))

/** Canonical versions, pseudo-versions hardly ever. */
export const anyVersion: fc.Arbitrary<string> = fc
  .tuple(number, number, number, prerelease, fc.constantFrom('', '', '+incompatible'))
  .map(([major, minor, patch, pre, build]) => {
    return `v${major}.${minor}.${patch}${pre && `-${pre}`}${build}`
  })
