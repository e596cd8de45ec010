import { parseModuleVersion } from '@modmesh/module'
import { expect, test } from 'vitest'
import { findStrangersInfoFault, infoForStrangers } from '../src/index.ts'

const pseudo = 'v0.0.0-20240506070809-0123456789ab'
const info = (version: string, time: string): Uint8Array =>
  Buffer.from(JSON.stringify({ Version: version, Time: time, Origin: { VCS: 'git' } }))

test('an .info with another time than its pseudo-version is given on with the one that strangers take', () => {
  const module = parseModuleVersion('example.com/m', pseudo)
  const seenLater = info(pseudo, '2025-01-02T03:04:05Z')
  expect(findStrangersInfoFault(seenLater, module)).toContain('expected 2024-05-06T07:08:09Z')
  const given = infoForStrangers(seenLater, module)
  expect(findStrangersInfoFault(given, module)).toBe(undefined)
  expect(JSON.parse(Buffer.from(given).toString())).toEqual({
    Version: pseudo,
    Time: '2024-05-06T07:08:09Z',
  })
})

test.for<[string, string, Uint8Array]>([
  ['the right time', pseudo, info(pseudo, '2024-05-06T07:08:09Z')],
  ['a tag', 'v1.0.0', info('v1.0.0', '2025-01-02T03:04:05Z')],
  ['another version', pseudo, info('v1.0.0', '2025-01-02T03:04:05Z')],
  ['no JSON', pseudo, Buffer.from('<html>')],
])('an .info of %s is given on as it is', ([, version, bytes]) => {
  expect(infoForStrangers(bytes, parseModuleVersion('example.com/m', version))).toBe(bytes)
})
