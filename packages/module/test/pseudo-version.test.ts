import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compareVersions,
  formatPseudoVersion,
  InvalidVersionError,
  isPrerelease,
  isPseudoVersion,
  parseVersion,
  pseudoVersionBase,
  pseudoVersionRev,
  pseudoVersionTime,
  rfc3339Seconds,
} from '../src/index.ts'
import { anyVersion } from './support/arbitrary.ts'

const anySecond = fc.date({
  min: new Date('0001-01-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59Z'),
  noInvalidDate: true,
})
const anyRev = fc.stringMatching(/^[0-9a-f]{12}$/)

test('a pseudo-version tells base, time and commit again', () => {
  fc.assert(
    fc.property(anyVersion, anySecond, anyRev, (base, date, rev) => {
      const time = `${date.toISOString().slice(0, 19)}Z`
      const made = formatPseudoVersion('v0', base, digits(time), rev)
      expect(parseVersion(made)).toBe(made)
      expect(isPseudoVersion(made) && isPrerelease(made)).toBe(true)
      expect(pseudoVersionBase(made)).toBe(base)
      expect(pseudoVersionTime(made)).toBe(time)
      expect(pseudoVersionRev(made)).toBe(rev)
      expect(compareVersions(base, made)).toBe(-1)
    }),
  )
})

test('without a base the major version is that of the path', () => {
  const made = formatPseudoVersion('v2', undefined, '20191109021931', 'daa7c04131f5')
  expect(made).toBe('v2.0.0-20191109021931-daa7c04131f5')
  expect(pseudoVersionBase(made)).toBeUndefined()
})

test.for(['v1.2.3', 'v1.2.3-pre', 'master', ''])('%j is no pseudo-version', (version) => {
  expect(isPseudoVersion(version)).toBe(false)
  expect(() => pseudoVersionTime(version)).toThrow(InvalidVersionError)
  expect(() => pseudoVersionBase(version)).toThrow(InvalidVersionError)
})

test('the time of an instant is that of the calendar', () => {
  fc.assert(
    fc.property(anySecond, fc.integer({ min: -1439, max: 1439 }), (date, minutes) => {
      const local = new Date(Math.floor(date.getTime() / 1000) * 1000 + minutes * 60_000)
      fc.pre(local.getUTCFullYear() > 0 && local.getUTCFullYear() < 10_000)
      const [hour, minute] = [Math.abs(minutes) / 60, Math.abs(minutes) % 60].map(twoDigits)
      const text = `${local.toISOString().slice(0, 19)}${minutes < 0 ? '-' : '+'}${hour}:${minute}`
      expect(rfc3339Seconds(text)).toBe(Math.floor(date.getTime() / 1000))
    }),
  )
})

test.for([
  '',
  '2020-01-01',
  '2020-01-01 00:00:00Z',
  '2020-01-01T00:00:00',
  '2020-01-01T00:00:00z',
  '2020-01-01T00:00:00.Z',
  '2020-01-01T00:00:60Z',
  '2020-01-01T24:00:00Z',
  '2020-13-01T00:00:00Z',
  '2020-00-01T00:00:00Z',
  '2019-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2020-01-01T00:00:00+0100',
  '2020-01-01T00:00:00Zx',
  '+020-01-01T00:00:00Z',
])('%j is no time', (text) => {
  expect(rfc3339Seconds(text)).toBeUndefined()
})

test('a fraction of a second is cut off', () => {
  expect(rfc3339Seconds('1970-01-01T00:00:01.999999999Z')).toBe(1)
})

function digits(time: string): string {
  return time.replaceAll(/\D/gu, '')
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0')
}
