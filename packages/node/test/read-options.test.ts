import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePolicyRule } from '@modmesh/fill'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { UsageError } from '../src/errors.ts'
import { flagName, optionNames, variableName } from '../src/options.ts'
import { readDirOption, readOptions } from '../src/read-options.ts'
import type { OptionName, Settings, Surroundings } from '../src/settings.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-options-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function around(env: Record<string, string> = {}): Surroundings {
  return { env: { XDG_CONFIG_HOME: folder, ...env }, home: '/home/gopher', cwd: '/cwd' }
}

async function configFile(text: string): Promise<string> {
  const path = join(folder, 'my.toml')
  await writeFile(path, text)
  return path
}

/** For each option: a text that is not the default, its TOML form, and what it must become. */
const cases: {
  readonly [K in Exclude<OptionName, 'config' | 'join'>]: readonly [
    text: string,
    toml: string,
    value: Settings[K],
  ]
} = {
  dir: ['/data/x', '"/data/x"', '/data/x'],
  log: ['debug', '"debug"', 'debug'],
  maxSize: ['20GB', '"20GB"', 20_000_000_000],
  scrub: ['12h', '"12h"', 12 * 3_600_000],
  listen: [
    '127.0.0.1:99,unix:/run/m.sock',
    '["127.0.0.1:99", "unix:/run/m.sock"]',
    ['127.0.0.1:99', 'unix:/run/m.sock'],
  ],
  host: ['a.example,b.example', '["a.example", "b.example"]', ['a.example', 'b.example']],
  pathSecret: ['s3cret-s3cret', '"s3cret-s3cret"', 's3cret-s3cret'],
  upstream: [
    'https://a.example|off;x.example/*,y.example=https://b.example,direct',
    '{ default = "https://a.example|off", "x.example/*,y.example" = "https://b.example,direct" }',
    'https://a.example|off;x.example/*,y.example=https://b.example,direct',
  ],
  sumdb: ['off', '"off"', 'off'],
  s3: ['s3://modules/go', '"s3://modules/go"', 's3://modules/go'],
  private: ['a.example/*,b.example', '["a.example/*", "b.example"]', ['a.example/*', 'b.example']],
  noproxy: ['c.example', '["c.example"]', ['c.example']],
  ttl: ['7', '7', 7],
  negativeTtl: ['0.5', '0.5', 0.5],
  fetchTimeout: ['20', '20', 20],
  goauth: ['netrc;git /srv/git', '"netrc;git /srv/git"', 'netrc;git /srv/git'],
  caFile: ['/etc/ca.pem', '"/etc/ca.pem"', '/etc/ca.pem'],
  offline: ['1', 'true', true],
  policy: [
    'allow a.example/* min-age=0; deny * # no, never',
    '["allow a.example/* min-age=0", "deny * # no, never"]',
    [parsePolicyRule('allow a.example/* min-age=0'), parsePolicyRule('deny * # no, never')],
  ],
  minAge: ['7d', '"7d"', 7 * 86_400_000],
  validator: [
    'https://v.example/check',
    '"https://v.example/check"',
    new URL('https://v.example/check'),
  ],
  validatorFailure: ['open', '"open"', 'open'],
  meshListen: ['[::1]:0', '"[::1]:0"', '[::1]:0'],
  site: ['berlin', '"berlin"', 'berlin'],
  name: ['build-07', '"build-07"', 'build-07'],
  peer: [
    '10.0.0.7:4771,/dns4/x.example/tcp/1',
    '["10.0.0.7:4771", "/dns4/x.example/tcp/1"]',
    ['/ip4/10.0.0.7/tcp/4771', '/dns4/x.example/tcp/1'],
  ],
  mdns: ['0', 'false', false],
  inventory: ['off', '"off"', false],
  sharePrivate: ['on', 'true', true],
  connect: ['configured', '"configured"', 'configured'],
  maxConnections: ['12', '12', 12],
  siteLink: [
    'hq=metered 08:00-18:00=2MB/s; *=paused',
    '["hq=metered 08:00-18:00=2MB/s", "*=paused"]',
    [
      {
        site: 'hq',
        rules: [
          { mode: 'metered' },
          {
            window: { fromMinute: 480, toMinute: 1_080 },
            upRate: 2_000_000,
            downRate: 2_000_000,
          },
        ],
      },
      { site: '*', rules: [{ mode: 'paused' }] },
    ],
  ],
  seedFrom: ['laptop,field', '["laptop", "field"]', ['laptop', 'field']],
  uploadRate: ['10MB/s', '"10MB/s"', 10_000_000],
  uploadRatePeer: ['5MB', '"5MB"', 5_000_000],
  uploadRateWan: ['64 kB/s', '"64 kB/s"', 64_000],
  uploadRateWanPeer: ['1MiB/s', '"1MiB/s"', 1_048_576],
  uploadStreams: ['12', '12', 12],
  uploadStreamsPeer: ['3', '3', 3],
  uploadStreamsWan: ['4', '4', 4],
  uploadStreamsWanPeer: ['2', '2', 2],
}
const rows = Object.entries(cases).map(([name, [text, toml, value]]) => ({
  name: name as OptionName,
  text,
  toml,
  value,
}))

