import { describe, expect, test } from 'vitest'
import { InvalidProxyListError, parseProxyList } from '../../src/index.ts'
import { displayEntry, type ProxyEntry } from '../../src/upstream/proxy-list.ts'

const show = (entry: ProxyEntry): string =>
  `${entry.kind === 'direct' ? 'direct' : displayEntry(entry)}${entry.fallThrough === 'any' ? '|' : ','}`

describe('a list is read as go reads GOPROXY', () => {
  test.for<[string, string[]]>([
    ['https://a.test', ['https://a.test,']],
    ['https://a.test,http://b.test', ['https://a.test,', 'http://b.test,']],
    ['https://a.test|https://b.test,direct', ['https://a.test|', 'https://b.test,', 'direct,']],
    [' https://a.test , | https://b.test ', ['https://a.test,', 'https://b.test,']],
    ['a.test', ['https://a.test,']],
    ['a.test:8080/x', ['https://a.test:8080,']],
    ['file:///srv/mod', ['file:///srv/mod,']],
    ['file:///srv/a%20b/', ['file:///srv/a b,']],
    ['off', []],
    ['off,https://a.test', []],
    ['https://a.test,off,https://b.test', ['https://a.test,']],
    ['https://a.test,direct,https://b.test', ['https://a.test,', 'direct,']],
    ['direct', ['direct,']],
    ['https://user:pass@a.test/base', ['https://a.test,']],
  ])('%s', ([text, expected]) => {
    expect(parseProxyList(text).entries.map(show)).toEqual(expected)
  })
})

test('the base path is kept, its trailing slashes are not', () => {
  expect(parseProxyList('https://a.test/x/y//').entries[0]).toMatchObject({ basePath: '/x/y' })
})

test('user info becomes a header and leaves the URL', () => {
  const [entry] = parseProxyList('https://us%40er:p%3Ass@a.test').entries
  const expected = `Basic ${Buffer.from('us@er:p:ss').toString('base64')}`
  expect(entry).toMatchObject({ origin: 'https://a.test', authorization: expected })
})

describe('what is no list is refused without showing a password', () => {
  test.for([
    '',
    ' , | ',
    'ftp://user:hunter2@a.test',
    'http://user:hunter2@a.test',
    'https://user:hunter2@',
    'https://user:hunter2@a.test?x=1',
    'https://user:hunter2@a.test#x',
    'https://user:hunter2@a b.test',
    'file://host/srv',
    'file:///srv?x',
    'file:///srv%2Fx',
    'https:\\\\user:hunter2@a.test',
    'https://a.test,nonsense://x',
  ])('%s', (text) => {
    const parse = (): unknown => parseProxyList(text)
    expect(parse).toThrow(InvalidProxyListError)
    expect(parse).not.toThrow(/hunter2/)
  })
})
