import {
  InvalidModulePathError,
  InvalidVersionError,
  parseModulePath,
  parseModuleVersion,
} from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatRequestTarget,
  InvalidRequestTargetError,
  type ProxyRequest,
  parseRequestTarget,
} from '../src/index.ts'

const upper = parseModuleVersion('example.com/Upper/mod', 'v1.0.0')
const text = parseModuleVersion('golang.org/x/text', 'v0.3.0')

describe('a target is read into what it asks for', () => {
  test.for<[string, ProxyRequest]>([
    ['/golang.org/x/text/@v/v0.3.0.zip', { kind: 'zip', module: text, cachedOnly: false }],
    ['/golang.org/x/text/@v/v0.3.0.mod', { kind: 'mod', module: text, cachedOnly: false }],
    ['/golang.org/x/text/@v/v0.3.0.info', { kind: 'info', module: text, cachedOnly: false }],
    ['/golang.org/x/text/@v/list', { kind: 'list', path: text.path, cachedOnly: false }],
    ['/golang.org/x/text/@latest', { kind: 'latest', path: text.path, cachedOnly: false }],
    [
      '/golang.org/x/text/@v/master.info',
      { kind: 'query', path: text.path, query: 'master', cachedOnly: false },
    ],
    // Not canonical: the proxy resolves it.
    [
      '/golang.org/x/text/@v/v0.3.info',
      { kind: 'query', path: text.path, query: 'v0.3', cachedOnly: false },
    ],
    // Canonical, but not of this path's major: an upstream with version control may know +incompatible.
    [
      '/golang.org/x/text/@v/v2.0.0.info',
      { kind: 'query', path: text.path, query: 'v2.0.0', cachedOnly: false },
    ],
    ['/example.com/%21upper/mod/@v/v1.0.0.zip', { kind: 'zip', module: upper, cachedOnly: false }],
    ['/example.com/!upper/mod/@v/v1.0.0.zip', { kind: 'zip', module: upper, cachedOnly: false }],
    // Percent-encoded all over is the same key.
    [
      '/example.com%2F%21upper%2Fmod/%40v/v1%2e0.0.zip',
      { kind: 'zip', module: upper, cachedOnly: false },
    ],
    [
      '/example.com/m/@v/v2.0.0+incompatible.zip',
      {
        kind: 'zip',
        module: parseModuleVersion('example.com/m', 'v2.0.0+incompatible'),
        cachedOnly: false,
      },
    ],
    [
      '/example.com/m/@v/v2.0.0%2Bincompatible.zip',
      {
        kind: 'zip',
        module: parseModuleVersion('example.com/m', 'v2.0.0+incompatible'),
        cachedOnly: false,
      },
    ],
    [
      '/cached-only/golang.org/x/text/@v/v0.3.0.zip',
      { kind: 'zip', module: text, cachedOnly: true },
    ],
    ['/golang.org/x/text/@v/list?x=1', { kind: 'list', path: text.path, cachedOnly: false }],
    [
      '/sumdb/sum.golang.org/supported',
      { kind: 'sumdb-supported', database: 'sum.golang.org', cachedOnly: false },
    ],
    [
      '/sumdb/sum.golang.org/latest',
      { kind: 'sumdb-latest', database: 'sum.golang.org', cachedOnly: false },
    ],
    [
      '/sumdb/sum.golang.org/lookup/example.com/!upper/mod@v1.0.0',
      { kind: 'sumdb-lookup', database: 'sum.golang.org', module: upper, cachedOnly: false },
    ],
    [
      '/sumdb/sum.golang.org/tile/8/0/x001/234.p/5',
      {
        kind: 'sumdb-tile',
        database: 'sum.golang.org',
        tile: 'tile/8/0/x001/234.p/5',
        cachedOnly: false,
      },
    ],
    [
      '/sumdb/sum.example.com/db/lookup/golang.org/x/text@v0.3.0',
      { kind: 'sumdb-lookup', database: 'sum.example.com/db', module: text, cachedOnly: false },
    ],
    ['/', { kind: 'page', path: '/' }],
    ['/-/healthz', { kind: 'page', path: '/-/healthz' }],
    ['/-/', { kind: 'page', path: '/-/' }],
  ])('%s', ([target, expected]) => {
    expect(parseRequestTarget(target)).toEqual(expected)
  })
})