describe('the option table', () => {
  test('has a case here for every option', () => {
    const covered = [...rows.map(({ name }) => name), 'config', 'join']
    expect(covered.toSorted()).toEqual(optionNames.toSorted())
  })

  test.for(rows)('$name is set by its flag', async ({ name, text, value }) => {
    const { settings } = await readOptions({ [name]: text }, around())
    expect(settings[name]).toEqual(value)
  })

  test.for(rows)('$name is set by its variable', async ({ name, text, value }) => {
    const { settings } = await readOptions({}, around({ [variableName(name)]: text }))
    expect(settings[name]).toEqual(value)
  })

  test.for(rows)('$name is set by the configuration file', async ({ name, toml, value }) => {
    const config = await configFile(`${flagName(name)} = ${toml}\n`)
    const { settings } = await readOptions({ config }, around())
    expect(settings[name]).toEqual(value)
  })

  test.for(rows)('$name is something else by default', async ({ name, value }) => {
    const { settings } = await readOptions({}, around())
    expect(settings[name]).not.toEqual(value)
  })

  test('a flag wins over a variable, a variable over the file, the file over the default', async () => {
    const config = await configFile('site = "file"\nname = "file"\nttl = 3\n')
    const env = around({ MODMESH_SITE: 'variable', MODMESH_NAME: 'variable' })
    const { settings, origins } = await readOptions({ config, site: 'flag' }, env)
    expect(settings).toMatchObject({ site: 'flag', name: 'variable', ttl: 3, connect: 'all' })
    expect(origins.get('ttl')).toEqual({ kind: 'file', path: config, line: 3 })
    expect(origins.get('connect')).toEqual({ kind: 'default' })
  })

  test('an empty variable counts as unset, except MODMESH_NOPROXY where it means none', async () => {
    const config = await configFile('site = "file"\nnoproxy = ["file.example"]\n')
    const env = around({ MODMESH_SITE: '', MODMESH_NOPROXY: '', MODMESH_JOIN: '' })
    const { settings } = await readOptions({ config }, env)
    expect(settings).toMatchObject({ site: 'file', noproxy: [], join: undefined })
  })

  test('a port alone means every address, as elsewhere with go', async () => {
    const { settings } = await readOptions({ listen: ':99' }, around())
    expect(settings.listen).toEqual(['0.0.0.0:99'])
  })

  test('noproxy is undefined when nobody sets it, so that it can follow private', async () => {
    const { settings } = await readOptions({ private: 'a.example' }, around())
    expect(settings.noproxy).toBeUndefined()
  })

  test.for([
    { flags: { join: 't' }, env: {}, join: { kind: 'file', path: '/cwd/t' } },
    { flags: { join: '-' }, env: {}, join: { kind: 'stdin' } },
    {
      flags: {},
      env: { MODMESH_JOIN: 'modmesh1x' },
      join: { kind: 'ticket', ticket: 'modmesh1x' },
    },
  ])('join of $flags and $env is $join', async ({ flags, env, join }) => {
    const { settings } = await readOptions(flags, around(env))
    expect(settings.join).toEqual(join)
  })

  test('paths on the command line start from the current folder, those in a file from its own', async () => {
    const config = await configFile('ca-file = "ca.pem"\njoin = "~/ticket"\n')
    const { settings } = await readOptions({ config, dir: 'data' }, around())
    expect(settings).toMatchObject({
      dir: '/cwd/data',
      caFile: join(folder, 'ca.pem'),
      join: { kind: 'file', path: '/home/gopher/ticket' },
    })
  })

  test('the default file is read when it exists', async () => {
    const { mkdir } = await import('node:fs/promises')
    await mkdir(join(folder, 'modmesh'))
    await writeFile(join(folder, 'modmesh', 'config.toml'), 'site = "oslo"\n')
    const { settings } = await readOptions({}, around())
    expect(settings.site).toBe('oslo')
  })
})

