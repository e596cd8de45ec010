import { parseModuleVersion } from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAge, parseAge } from '../../src/policy/age.ts'
import {
  explainRule,
  findDenialOfPath,
  judgeVersion,
  type Policy,
} from '../../src/policy/policy.ts'
import { InvalidPolicyRuleError } from '../../src/policy/policy-errors.ts'
import { parsePolicyRule } from '../../src/policy/policy-rule.ts'

const day = 86_400_000

function policy(rules: readonly string[], minAgeMs = 0): Policy {
  return { rules: rules.map(parsePolicyRule), minAgeMs }
}

function allows(rules: readonly string[], name: string): boolean {
  const [path = '', version = ''] = name.split('@')
  return judgeVersion(policy(rules), parseModuleVersion(path, version)).kind === 'allowed'
}

describe('one rule', () => {
  test.for<{ rule: string; denied: string[]; allowed: string[] }>([
    {
      rule: 'deny example.com/bad',
      denied: ['example.com/bad@v1.0.0', 'example.com/bad/v2@v2.0.0', 'example.com/bad/sub@v0.1.0'],
      allowed: ['example.com/badly@v1.0.0', 'example.com/good@v1.0.0'],
    },
    {
      rule: 'deny *.example.com/*,other.example/x',
      denied: ['a.example.com/m@v1.0.0', 'other.example/x@v1.0.0'],
      allowed: ['a.example.com.evil.test/m@v1.0.0', 'other.example/y@v1.0.0'],
    },
    { rule: 'deny *', denied: ['example.com/m@v1.0.0', 'x.test@v1.0.0'], allowed: [] },
    {
      rule: 'deny example.com/m@v1.2.3',
      denied: ['example.com/m@v1.2.3', 'example.com/m/sub@v1.2.3'],
      allowed: ['example.com/m@v1.2.4', 'example.com/m@v1.2.3-rc.1', 'example.com/m/v2@v2.2.3'],
    },
    {
      rule: 'deny example.com/m@v2.0.0',
      denied: ['example.com/m@v2.0.0+incompatible'],
      allowed: ['example.com/m@v2.0.1+incompatible'],
    },
    {
      rule: 'deny example.com/m@v1.2',
      denied: ['example.com/m@v1.2.0', 'example.com/m@v1.2.9-rc.1'],
      allowed: ['example.com/m@v1.20.0', 'example.com/m@v1.3.0'],
    },
    {
      rule: 'deny example.com/m@v0.*-*',
      denied: ['example.com/m@v0.1.0-rc.1', 'example.com/m@v0.0.0-20200101000000-abcdefabcdef'],
      allowed: ['example.com/m@v0.1.0', 'example.com/m@v1.0.0-rc.1'],
    },
    {
      rule: 'deny example.com/m@>=v1.2.0 <v1.2.5',
      denied: [
        'example.com/m@v1.2.0',
        'example.com/m@v1.2.4',
        'example.com/m@v1.2.5-rc.1',
        'example.com/m@v1.2.1-0.20200101000000-abcdefabcdef',
      ],
      allowed: ['example.com/m@v1.2.5', 'example.com/m@v1.2.0-rc.1', 'example.com/m@v1.1.9'],
    },
    {
      rule: 'deny example.com/m@>v1.2',
      denied: ['example.com/m@v1.2.1'],
      allowed: ['example.com/m@v1.2.0'],
    },
    {
      rule: 'deny example.com/m@<=v1.2.0',
      denied: ['example.com/m@v1.2.0', 'example.com/m@v0.0.1'],
      allowed: ['example.com/m@v1.2.1'],
    },
  ])('$rule', ({ rule, denied, allowed }) => {
    expect(denied.filter((name) => allows([rule], name))).toEqual([])
    expect(allowed.filter((name) => !allows([rule], name))).toEqual([])
  })

  test.for([
    { line: '', says: 'begins with allow or deny' },
    { line: 'block example.com', says: 'begins with allow or deny' },
    { line: 'Deny example.com', says: 'begins with allow or deny' },
    { line: 'deny', says: 'one list of globs' },
    { line: 'deny ,', says: 'one list of globs' },
    { line: 'deny # all', says: 'one list of globs' },
    { line: 'deny a.test b.test', says: 'one list of globs' },
    { line: 'deny a.test/[', says: 'malformed glob' },
    { line: 'deny a.test@', says: 'after @ come versions' },
    { line: 'deny a.test@1.2.3', says: 'after @ come versions' },
    { line: 'deny a.test@latest', says: 'after @ come versions' },
    { line: 'deny a.test@v1.[', says: 'after @ come versions' },
    { line: 'deny a.test@v1.*,v2.*', says: 'after @ come versions' },
    { line: 'deny a.test@v1.0.0 v1.0.1', says: 'after @ come versions' },
    { line: 'deny a.test@>=1', says: 'after @ come versions' },
    { line: 'deny a.test@>= v1.0.0', says: 'after @ come versions' },
    { line: 'deny a.test@v1.0.0@v2.0.0', says: 'after @ come versions' },
    { line: 'deny a.test min-age=7d', says: 'goes with allow' },
    { line: 'allow a.test min-age=week', says: 'min-age takes a time' },
    { line: 'allow a.test min-age=7d x', says: 'one list of globs' },
  ])('$line is refused, never skipped', ({ line, says }) => {
    expect(() => parsePolicyRule(line)).toThrow(InvalidPolicyRuleError)
    expect(() => parsePolicyRule(line)).toThrow(says)
  })

  test('what is behind the # is told to people', () => {
    const rule = parsePolicyRule('  deny  a.test@<v2   #  CVE-2026-1: see #7 ')
    expect(explainRule(rule)).toEqual(['rule: deny  a.test@<v2', 'reason: CVE-2026-1: see #7'])
  })

  test('any text is a rule or refused', () => {
    const parts = [
      'allow',
      'deny',
      ' ',
      '@',
      'v1',
      '.',
      '*',
      '<',
      '>=',
      '#',
      'min-age=',
      'a.test',
      '[',
    ]
    const line = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...parts)).map((words) => words.join('')),
    )
    fc.assert(
      fc.property(line, (text) => {
        try {
          expect(['allow', 'deny']).toContain(parsePolicyRule(text).effect)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidPolicyRuleError)
        }
      }),
    )
  })
})

