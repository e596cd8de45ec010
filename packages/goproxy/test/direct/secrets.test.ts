import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import { hideSecrets } from '../../src/direct/secrets.ts'

const hide = hideSecrets({})

async function homeWith(name: string, text: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'modmesh-home-'))
  onTestFinished(() => rm(home, { recursive: true }))
  await writeFile(join(home, name), text)
  return home
}

describe('of what git and go write', () => {
  test.for([
    {
      what: 'a password in a URL',
      text: "fatal: Authentication failed for 'https://bob:s3cret@git.test/x.git/'",
      safe: "fatal: Authentication failed for 'https://***@git.test/x.git/'",
    },
    {
      what: 'a token in place of a user',
      text: 'git ls-remote https://ghp_abc123@git.test/x: exit status 128',
      safe: 'git ls-remote https://***@git.test/x: exit status 128',
    },
    {
      what: 'a password with an at sign',
      text: 'https://bob:p@ss@git.test/x',
      safe: 'https://***@git.test/x',
    },
    {
      what: 'a password with a slash',
      text: 'unable to access https://bob:pa/s3cret@git.test/x.git: bad port',
      safe: 'unable to access https://***@git.test/x.git: bad port',
    },
    {
      what: 'a password that looks like the start of a URL',
      text: 'https://bob://s3cret@git.test/x and https://bob:s3://cret@git.test/x',
      safe: 'https://***@git.test/x and https://***@git.test/x',
    },
    {
      what: 'a password with quotes and brackets',
      text: `"https://bob:p'a"s(s)3@git.test/x"`,
      safe: '"https://***@git.test/x"',
    },
    {
      what: 'each of several URLs',
      text: 'https://a:secret1@h/x https://b:secret2@h/y,https://c:secret3@h/z',
      safe: 'https://***@h/x https://***@h/y,https://***@h/z',
    },
    {
      what: 'a token in a query',
      text: 'Get "https://git.test/x?private_token=abc&y=1": EOF',
      safe: 'Get "https://git.test/x?***": EOF',
    },
    {
      what: 'a header',
      text: '> Authorization: Basic Ym9iOnMzY3JldA==\n> Accept: */*',
      safe: '> Authorization: ***\n> Accept: */*',
    },
    {
      what: 'a header with a token',
      text: 'PRIVATE-TOKEN: glpat-12345',
      safe: 'PRIVATE-TOKEN: ***',
    },
    {
      what: 'a cookie, as go traces it',
      text: 'http2: Transport encoding header "cookie" = "session=abc"',
      safe: 'http2: Transport encoding header "cookie" = ***',
    },
    {
      what: 'a credential by its scheme',
      text: 'sent "Basic Ym9iOnMzY3JldA==" and Bearer eyJhbGciOi.J9.x',
      safe: 'sent "Basic *** and Bearer ***',
    },
  ])('$what is hidden', ({ text, safe }) => {
    expect(hide(text)).toBe(safe)
  })

  test.for([
    'reading https://git.test/x?go-get=1: 404 Not Found',
    'https://git.test:8443/a/@v/v1.0.0.info: 500',
    'Basic realm="git"',
    'the server wants bearer authentication',
    'git.test/x@v1.2.3: unknown revision v1.2.3',
    'nothing :// to see ://',
    '',
  ])('%j stays as it is', (text) => {
    expect(hide(text)).toBe(text)
  })

  test('a password in a URL is hidden, whatever it is made of', () => {
    const word = fc.string({ unit: 'grapheme-ascii', minLength: 5 })
    // Written down as it is it cannot be told from a URL with white space, digits first, or another mark and a slash.
    const isUnclear = (text: string): boolean =>
      text.includes(' ') ||
      (text.includes('/') && (text.includes('@') || text.includes('://'))) ||
      isDigit(text[0] ?? '')
    const isDigit = (char: string): boolean => char >= '0' && char <= '9'
    fc.assert(
      fc.property(word, (text) => {
        const isEscaped = isUnclear(text)
        const written = isEscaped ? encodeURIComponent(text) : text
        const safe = hide(`fatal: unable to access 'https://bob:${written}@git.test/x/': no`)
        expect(safe).toMatch(/^fatal: unable to access 'https:\/\/\*\*\*@/u)
        expect(safe).toMatch(/@git\.test\/x\/': no$/u)
        expect(safe.length).toBeLessThan(60)
      }),
    )
  })

  test('a megabyte of it takes no time', () => {
    const took = startStopwatch()
    for (const part of ['://', 'https://a:', 'a@', '"', 'Authorization ', 'https://u:p@h/x?q ']) {
      hide(part.repeat(1_000_000 / part.length / 10))
    }
    expect(took()).toBeLessThan(5_000)
  })
})

describe('passwords of .netrc', () => {
  const netrc = [
    'machine git.test login bob password hunter2-Secret',
    'machine other.test',
    '  login eve',
    '  password p/w+%=x',
    'default login anonymous password hunter2-Secret-and-more',
    'machine short.test login a password abc',
  ].join('\n')

  test('are hidden wherever they turn up, plain, escaped and encoded', async () => {
    const hideAll = hideSecrets({ HOME: await homeWith('.netrc', netrc) })
    const basic = Buffer.from('eve:p/w+%=x').toString('base64')
    const text = `a hunter2-Secret b ${encodeURIComponent('p/w+%=x')} c p/w+%=x d ${basic} e`
    expect(hideAll(text)).toBe('a *** b *** c *** d *** e')
    // The longer one, of which the other is a part, leaves no rest.
    expect(hideAll('hunter2-Secret-and-more')).toBe('***')
    expect(hideAll('abc is no secret')).toBe('abc is no secret')
  })

  test('are read from where NETRC says, too', async () => {
    const home = await homeWith('login', 'machine git.test login bob password from-elsewhere')
    const hideAll = hideSecrets({ HOME: '/nowhere', NETRC: join(home, 'login') })
    expect(hideAll('x from-elsewhere y')).toBe('x *** y')
  })

  test('that changed since the start are hidden', async () => {
    const home = await homeWith('.netrc', '')
    const hideAll = hideSecrets({ HOME: home })
    expect(hideAll('new-password')).toBe('new-password')
    await writeFile(join(home, '.netrc'), 'machine git.test login bob password new-password')
    expect(hideAll('new-password')).toBe('***')
  })

  test('of a file that is none do no harm', async () => {
    const home = await homeWith('.netrc', 'password\npassword password\0\n')
    expect(hideSecrets({ HOME: home })('machine and login')).toBe('machine and login')
  })
})