describe('a value that cannot be used', () => {
  test.for([
    { flags: { listen: '4770' }, says: ['--listen', '"4770"', 'HOST:PORT'] },
    { flags: { listen: ':' }, says: ['--listen', 'HOST:PORT'] },
    { flags: { listen: 'unix:m.sock' }, says: ['--listen', 'unix:/PATH'] },
    { flags: { listen: `unix:/${'x'.repeat(103)}` }, says: ['--listen', '103 bytes'] },
    { flags: { listen: ',' }, says: ['--listen', 'at least one address'] },
    { flags: { policy: 'refuse a.example' }, says: ['--policy', 'allow or deny'] },
    { flags: { policy: 'deny a.example/[' }, says: ['--policy', 'malformed glob'] },
    { flags: { policy: 'deny a.example@1' }, says: ['--policy', 'after @ come versions'] },
    { flags: { minAge: '7' }, says: ['--min-age', '7d'] },
    { flags: { validator: 'ftp://v.example' }, says: ['--validator', 'https://'] },
    { flags: { listen: '127.0.0.1:70000' }, says: ['--listen', 'HOST:PORT'] },
    { flags: { listen: '::1:80' }, says: ['--listen', '[::1]'] },
    { flags: { ttl: '-1' }, says: ['--ttl', 'seconds, 0 to 86400'] },
    { flags: { ttl: '1e3' }, says: ['--ttl', 'seconds'] },
    { flags: { ttl: '5m' }, says: ['--ttl', 'seconds'] },
    { flags: { fetchTimeout: '0' }, says: ['--fetch-timeout', 'seconds'] },
    { flags: { uploadRate: '63kB/s' }, says: ['--upload-rate', 'at least 64kB/s'] },
    { flags: { uploadRateWan: '10MB/h' }, says: ['--upload-rate-wan', 'a rate such as 10MB/s'] },
    { flags: { uploadRate: '80Mbit/s' }, says: ['--upload-rate', 'a rate such as 10MB/s'] },
    { flags: { siteLink: 'hq=quick' }, says: ['--site-link', '"quick" is none of'] },
    { flags: { siteLink: 'metered' }, says: ['--site-link', 'begins with the name of a site'] },
    { flags: { siteLink: 'hq=8-18=2MB/s' }, says: ['--site-link', '"8-18" is no time of day'] },
    { flags: { siteLink: 'hq=25:00-26:00=2MB/s' }, says: ['--site-link', 'no time of day'] },
    { flags: { siteLink: 'hq=1kB/s' }, says: ['--site-link', 'at least 16kB/s'] },
    { flags: { uploadStreamsPeer: '17' }, says: ['--upload-streams-peer', '1 to 16'] },
    { flags: { maxConnections: '0' }, says: ['--max-connections', 'a whole number, 1 to'] },
    { flags: { maxConnections: '1.5' }, says: ['--max-connections', 'a whole number'] },
    { flags: { connect: 'some' }, says: ['--connect', 'all, configured'] },
    { flags: { log: 'loud' }, says: ['--log', 'debug, info, warn, error, silent'] },
    { flags: { offline: 'maybe' }, says: ['--offline', 'on or off'] },
    { flags: { site: 'a b' }, says: ['--site', 'letters'] },
    { flags: { name: 'x'.repeat(65) }, says: ['--name', '64'] },
    { flags: { peer: 'x' }, says: ['--peer', 'HOST:PORT or a multiaddr'] },
    { flags: { peer: '10.0.0.1:0' }, says: ['--peer', 'HOST:PORT'] },
    { flags: { config: '/does/not/exist' }, says: ['--config', '/does/not/exist', 'not exist'] },
  ])('is refused with its flag and what is allowed: $flags', async ({ flags, says }) => {
    const error = await readOptions(flags, around()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(UsageError)
    for (const part of says) expect((error as Error).message).toContain(part)
    expect((error as Error).message).not.toContain('\n')
  })

  test('names the variable it came from', async () => {
    const env = around({ MODMESH_FETCH_TIMEOUT: 'soon' })
    await expect(readOptions({}, env)).rejects.toThrow('MODMESH_FETCH_TIMEOUT: "soon"')
  })

  test('names the file and line it came from', async () => {
    const config = await configFile('\n# comment\nsite = "ok"\nconnect = "nobody"\n')
    await expect(readOptions({ config }, around())).rejects.toThrow(
      `${config}:4: connect: "nobody" is not allowed; it takes all, configured`,
    )
  })

  test('a secret is not repeated', async () => {
    const error = await readOptions({ pathSecret: 'hunter2' }, around()).catch((e: unknown) => e)
    expect((error as Error).message).not.toContain('hunter2')
  })
})

describe('the data directory alone', () => {
  test('is found beside a broken configuration file when it is given', async () => {
    const config = await configFile('broken')
    await expect(readDirOption({ dir: '/d', config }, around())).resolves.toBe('/d')
    await expect(readDirOption({ config }, around({ MODMESH_DIR: '/e' }))).resolves.toBe('/e')
  })

  test('comes from the file, else from the XDG data folder', async () => {
    const config = await configFile('dir = "state"')
    await expect(readDirOption({ config }, around())).resolves.toBe(join(folder, 'state'))
    await expect(readDirOption({}, around())).resolves.toBe('/home/gopher/.local/share/modmesh')
    const env = around({ XDG_DATA_HOME: '/xdg' })
    await expect(readDirOption({}, env)).resolves.toBe('/xdg/modmesh')
  })
})
