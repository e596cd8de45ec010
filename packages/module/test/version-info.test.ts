import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatVersionInfo,
  InvalidFileError,
  maxInfoBytes,
  parseVersion,
  parseVersionInfo,
} from '../src/index.ts'
import { anyVersion } from './support/arbitrary.ts'

test('what is written is read back', () => {
  const time = fc.constantFrom(undefined, '2020-01-02T03:04:05Z', '2020-01-02T03:04:05.6+07:00')
  fc.assert(
    fc.property(anyVersion, time, (version, given) => {
      const info = { version: parseVersion(version), time: given }
      expect(parseVersionInfo(formatVersionInfo(info))).toEqual(info)
    }),
  )
})

test('it is written as go does', () => {
  const info = { version: parseVersion('v1.0.0'), time: '2020-01-02T03:04:05Z' }
  expect(Buffer.from(formatVersionInfo(info)).toString()).toBe(
    '{"Version":"v1.0.0","Time":"2020-01-02T03:04:05Z"}',
  )
})

test.for([
  [
    'what proxies add',
    '{"Version":"v1.0.0","Time":"2020-01-02T03:04:05Z","Origin":{"VCS":"git","Version":1}}',
  ],
  ['white space', ' {\n "Version" : "v1.0.0" , "Time" : "2020-01-02T03:04:05Z" } \n'],
  ['lower-case names', '{"version":"v1.0.0","time":"2020-01-02T03:04:05Z"}'],
  [
    'braces and colons in texts',
    '{"a\\":{[":"}:\\\\","Version":"v1.0.0","Time":"2020-01-02T03:04:05Z"}',
  ],
] as const)('it is read with %s', ([, text]) => {
  const want = { version: 'v1.0.0', time: '2020-01-02T03:04:05Z' }
  expect(parseVersionInfo(Buffer.from(text))).toEqual(want)
})

test('a time may be missing', () => {
  for (const text of ['{"Version":"v1.0.0"}', '{"Version":"v1.0.0","Time":null}']) {
    expect(parseVersionInfo(Buffer.from(text)).time).toBeUndefined()
  }
})

test.for([
  ['nothing', ''],
  ['a login page', '<html><body>Log in</body></html>'],
  ['a text', '"v1.0.0"'],
  ['a list', '[{"Version":"v1.0.0"}]'],
  ['null', 'null'],
  ['no version', '{}'],
  ['an empty version', '{"Version":""}'],
  ['a branch', '{"Version":"master"}'],
  ['a short version', '{"Version":"v1"}'],
  ['build metadata', '{"Version":"v1.0.0+meta"}'],
  ['a number', '{"Version":1}'],
  ['a time that is none', '{"Version":"v1.0.0","Time":"yesterday"}'],
  ['an empty time', '{"Version":"v1.0.0","Time":""}'],
  ['a number as time', '{"Version":"v1.0.0","Time":0}'],
  ['two versions, of which go takes the last', '{"Version":"v1.0.0","Version":"v2.0.0"}'],
  ['two spellings', '{"Version":"v1.0.0","version":"v2.0.0"}'],
  ['two spellings with the long s', '{"Version":"v1.0.0","Ver\u017fion":"v2.0.0"}'],
  [
    'a doubled time, hidden by null',
    '{"Version":"v1.0.0","Time":"2020-01-02T03:04:05Z","Time":null}',
  ],
  ['a byte order mark', '\ufeff{"Version":"v1.0.0"}'],
  ['something behind', '{"Version":"v1.0.0"} {}'],
  ['too much', `{"Version":"v1.0.0","x":"${' '.repeat(maxInfoBytes)}"}`],
  ['brackets without end', '['.repeat(maxInfoBytes)],
] as const)('%s is refused', ([, text]) => {
  expect(() => parseVersionInfo(Buffer.from(text))).toThrow(InvalidFileError)
})

test('bytes that are not UTF-8 are refused', () => {
  const bytes = Buffer.from('{"Version":"v1.0.0","x":"\xff"}', 'latin1')
  expect(() => parseVersionInfo(bytes)).toThrow('not valid UTF-8')
})
