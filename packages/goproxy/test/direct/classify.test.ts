import { describe, expect, test } from 'vitest'
import { toDirectError } from '../../src/direct/classify.ts'
import { FetchError } from '../../src/upstream/fetch-error.ts'

const asIs = (text: string): string => text
const failureOf = (text: string): FetchError => toDirectError(text, asIs)

/** What go 1.21 to 1.26 and git 2.30 to 2.51 write, with the repository's names replaced. */
describe('absent is', () => {
  test.for([
    ['a tag that is not there', 'git.test/x@v9.9.9: invalid version: unknown revision v9.9.9'],
    ['a path without versions', 'module git.test/x: no matching versions for query "latest"'],
    ['an empty repository', 'git.test/x@latest: invalid version: no commits in repository'],
    [
      'a version of another major one',
      'git.test/x@v2.0.0: invalid version: module contains a go.mod file, so module path must match major version ("git.test/x/v2")',
    ],
    [
      'a folder without a go.mod',
      'git.test/x/sub@v1.0.0: invalid version: missing git.test/x/sub/go.mod at revision sub/v1.0.0: go.mod at revision sub/v1.0.0',
    ],
    [
      'a page that is not there',
      'unrecognized import path "git.test/x": reading https://git.test/x?go-get=1: 404 Not Found',
    ],
    [
      'a page behind a login',
      'unrecognized import path "git.test/x": reading https://git.test/x?go-get=1: 401 Unauthorized',
    ],
    [
      'a page that says nothing of go',
      'unrecognized import path "git.test/x": parse https://git.test/x?go-get=1: no go-import meta tags ()',
    ],
    [
      'a repository that is not there, of git over http',
      "module git.test/x: git ls-remote -q --end-of-options https://git.test/x in /d/vcs/ab: exit status 128:\n\tfatal: repository 'https://git.test/x/' not found",
    ],
    [
      'a repository that is not there, of git in files',
      "module git.test/x.git: git ls-remote -q file:///x in /d/vcs/ab: exit status 128:\n\tfatal: '/x' does not appear to be a git repository\n\tfatal: Could not read from remote repository.",
    ],
    [
      'a repository that is not there, of a host over ssh',
      'git fetch -f git@git.test:x in /d: exit status 128:\n\tERROR: Repository not found.\n\tfatal: Could not read from remote repository.',
    ],
    [
      'a branch that went away',
      "git fetch -f origin refs/heads/x in /d: exit status 128:\n\tfatal: couldn't find remote ref refs/heads/x",
    ],
  ])('%s', ([, text]) => {
    expect(failureOf(text!)).toMatchObject({ code: 'FETCH', failure: 'absent' })
  })
})

describe('trouble, and not absent, is', () => {
  test.for([
    [
      'a login that fails',
      "git.test/x@v1.0.0: invalid version: git ls-remote -q https://git.test/x in /d: exit status 128:\n\tfatal: Authentication failed for 'https://git.test/x/'",
    ],
    [
      'a login that is missing',
      "git ls-remote -q https://git.test/x in /d: exit status 128:\n\tfatal: could not read Username for 'https://git.test': terminal prompts disabled",
    ],
    [
      'a refused key',
      'git fetch -f git@git.test:x in /d: exit status 128:\n\tgit@git.test: Permission denied (publickey).\n\tfatal: Could not read from remote repository.',
    ],
    [
      'a host key nobody knows',
      'git fetch: exit status 128:\n\tHost key verification failed.\n\tfatal: Could not read from remote repository.',
    ],
    [
      'a host that is down',
      "git ls-remote: exit status 128:\n\tfatal: unable to access 'https://git.test/x/': Failed to connect to git.test port 443: Connection refused",
    ],
    [
      'a name that does not resolve',
      'unrecognized import path "git.test/x": https fetch: Get "https://git.test/x?go-get=1": dial tcp: lookup git.test: no such host',
    ],
    [
      'a certificate nobody trusts',
      'unrecognized import path "git.test/x": https fetch: Get "https://git.test/x?go-get=1": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    ['a page that fails', 'reading https://git.test/x?go-get=1: 500 Internal Server Error'],
    ['a page that is too busy', 'reading https://git.test/x?go-get=1: 429 Too Many Requests'],
    ['a page that was too slow', 'reading https://git.test/x?go-get=1: 408 Request Timeout'],
    ['a proxy that wants a login', 'reading https://proxy.test/x/@v/list: 401 Unauthorized'],
    [
      'git that was killed, whatever it said before',
      'git.test/x@v1: invalid version: git fetch in /d: signal: killed:\n\tunknown revision v1',
    ],
    [
      'a message of a host that sounds like absence',
      "git fetch: exit status 128:\n\tremote: unknown revision, no matching versions for query\n\tfatal: unable to access 'https://git.test/x/': The requested URL returned error: 500",
    ],
    ['a full disk', 'mkdir /d/vcs/ab: no space left on device'],
    ['git that is not there', 'git.test/x: exec: "git": executable file not found in $PATH'],
    ['something nobody has seen yet', 'surprise'],
    ['nothing at all', ''],
  ])('%s', ([, text]) => {
    expect(failureOf(text!)).toMatchObject({ code: 'FETCH', failure: 'unreachable' })
  })
})

test('GOVCS that forbids is told as forbidden', () => {
  const text =
    "module git.test/x: GOVCS disallows using git for private git.test/x; see 'go help vcs'"
  expect(failureOf(text)).toMatchObject({ failure: 'status', status: 403 })
})

describe('the text of a failure', () => {
  test('is short, without our folders, repetitions or advice', () => {
    const text = [
      'git.test/x@v1: invalid version: git ls-remote -q https://git.test/x in /data/direct/v1/vcs/0a1b: exit status 128:',
      ...Array.from({ length: 3 }, () => '\tremote: the same again'),
      '\tfatal: could not read Username',
      'Confirm the import path was entered correctly.',
      'If this is a private repository, see https://golang.org/doc/faq#git_https for additional information.',
    ]
    expect(failureOf(text.join('\n')).message).toBe(
      [
        'direct: git.test/x@v1: invalid version: git ls-remote -q https://git.test/x: exit status 128:',
        'remote: the same again',
        'fatal: could not read Username',
      ].join('\n'),
    )
  })

  test('is bounded, however much was written', () => {
    const text = Array.from({ length: 10_000 }, (_, n) => `${n} ${'x'.repeat(1_000)}`).join('\n')
    const lines = failureOf(text).message.split('\n')
    expect(lines).toHaveLength(5)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(320)
  })

  test('is what is left when secrets are taken out', () => {
    const hide = (text: string): string => text.replaceAll('hunter2', '***')
    const { message } = toDirectError('exit status 128:\nfatal: hunter2 is wrong', hide)
    expect(message).toBe('direct: exit status 128:\nfatal: *** is wrong')
  })
})
