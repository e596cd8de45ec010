import { describe, expect, test } from 'vitest'
import { childEnvironment } from '../../src/direct/child-env.ts'
import { directFolders } from '../../src/direct/folders.ts'

const folders = directFolders('/data/direct/v1')

function environment(
  around: Readonly<Record<string, string | undefined>>,
  init: { readonly privatePaths?: string; readonly caFile?: string } = {},
): Record<string, string> {
  const { privatePaths = '', caFile } = init
  return childEnvironment({ around, folders, privatePaths, caFile })
}

/** What git is told by variables, in order. */
function gitSettings(env: Readonly<Record<string, string>>): readonly string[] {
  const count = Number(env['GIT_CONFIG_COUNT'])
  return Array.from(
    { length: count },
    (_, n) => `${env[`GIT_CONFIG_KEY_${n}`]}=${env[`GIT_CONFIG_VALUE_${n}`]}`,
  )
}

describe('the environment of a child', () => {
  test('keeps what makes logins, agents, proxies and settings of git and go work', () => {
    const around = {
      HOME: '/home/bob',
      NETRC: '/etc/netrc',
      SSH_AUTH_SOCK: '/run/agent',
      HTTPS_PROXY: 'http://proxy:3128',
      NO_PROXY: 'git.test',
      GIT_CONFIG_GLOBAL: '/home/bob/other',
      GIT_ASKPASS: '/usr/bin/ask',
      GOVCS: 'git.test:git',
      GOINSECURE: 'git.test',
      GOAUTH: 'netrc',
      GOENV: '/home/bob/goenv',
    }
    expect(environment(around)).toMatchObject(around)
  })

  test('drops our own secrets, traces that would write down others, and other repositories', () => {
    const env = environment({
      MODMESH_JOIN: 'ticket',
      MODMESH_UPSTREAM: 'https://bob:secret@proxy.test',
      MODMESH_PATH_SECRET: 'abcdefgh',
      GIT_TRACE: '1',
      GIT_TRACE_CURL: '/tmp/x',
      GIT_TRACE2_EVENT: '/tmp/x',
      GIT_CURL_VERBOSE: '1',
      GIT_DIR: '/home/bob/repo/.git',
      GIT_WORK_TREE: '/home/bob/repo',
      GIT_INDEX_FILE: '/x',
      GIT_OBJECT_DIRECTORY: '/x',
    })
    const names = Object.keys(env)
    expect(names.filter((name) => name.startsWith('MODMESH_'))).toEqual([])
    expect(names.filter((name) => name.startsWith('GIT_TRACE'))).toEqual([])
    for (const name of ['GIT_CURL_VERBOSE', 'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE']) {
      expect(names).not.toContain(name)
    }
    expect(JSON.stringify(env)).not.toContain('secret')
  })

  test('asks no proxy and no database, loads no toolchain, and shows no prompt', () => {
    const around = {
      GOPROXY: 'http://127.0.0.1:4770',
      GOSUMDB: 'sum.golang.org',
      GOFLAGS: '-mod=mod',
    }
    expect(
      environment({ ...around, GO111MODULE: 'off', GOWORK: '/w', LANG: 'de_DE' }),
    ).toMatchObject({
      GOPROXY: 'direct',
      GOSUMDB: 'off',
      GOFLAGS: '-modcacherw',
      GO111MODULE: 'on',
      GOWORK: 'off',
      GOTOOLCHAIN: 'path',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
    })
  })

  test('writes below our folder only', () => {
    const env = environment({ GOPATH: '/home/bob/go', GOCACHE: '/c', TMPDIR: '/tmp' })
    for (const name of ['GOPATH', 'GOCACHE', 'GOTMPDIR', 'TMPDIR', 'TEST_TELEMETRY_DIR']) {
      expect(env[name]).toMatch(/^\/data\/direct\/v1\//u)
    }
  })

  test('lets ssh ask nobody, unless the user has a command for it', () => {
    expect(environment({})['GIT_SSH_COMMAND']).toContain('BatchMode=yes')
    expect(environment({ GIT_SSH: '/usr/bin/plink' })).not.toHaveProperty('GIT_SSH_COMMAND')
    const GIT_SSH_COMMAND = 'ssh -i key'
    expect(environment({ GIT_SSH_COMMAND })).toMatchObject({ GIT_SSH_COMMAND })
  })

  test('adds settings of git behind the user’s own', () => {
    const own = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'c' }
    const settings = gitSettings(environment(own))
    expect(settings.slice(0, 2)).toEqual(['a.b=c', 'gc.auto=0'])
    for (const odd of ['-1', 'x', '1.5', '']) {
      expect(gitSettings(environment({ GIT_CONFIG_COUNT: odd }))[0]).toBe('gc.auto=0')
    }
  })

  test('names our authorities to both, in place of the user’s file', () => {
    const caFile = '/data/direct/v1/ca.pem'
    const plain = environment({}, { caFile })
    expect(plain['SSL_CERT_FILE']).toBe(caFile)
    expect(gitSettings(plain)).toContain(`http.sslCAInfo=${caFile}`)
    const own = environment({ GIT_SSL_CAINFO: '/own.pem' }, { caFile })
    expect(own['GIT_SSL_CAINFO']).toBe(caFile)
    const without = environment({ SSL_CERT_FILE: '/own.pem' })
    expect(without['SSL_CERT_FILE']).toBe('/own.pem')
    expect(gitSettings(without).join()).not.toContain('sslCAInfo')
  })

  test('says what is private', () => {
    const env = environment({ GOPRIVATE: 'old.test' }, { privatePaths: '*.corp.test,git.test' })
    expect(env['GOPRIVATE']).toBe('*.corp.test,git.test')
  })
})
