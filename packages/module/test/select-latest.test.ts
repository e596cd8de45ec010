import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseVersion, selectLatest } from '../src/index.ts'
import { anyVersion } from './support/arbitrary.ts'

const old = 'v1.9.1-0.20190101000000-aaaaaaaaaaaa'
const young = 'v0.0.0-20200101000000-bbbbbbbbbbbb'

test.for([
  ['nothing', [], undefined],
  ['the highest release', ['v1.2.0', 'v1.10.0', 'v1.9.0'], 'v1.10.0'],
  ['a release before a higher prerelease', ['v1.0.0', 'v2.0.0-rc1'], 'v1.0.0'],
  [
    'the highest prerelease when there is no release',
    ['v1.0.0-rc1', 'v1.0.0-rc2', old],
    'v1.0.0-rc2',
  ],
  ['a prerelease before any pseudo-version', [old, 'v0.1.0-pre'], 'v0.1.0-pre'],
  ['the newest pseudo-version, not the highest', [young, old], young],
  [
    'an incompatible release by its number',
    ['v1.0.0', 'v2.0.0+incompatible'],
    'v2.0.0+incompatible',
  ],
] as const)('latest is %s', ([, versions, want]) => {
  const parsed = versions.map(parseVersion)
  expect(selectLatest(parsed)).toBe(want)
  expect(selectLatest(parsed.toReversed())).toBe(want)
})

test('the order of the list does not matter', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyVersion.map(parseVersion)), (versions) => {
      const best = selectLatest(versions)
      const others = selectLatest(versions.toReversed())
      // +incompatible has no precedence of its own.
      expect(best?.split('+')[0]).toBe(others?.split('+')[0])
    }),
  )
})
