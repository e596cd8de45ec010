import { describe, expect, test } from 'vitest'
import { startStopwatch } from '../../../../../test/support/stopwatch.ts'
import { InvalidGoauthError, parseGoauth } from '../../../src/index.ts'
import {
  InvalidCredentialsError,
  parseCredentialSet,
} from '../../../src/upstream/credentials/credential-set.ts'
import { parseNetrc } from '../../../src/upstream/credentials/netrc.ts'

describe('a netrc file', () => {
  const show = (text: string): string[] =>
    parseNetrc(text).map(({ machine, login, password }) => `${machine} ${login} ${password}`)

  test.for<[string, string, string[]]>([
    ['one line', 'machine a.test login me password pw', ['a.test me pw']],
    ['several lines', 'machine a.test\n\tlogin me\n\tpassword pw\n', ['a.test me pw']],
    ['Windows lines', 'machine a.test\r\n login me\r\n password pw\r\n', ['a.test me pw']],
    ['another order', 'machine a.test password pw login me', ['a.test me pw']],
    ['an account', 'machine a.test login me account x password pw', ['a.test me pw']],
    [
      'two machines',
      'machine a login b password c\nmachine d login e password f',
      ['a b c', 'd e f'],
    ],
    ['a port', 'machine A.Test:8443 login me password pw', ['a.test:8443 me pw']],
    ['a comment', '# machine a login b password c\nmachine d login e password f', ['d e f']],
    ['a hash in a password', 'machine a login b password #c', ['a b #c']],
    ['no password', 'machine a login b\nmachine d login e password f', ['d e f']],
    ['default', 'machine a login b password c\ndefault login x password y', ['a b c']],
    ['nothing after default', 'default login x password y\nmachine a login b password c', []],
    [
      'a macro',
      'macdef init\nmachine a login b password c\n\nmachine d login e password f',
      ['d e f'],
    ],
    ['a macro without end', 'macdef init\nmachine a login b password c', []],
    ['an odd word', 'machine', []],
    ['nothing', '', []],
  ])('with %s', ([, text, expected]) => {
    expect(show(text)).toEqual(expected)
  })

  test('of one endless line is read in a moment', () => {
    const took = startStopwatch()
    expect(parseNetrc('machine '.repeat(100_000))).toEqual([])
    expect(took()).toBeLessThan(2_000)
  })
})

describe('GOAUTH', () => {
  test.for<[string, unknown[]]>([
    ['off', []],
    ['netrc', [{ kind: 'netrc', file: undefined }]],
    [' netrc  /etc/netrc ', [{ kind: 'netrc', file: '/etc/netrc' }]],
    [
      'git /srv/a; netrc',
      [
        { kind: 'git', dir: '/srv/a' },
        { kind: 'netrc', file: undefined },
      ],
    ],
    ['git "/srv/a b"', [{ kind: 'git', dir: '/srv/a b' }]],
    [`/bin/x -a 'b c' ""`, [{ kind: 'program', argv: ['/bin/x', '-a', 'b c', ''] }]],
  ])('%s', ([text, expected]) => {
    expect(parseGoauth(text)).toEqual(expected)
  })

  test.for([
    '',
    ';',
    'netrc;',
    'netrc;off',
    'git',
    'git hunter2',
    'git /a /b',
    "x 'hunter2",
    'netrc x',
  ])('%s is refused', (text) => {
    expect(() => parseGoauth(text)).toThrow(InvalidGoauthError)
    expect(() => parseGoauth(text)).not.toThrow(/hunter2/)
  })
})

describe('what a credential command prints', () => {
  test('is headers for beginnings of URLs', () => {
    const text = [
      'https://A.test',
      'https://b.test:443/api/',
      '',
      'Authorization: Bearer t: 1',
      'X-Team: go',
      '',
      'https://c.test:8443/x',
      '',
      'Example: Data',
      '',
      '',
    ].join('\n')
    const first = ['authorization', 'Bearer t: 1', 'x-team', 'go']
    expect([...parseCredentialSet(text)]).toEqual([
      ['a.test', first],
      ['b.test/api', first],
      ['c.test:8443/x', ['example', 'Data']],
    ])
  })

  test('may be nothing, and may take credentials back', () => {
    expect([...parseCredentialSet('')]).toEqual([])
    expect([...parseCredentialSet('https://a.test\n\n\n')]).toEqual([['a.test', []]])
  })

  test('cannot change what is asked', () => {
    const text = 'https://a.test\n\nHost: b\nRange: bytes=0-1\nProxy-Authorization: x\nA: b\n\n'
    expect([...parseCredentialSet(text)]).toEqual([['a.test', ['a', 'b']]])
  })

  test.for([
    'hunter2',
    'https://a.test\n',
    'https://a.test\n\nA: hunter2\n',
    'https://a.test\n\nA: hunter2\n\nhttps://b.test',
    'http://a.test\n\nA: hunter2\n\n',
    'https://u:hunter2@a.test\n\nA: b\n\n',
    'https://a.test\n\nhunter2\n\n',
    'https://a.test\n\nA B: hunter2\n\n',
    'https://a.test\n\nA: hunter2\u0000\n\n',
    'https://a.test\n\nA: hunter2\rX: y\n\n',
    'ü\n\nA: hunter2\n\n',
  ])('%j is refused, and not repeated', (text) => {
    expect(() => parseCredentialSet(text)).toThrow(InvalidCredentialsError)
    expect(() => parseCredentialSet(text)).not.toThrow(/hunter2/)
  })
})