describe('a target that names nothing is refused', () => {
  test.for([
    '',
    '*',
    'http://example.com/golang.org/x/text/@v/list',
    'golang.org/x/text/@v/list',
    '/golang.org/x/text',
    '/golang.org/x/text/',
    '/golang.org/x/text/@v/',
    '/golang.org/x/text/@v/list/',
    '/golang.org/x/text/@v/lists',
    '/golang.org/x/text/@latest/x',
    '/golang.org/x/text/@v2/list',
    '/golang.org//x/text/@v/list',
    '//golang.org/x/text/@v/list',
    '/golang.org/x/../x/text/@v/list',
    '/golang.org/./x/text/@v/list',
    '/golang.org/x/%2e%2e/text/@v/list',
    '/golang.org/x/text%00/@v/list',
    '/golang.org/x/text/@v/v0.3.0%0a.zip',
    '/golang.org/x/text/@v/v0.3.0.exe',
    '/golang.org/x/text/@v/.zip',
    '/golang.org/x/text/@v/.info',
    '/golang.org/x/text/@v/v0.3.zip',
    '/golang.org/x/text/@v/master.zip',
    '/golang.org/x/text/@v/master.mod',
    '/golang.org/x/text/@v/v2.0.0.zip',
    '/golang.org/x/text/@v/latest.info',
    '/golang.org/x/text/@v/upgrade.info',
    '/golang.org/x/text/@v/patch.info',
    '/golang.org/x/text/@v/a/b.info',
    '/golang.org/x/text/@v/v0.3.0.zip%',
    '/golang.org/x/text/@v/v0.3.0.zip%2',
    '/golang.org/x/text/@v/%zz.info',
    '/golang.org/x/Text/@v/list',
    '/golang.org/x/!Text/@v/list',
    '/golang.org/x/!/@v/list',
    '/golang.org/x/t!1ext/@v/list',
    '/golang.org/x/%C3%BC/@v/list',
    // Decoded once only: %2521 is not `!`.
    '/example.com/%2521upper/mod/@v/list',
    '/nodot/@v/list',
    '/cached-only',
    '/sumdb',
    '/sumdb/supported',
    '/sumdb/x/../sum.golang.org/supported',
    '/sumdb/sum.golang.org',
    '/sumdb/sum.golang.org/other',
    '/sumdb/sum.golang.org/supported/x',
    '/sumdb/sum.golang.org/latest/x',
    '/sumdb/sum.golang.org/lookup/golang.org/x/text',
    '/sumdb/sum.golang.org/lookup/golang.org/x/text@master',
    '/sumdb/sum.golang.org/lookup/golang.org/x/Text@v1.0.0',
    '/sumdb/sum.golang.org/tile/8/0',
    '/sumdb/sum.golang.org/tile/9/0/000',
    '/sumdb/sum.golang.org/tile/8/0/00',
    '/sumdb/sum.golang.org/tile/8/0/0000',
    '/sumdb/sum.golang.org/tile/8/0/001/234',
    '/sumdb/sum.golang.org/tile/8/0/x000/234',
    '/sumdb/sum.golang.org/tile/8/0/000.p/0',
    '/sumdb/sum.golang.org/tile/8/0/000.p/256',
    '/sumdb/sum.golang.org/tile/8/0/000.p/05',
    '/sumdb/sum.golang.org/tile/8/99/000',
  ])('%s', (target) => {
    expect(() => parseRequestTarget(target)).toThrow(InvalidRequestTargetError)
  })
})

