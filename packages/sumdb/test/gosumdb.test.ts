import { expect, test } from 'vitest'
import { parseGosumdb } from '../src/index.ts'
import { FakeSumdb } from '../testing/index.ts'

const fake = new FakeSumdb({ name: 'sum.example.com/log' })

test.for([
  ['sum.golang.org', 'sum.golang.org', undefined],
  ['  sum.golang.org ', 'sum.golang.org', undefined],
  ['sum.golang.google.cn', 'sum.golang.org', 'https://sum.golang.google.cn'],
  ['sum.golang.org https://mirror.test/sum/', 'sum.golang.org', 'https://mirror.test/sum'],
  ['sum.golang.org\thttp://127.0.0.1:8080', 'sum.golang.org', 'http://127.0.0.1:8080'],
  [fake.keyText, 'sum.example.com/log', undefined],
  [`${fake.keyText}   file:///srv/log`, 'sum.example.com/log', 'file:///srv/log'],
] as const)('%s names %s at %s', ([text, name, url]) => {
  expect(parseGosumdb(text)).toMatchObject({ kind: 'on', name, url, key: { name } })
})

test('off is off', () => {
  expect(parseGosumdb('off')).toEqual({ kind: 'off' })
  expect(parseGosumdb(' off\n')).toEqual({ kind: 'off' })
})

test('the known key is the one that go has built in', () => {
  expect(parseGosumdb('sum.golang.org')).toMatchObject({
    key: { text: 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8' },
  })
})

test.for([
  ['', 'empty'],
  ['  ', 'empty'],
  ['sum.example.com', 'no key is known'],
  ['off https://mirror.test', 'no key is known'],
  ['sum.golang.org https://a.test https://b.test', 'too many fields'],
  ['sum.golang.org mirror.test', 'not an http, https or file URL'],
  ['sum.golang.org ftp://mirror.test', 'not an http, https or file URL'],
  ['sum.golang.org https://mirror.test/?a=b', 'query or fragment'],
  ['sum.golang.org https://mirror.test/#a', 'query or fragment'],
  ['sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8', 'hash is not that of'],
] as const)('%s is refused: %s', ([text, reason]) => {
  expect(() => parseGosumdb(text)).toThrow(
    expect.objectContaining({ code: 'INVALID_GOSUMDB', message: expect.stringContaining(reason) }),
  )
})

test.for([
  'sum.test/',
  'sum.test/../other',
  'sum.test?x',
  'sum.test#x',
  'user@sum.test',
  'Sum.test',
  '/sum.test',
  'sum.test\\x',
  'a b'.replace(' ', '\u00e9'),
])('a key of the name %s is refused, since it would mean another place in a URL', (name) => {
  expect(() => parseGosumdb(new FakeSumdb({ name }).keyText)).toThrow(
    expect.objectContaining({ code: 'INVALID_GOSUMDB' }),
  )
})