describe('several rules', () => {
  test('the first that matches decides', () => {
    const rules = [
      'allow example.com/m@v1.2.3',
      'deny example.com/m',
      'allow example.com/*',
      'deny *',
    ]
    expect(allows(rules, 'example.com/m@v1.2.3')).toBe(true)
    expect(allows(rules, 'example.com/m@v1.2.4')).toBe(false)
    expect(allows(rules, 'example.com/other@v1.0.0')).toBe(true)
    expect(allows(rules, 'elsewhere.test/m@v1.0.0')).toBe(false)
  })

  test('where none matches, everything is allowed', () => {
    expect(allows([], 'example.com/m@v1.0.0')).toBe(true)
    expect(allows(['deny elsewhere.test'], 'example.com/m@v1.0.0')).toBe(true)
  })

  test('an allow may have an age of its own', () => {
    const all = policy(['allow corp.test/* min-age=0', 'allow slow.test min-age=30d'], 7 * day)
    const ageOf = (path: string) => judgeVersion(all, parseModuleVersion(path, 'v1.0.0'))
    expect(ageOf('corp.test/m')).toEqual({ kind: 'allowed', minAgeMs: 0 })
    expect(ageOf('slow.test')).toEqual({ kind: 'allowed', minAgeMs: 30 * day })
    expect(ageOf('other.test')).toEqual({ kind: 'allowed', minAgeMs: 7 * day })
  })

  test.for([
    { rules: ['deny example.com/m'], isDenied: true },
    { rules: ['deny example.com/m@<v2', 'deny *'], isDenied: true },
    { rules: ['deny example.com/m@<v2'], isDenied: false },
    { rules: ['allow example.com/m@v1.2.3', 'deny *'], isDenied: false },
    { rules: ['allow example.com/other', 'deny *'], isDenied: true },
    { rules: [], isDenied: false },
  ])('$rules deny the path as such: $isDenied', ({ rules, isDenied }) => {
    const { path } = parseModuleVersion('example.com/m', 'v1.0.0')
    expect(findDenialOfPath(policy(rules), path) !== undefined).toBe(isDenied)
  })
})

describe('an age', () => {
  test.for([
    ['0', 0],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['36h', 129_600_000],
    ['7d', 7 * day],
  ] as const)('%s', ([text, ms]) => {
    expect(parseAge(text)).toBe(ms)
    expect(parseAge(formatAge(ms))).toBe(ms)
  })

  test.for(['', '7', 'd', '-1d', '1.5d', '7w', '7 d', '9999999999d', '99999d'])(
    'is not %j',
    (text) => {
      expect(parseAge(text)).toBeUndefined()
    },
  )
})