describe('with a secret base path', () => {
  const options = { pathSecret: 'k3y/x' }

  test('a target under it is read', () => {
    const request = parseRequestTarget('/k3y/x/golang.org/x/text/@v/list', options)
    expect(request).toEqual({ kind: 'list', path: text.path, cachedOnly: false })
    expect(parseRequestTarget('/k3y/x', options)).toEqual({ kind: 'page', path: '/' })
    expect(parseRequestTarget('/k3y/x/-/healthz', options).kind).toBe('page')
  })

  test.for([
    '/golang.org/x/text/@v/list',
    '/',
    '/-/healthz',
    '/k3y/golang.org/x/text/@v/list',
    '/k3y/xgolang.org/x/text/@v/list',
    '/K3y/x/golang.org/x/text/@v/list',
  ])('%s is refused without a hint', (target) => {
    expect(() => parseRequestTarget(target, options)).toThrow(/^not found$/)
  })
})

const element = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,8}$/)
const path = fc
  .tuple(fc.stringMatching(/^[a-z][a-z0-9]{0,6}\.(com|org)$/), fc.array(element, { maxLength: 3 }))
  .map((parts) => parts.flat().join('/'))
const version = fc
  .tuple(fc.nat(9), fc.nat(99), fc.nat(99), fc.constantFrom('', '-rc.1', '-Beta', '+incompatible'))
  .map(([a, b, c, rest]) => `v${rest === '+incompatible' ? a + 2 : a % 2}.${b}.${c}${rest}`)
const query = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+~ -]{0,12}[A-Za-z0-9]$/)
const database = fc.constantFrom('sum.golang.org', 'sum.example.com/db')

/** Requests made the way callers make them; texts that module refuses are skipped. */
const request = fc
  .tuple(
    fc.constantFrom('zip', 'mod', 'info', 'list', 'latest', 'query', 'lookup', 'supported'),
    path,
    version,
    query,
    database,
    fc.boolean(),
  )
  .map(([kind, p, v, q, db, cachedOnly]): ProxyRequest | undefined => {
    try {
      switch (kind) {
        case 'zip':
        case 'mod':
        case 'info':
          return { kind, module: parseModuleVersion(p, v), cachedOnly }
        case 'list':
        case 'latest':
          return { kind, path: parseModulePath(p), cachedOnly }
        case 'query':
          return { kind, path: parseModulePath(p), query: q, cachedOnly }
        case 'lookup':
          return {
            kind: 'sumdb-lookup',
            database: db,
            module: parseModuleVersion(p, v),
            cachedOnly,
          }
        case 'supported':
          return { kind: 'sumdb-supported', database: db, cachedOnly }
      }
    } catch (error) {
      if (error instanceof InvalidModulePathError || error instanceof InvalidVersionError) return
      throw error
    }
  })
  .filter((made) => made !== undefined)

test('printing a request and reading it gives the request again', () => {
  let seen = 0
  fc.assert(
    fc.property(request, fc.constantFrom('', 's3cret', 'a/b'), (made, pathSecret) => {
      // A query that is a canonical version is not one.
      fc.pre(made.kind !== 'query' || !/^v\d|^(latest|upgrade|patch)$/.test(made.query))
      const printed = formatRequestTarget(made, { pathSecret })
      expect(parseRequestTarget(printed, { pathSecret })).toEqual(made)
      seen++
    }),
    { numRuns: 1_000 },
  )
  expect(seen).toBe(1_000)
})

test('any text is read or refused, and nothing else', () => {
  const anyTarget = fc.oneof(
    fc.string().map((text) => `/${text}`),
    fc.string({ unit: 'binary-ascii' }).map((text) => `/golang.org/x/text/@v/${text}`),
    fc
      .array(
        fc.constantFrom('sumdb', 'tile', '8', '%2', '%21', '!a', '@v', '..', 'x001', '.p', 'a.b'),
      )
      .map((parts) => `/${parts.join('/')}`),
  )
  fc.assert(
    fc.property(anyTarget, (target) => {
      try {
        const parsed = parseRequestTarget(target)
        expect(parseRequestTarget(formatRequestTarget(parsed))).toEqual(parsed)
      } catch (error) {
        if (!(error instanceof InvalidRequestTargetError)) throw error
      }
    }),
    { numRuns: 3_000 },
  )
})
