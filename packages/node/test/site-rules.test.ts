import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatSiteRules,
  InvalidSiteRuleError,
  parseSiteLink,
  parseSiteRules,
} from '../src/site-rules.ts'

test.for<[string, ReturnType<typeof parseSiteRules>]>([
  ['metered', [{ mode: 'metered' }]],
  ['2MB/s', [{ upRate: 2_000_000, downRate: 2_000_000 }]],
  ['up:64kB/s  down:1MiB', [{ upRate: 64_000 }, { downRate: 1_048_576 }]],
  ['08:00-18:00=paused', [{ window: { fromMinute: 480, toMinute: 1_080 }, mode: 'paused' }]],
  ['22:30-24:00=open', [{ window: { fromMinute: 1_350, toMinute: 0 }, mode: 'open' }]],
])('%s is read', ([text, rules]) => {
  expect(parseSiteRules(text)).toEqual(rules)
})

test.for([
  '',
  '  ',
  'OPEN',
  'up:',
  'up:fast',
  '8:00-18:00=open',
  '08:00=open',
  '08:00-18:60=open',
  '24:00-08:00=open',
  '08:00-18:00-20:00=open',
  '08:00-18:00=',
  '=open',
  '1kB/s',
  '08:00-18:00=2MB=3MB',
])('%j is not', (text) => {
  expect(() => parseSiteRules(text)).toThrow(InvalidSiteRuleError)
})

test('the name of the site comes first', () => {
  expect(parseSiteLink('*=paused')).toEqual({ site: '*', rules: [{ mode: 'paused' }] })
  expect(() => parseSiteLink('=paused')).toThrow(InvalidSiteRuleError)
  expect(() => parseSiteLink('paused')).toThrow(InvalidSiteRuleError)
})

test('what is written is read as it was', () => {
  const minute = fc.integer({ min: 0, max: 1_439 })
  const window = fc.option(fc.record({ fromMinute: minute, toMinute: minute }), { nil: undefined })
  const rate = fc.integer({ min: 16_000, max: 1e12 })
  const value = fc.oneof(
    fc.constantFrom('open', 'metered', 'paused', 'forbidden').map((mode) => ({ mode })),
    rate.map((upRate) => ({ upRate })),
    rate.map((downRate) => ({ downRate })),
    rate.map((both) => ({ upRate: both, downRate: both })),
  )
  const rule = fc
    .tuple(window, value)
    .map(([time, said]) => (time === undefined ? said : { window: time, ...said }))
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 6 }), (rules) => {
      const text = formatSiteRules(rules as ReturnType<typeof parseSiteRules>)
      expect(parseSiteRules(text)).toEqual(rules)
    }),
  )
})
