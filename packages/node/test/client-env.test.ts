import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { formatGoEnv, formatOtherWays, goEnv, otherWays } from '../src/client-env.ts'
import { readOptions } from '../src/read-options.ts'
import type { Surroundings } from '../src/settings.ts'

const around: Surroundings = {
  env: { XDG_CONFIG_HOME: `${tmpdir()}/modmesh-no-config` },
  home: '/h',
  cwd: '/',
}

describe('what go is told', () => {
  test('is the proxy alone by default', async () => {
    const { settings } = await readOptions({}, around)
    expect(goEnv(settings, 'http://127.0.0.1:1')).toEqual({ GOPROXY: 'http://127.0.0.1:1' })
  })

  test('includes the path secret, private patterns and a database of one’s own', async () => {
    const flags = {
      pathSecret: 'abcdefgh',
      private: 'a.example/*,b.example',
      sumdb: 'sum.x.example+1234+abcd http://x.example',
    }
    const { settings } = await readOptions(flags, around)
    expect(goEnv(settings, 'http://127.0.0.1:1')).toEqual({
      GOPROXY: 'http://127.0.0.1:1/abcdefgh',
      GONOSUMDB: 'a.example/*,b.example',
      GOSUMDB: 'sum.x.example+1234+abcd',
    })
  })
})

describe('those who are not on this host', () => {
  const addresses = [
    { kind: 'tcp', host: '127.0.0.1', port: 1 },
    { kind: 'tcp', host: '198.18.0.1', port: 2 },
    { kind: 'unix', path: '/run/modmesh.sock' },
  ] as const

  test('are told the allowed names, then the addresses, with the path secret', async () => {
    const flags = { pathSecret: 'abcdefgh', host: 'host.docker.internal' }
    const { settings } = await readOptions(flags, around)
    const ways = otherWays(settings, addresses)
    expect(ways).toEqual([
      'http://host.docker.internal:2/abcdefgh',
      'http://198.18.0.1:2/abcdefgh',
      'unix:/run/modmesh.sock',
    ])
    const lines = formatOtherWays(ways).trimEnd().split('\n')
    expect(lines.every((line) => line.startsWith('#'))).toBe(true)
    expect(lines[1]).toBe('#   GOPROXY=http://host.docker.internal:2/abcdefgh')
  })

  test('are told nothing where only this host is served', async () => {
    const { settings } = await readOptions({ host: 'proxy.example' }, around)
    const ways = otherWays(settings, addresses.slice(0, 1))
    expect(ways).toEqual([])
    expect(formatOtherWays(ways)).toBe('')
  })
})

describe('the lines', () => {
  const odd = { GOPROXY: 'http://127.0.0.1:4770', GONOSUMDB: "a.example/*,$(touch x),it's" }

  test.for([
    ['go', `go env -w GOPROXY=http://127.0.0.1:4770\n`],
    ['sh', `export GOPROXY=http://127.0.0.1:4770\n`],
    ['fish', `set -gx GOPROXY http://127.0.0.1:4770\n`],
    ['pwsh', `$env:GOPROXY = 'http://127.0.0.1:4770'\n`],
  ] as const)('for %s are what is typed there', ([shell, text]) => {
    expect(formatGoEnv({ GOPROXY: 'http://127.0.0.1:4770' }, shell)).toBe(text)
  })

  test('survive a real shell, however odd the value', () => {
    const script = `${formatGoEnv(odd, 'sh')}printf %s "$GONOSUMDB"`
    expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })).toBe(odd.GONOSUMDB)
  })
})
