import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import { afterAll, describe, expect, test } from 'vitest'
import { displayUpstreams, InvalidProxyListError, parseUpstreamRoutes } from '../../src/index.ts'
import { listFor } from '../../src/upstream/upstream-routes.ts'
import { UpstreamKit } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())

const parse = (text: string): ReturnType<typeof parseUpstreamRoutes> =>
  parseUpstreamRoutes(text, { otherwise: 'https://otherwise.test' })
/** The first entry of the list that a path goes by, in words. */
function goesTo(text: string, path: string): string {
  const { entries } = listFor(parse(text), parseModulePath(path))
  const [first] = entries
  if (first === undefined) return 'off'
  return first.kind === 'http' ? first.origin : first.kind
}

describe('a path goes by', () => {
  const table = [
    'https://default.test|https://b.test',
    'corp.test/secret/*=off',
    'corp.test/*,*.corp.test=https://corp.test:8443/go,direct',
    'corp.test/late=https://never.test',
    'git.test=direct',
  ].join(' ; ')

  test.for<[string, string]>([
    ['example.com/m', 'https://default.test'],
    ['corp.test/a', 'https://corp.test:8443'],
    ['corp.test/a/b/v2', 'https://corp.test:8443'],
    ['corp.test/secret/x', 'off'],
    ['corp.test/late', 'https://corp.test:8443'],
    ['eu.corp.test/a', 'https://corp.test:8443'],
    ['xcorp.test/a', 'https://default.test'],
    ['git.test/a', 'direct'],
  ])('%s: %s', ([path, expected]) => {
    expect(goesTo(table, path)).toBe(expected)
  })

  test('the list that stands for none, when only routes are given', () => {
    expect(goesTo('a.test=https://b.test', 'c.test/x')).toBe('https://otherwise.test')
  })

  test('a list whose URL holds an equals sign is no route', () => {
    expect(goesTo('https://a.test/x=y,direct', 'c.test/x')).toBe('https://a.test')
  })
})

test('all is shown as it was written, without base paths and passwords', () => {
  const text =
    'https://u:hunter2@a.test/hidden|direct;c.test/*=http://127.0.0.1:1/hidden,off;d.test=off'
  expect(displayUpstreams(parse(text))).toBe(
    'https://a.test|direct; c.test/*=http://127.0.0.1:1; d.test=off',
  )
})

describe('what is no table is refused without showing a password', () => {
  test.for([
    '',
    ' ; ',
    'https://a.test;https://b.test',
    '=https://a.test',
    'a b.test=https://a.test',
    'u:hunter2@host=https://a.test',
    'a.test=',
    'a.test=ftp://u:hunter2@b.test',
    'a.test=b.test=c.test=https://u:hunter2@',
  ])('%s', (text) => {
    expect(() => parse(text)).toThrow(InvalidProxyListError)
    expect(() => parse(text)).not.toThrow(/hunter2/)
  })
})

test('a routed path is asked of its own upstream only, and off is off for it alone', async () => {
  const [main, corp] = [await kit.startFake(), await kit.startFake()]
  const routed = corp.add({ path: 'corp.test/m', version: 'v1.0.0' })
  const hidden = parseModuleVersion('corp.test/secret/m', 'v1.0.0')
  const upstream = kit.ask(`${main.url};corp.test/secret/*=off;corp.test/*=${corp.url}`)
  expect((await upstream.fetchMod(routed, { signal })).from).toBe(corp.url)
  await expect(upstream.fetchMod(hidden, { signal })).rejects.toMatchObject({ code: 'OFFLINE' })
  expect([upstream.isEnabled(), upstream.isEnabled(hidden.path)]).toEqual([true, false])
  expect([main.count(), corp.count()]).toEqual([0, 1])
})
