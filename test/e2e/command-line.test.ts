import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { DiskStore } from '@modmesh/store'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ControlServer } from '../../packages/node/src/control-socket/server.ts'
import { programPath } from '../support/start-node.ts'

const main = fileURLToPath(new URL('../../packages/node/src/main.ts', import.meta.url))
const recorder = fileURLToPath(new URL('../support/record-imports.mjs', import.meta.url))

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-cli-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(
  args: readonly string[],
  init: { env?: Record<string, string>; program?: readonly string[] } = {},
): Promise<Result> {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('MODMESH_'))
  const env = { ...Object.fromEntries(others), XDG_CONFIG_HOME: dir, ...init.env }
  const child = spawn(process.execPath, [...(init.program ?? [programPath]), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ])
  return { code, stdout, stderr }
}

describe('help', () => {
  test('of start lists every option with its variable and default', async () => {
    const { code, stdout, stderr } = await run(['start', '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatchSnapshot()
  })

  test.for([
    [[]],
    [['--help']],
    [['help', 'env']],
    [['invite', '-help']],
    [['--version']],
  ] as const)('is printed on stdout for %j', async ([args]) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('modmesh')
  })
})

describe('a usage error', () => {
  test.for([
    { args: ['strat'], says: 'unknown command "strat"; did you mean "start"?' },
    { args: ['start', '--lisen', 'x'], says: "unknown option '--lisen' (Did you mean --listen?)" },
    { args: ['start', '--dir'], says: "option '--dir <DIR>' argument missing" },
    { args: ['status', 'extra'], says: 'too many arguments' },
    { args: ['start', '--ttl', 'x'], says: '--ttl: "x" is not allowed; it takes seconds' },
    { args: ['start', '--upstream', 'ftp://x'], says: '--upstream: ' },
    { args: ['start', '--sumdb', 'nosuch'], says: '--sumdb: ' },
    {
      args: ['start', '--join', '/does/not/exist'],
      says: '--join: /does/not/exist: does not exist',
    },
    { args: ['invite', '--expires', 'never'], says: '--expires: "never" is not allowed' },
    { args: ['invite', '--uses', '0'], says: '--uses: "0" is not allowed' },
    { args: ['join', 'modmesh1abc'], says: 'a ticket is secret, and arguments are not' },
    { args: ['join', '/does/not/exist'], says: '/does/not/exist: does not exist' },
    { args: ['root', 'import', 'modmesh-root-1-x'], says: 'a root key is secret' },
    { args: ['revoke'], says: "missing required argument 'member|invite'" },
    { args: ['accept', 'corp.example.com/lib'], says: 'it takes PATH@VERSION' },
    { args: ['env', '--shell', 'csh'], says: 'Allowed choices are go, sh, fish, pwsh' },
  ])('$args ends with 2 and one line: $says', async ({ args, says }) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(says)
    expect(stderr).toMatch(/^modmesh: [^\n]+\n$/u)
  })

  test('in the environment names the variable', async () => {
    const { code, stderr } = await run(['start'], { env: { MODMESH_CONNECT: 'x' } })
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'modmesh: MODMESH_CONNECT: "x" is not allowed; it takes all, configured\n',
    })
  })

  test('in the configuration file names file and line', async () => {
    const config = join(dir, 'c.toml')
    await writeFile(config, 'site = "a"\nmax-connections = 1.5\n')
    const { code, stderr } = await run(['start', '--config', config])
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /^modmesh: [^\n]+c\.toml:2: max-connections: "1\.5" is not allowed; [^\n]+\n$/u,
    )
  })
})

describe('without a node', () => {
  test('status says so, in text and JSON, and makes nothing', async () => {
    const missing = join(dir, 'missing')
    const plain = await run(['status', '--dir', missing])
    expect(plain.code).toBe(21)
    expect(plain.stdout).toContain(`no node is running on ${missing}`)
    const json = await run(['status', '-json', '--dir', missing])
    expect(json.code).toBe(21)
    expect(JSON.parse(json.stdout)).toMatchObject({
      schema: 'modmesh.status/1',
      running: false,
      store: null,
    })
    await expect(readFile(missing)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('status shows what the store holds', async () => {
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    const { code, stdout } = await run(['status', '--json', '--dir', dir])
    expect(code).toBe(21)
    expect(JSON.parse(stdout)).toMatchObject({ store: { zips: 0, zipBytes: 0, mods: 0 } })
  })

  test('status leaves a store alone that another process works on', async () => {
    await using _store = await DiskStore.open({ dir })
    const { code, stdout } = await run(['status', '--json', '--dir', dir])
    expect(code).toBe(21)
    expect(JSON.parse(stdout)).toMatchObject({ store: null })
  })

  test('invite ends with 21 and the command that helps', async () => {
    const { code, stdout, stderr } = await run(['invite', '--dir', dir])
    expect({ code, stdout }).toEqual({ code: 21, stdout: '' })
    expect(stderr).toContain(`modmesh start --dir ${dir}`)
  })

  test('accept works on the store itself', async () => {
    const missing = await run(['accept', '--dir', join(dir, 'missing')])
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    const { code, stdout } = await run(['accept', '--dir', dir])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing waits to be accepted\n' })
  })

  test('env prints what the configuration says', async () => {
    const env = { MODMESH_LISTEN: '127.0.0.1:99', MODMESH_PATH_SECRET: 'abcdefgh' }
    const { code, stdout } = await run(['env', '--dir', dir], { env })
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'go env -w GOPROXY=http://127.0.0.1:99/abcdefgh\n',
    })
  })
})

describe('beside a node', () => {
  const hello = {
    pid: 1,
    version: 'x',
    startedAt: '2026-01-01T00:00:00Z',
    env: { GOPROXY: 'http://127.0.0.1:4321' },
  }

  test('env asks it for the port', async () => {
    await using _control = await ControlServer.listen(dir, async () => hello)
    const go = await run(['env', '--dir', dir])
    expect(go).toEqual({ code: 0, stdout: 'go env -w GOPROXY=http://127.0.0.1:4321\n', stderr: '' })
    const json = await run(['env', '-json'], { env: { MODMESH_DIR: dir } })
    expect(JSON.parse(json.stdout)).toEqual({
      schema: 'modmesh.env/1',
      running: true,
      env: hello.env,
    })
  })

  test('invite prints the ticket alone on stdout', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const invitation = {
      ticket: 'modmesh1abc',
      mesh: 'm',
      invite: '0123456789abcdef0123456789abcdef',
      site: null,
      roles: ['admit'],
      uses: 2,
      expiresAt,
    }
    await using _control = await ControlServer.listen(dir, async () => invitation)
    const { code, stdout, stderr } = await run(['invite', '--dir', dir, '--site', 'oslo'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'modmesh1abc\n' })
    expect(stderr).toContain('Ticket for mesh m')
    expect(stderr).toContain('and 2 hosts, with the roles admit')
    expect(stderr).toContain('modmesh revoke 01234567\n')
    expect(stderr).not.toContain('modmesh1abc')
  })

  test('join takes the ticket from a file, the environment or standard input', async () => {
    const asked: unknown[] = []
    const report = { mesh: 'm', site: 'default', connected: ['a'] }
    await using _control = await ControlServer.listen(dir, async (request) => {
      asked.push(request)
      return report
    })
    const file = join(dir, 'ticket')
    await writeFile(file, ' modmesh1file\n')
    const byFile = await run(['join', file, '--dir', dir])
    expect(byFile).toEqual({
      code: 0,
      stdout: 'In mesh m, site default, connected to a\n',
      stderr: '',
    })
    const env = { MODMESH_JOIN: 'modmesh1variable' }
    expect((await run(['join', '--dir', dir], { env })).code).toBe(0)
    report.connected = []
    const alone = await run(['join', '--json', '--dir', dir], { env })
    expect(alone.code).toBe(20)
    expect(JSON.parse(alone.stdout)).toEqual({ schema: 'modmesh.join/1', ...report })
    expect(asked.slice(0, 2)).toEqual([
      { command: 'join', ticket: 'modmesh1file' },
      { command: 'join', ticket: 'modmesh1variable' },
    ])
    const empty = await run(['join', '--dir', dir])
    expect(empty).toMatchObject({ code: 2, stderr: 'modmesh: there is no ticket in it\n' })
  })

  test('members prints a line for each, and no name can forge another', async () => {
    const member = {
      peer: '12D3KooWx',
      name: 'a\nfake  default  member',
      site: 'default',
      roles: ['admin', 'admit'],
      self: false,
      connected: true,
      standing: 'member',
      admittedAt: null,
      expiresAt: null,
      lastSeenAt: null,
      invite: '0123456789abcdef0123456789abcdef',
    }
    const report = { mesh: 'm', root: false, members: [member] }
    await using _control = await ControlServer.listen(dir, async () => report)
    const { code, stdout } = await run(['members', '--dir', dir])
    expect(code).toBe(0)
    expect(stdout.split('\n')).toHaveLength(3)
    expect(stdout).toContain('admin,admit  connected  01234567  12D3KooWx')
    const json = await run(['members', '-json', '--dir', dir])
    expect(JSON.parse(json.stdout)).toEqual({ schema: 'modmesh.members/1', ...report })
  })

  test('accept prints what was accepted, and ends with 1 for what does not wait', async () => {
    const module = 'corp.example.com/lib@v1.0.0'
    const line = {
      status: 409,
      module,
      part: 'zip',
      first: 'h1:a=',
      seen: 'h1:b=',
      from: 'direct',
      at: new Date().toISOString(),
      accept: `modmesh accept ${module}`,
    }
    const asked: unknown[] = []
    let report = { accepted: [] as unknown[], waiting: [line], unknown: [] as string[] }
    await using _control = await ControlServer.listen(dir, async (request) => {
      asked.push(request)
      return report
    })
    const listed = await run(['accept', '--dir', dir])
    expect(listed.code).toBe(0)
    expect(listed.stdout).toContain(`${module}: its zip changed since it was first seen`)
    expect(listed.stdout).toContain('  first h1:a=\n  now   h1:b= from direct, ')
    expect(listed.stdout).toContain(`modmesh accept ${module}\n`)
    const json = await run(['accept', '-json', '--dir', dir])
    expect(JSON.parse(json.stdout)).toEqual({ schema: 'modmesh.accept/1', ...report })
    report = { accepted: [line], waiting: [], unknown: ['x@v1.0.0'] }
    const accepted = await run(['accept', module, 'x@v1.0.0', '--dir', dir])
    expect(accepted).toEqual({
      code: 1,
      stdout: `accepted ${module}: zip h1:b=\nnothing waits any more\n`,
      stderr: 'modmesh: x@v1.0.0: nothing of it waits to be accepted\n',
    })
    expect(asked.at(-1)).toEqual({ command: 'accept', modules: [module, 'x@v1.0.0'] })
  })

  test('clients load neither the mesh nor HTTP nor the log', async () => {
    await using _control = await ControlServer.listen(dir, async () => hello)
    const list = join(dir, 'imports')
    const env = { RECORD_IMPORTS: list }
    // From the sources: a bundle does not say of which files its pieces are.
    const program = ['--import', recorder, main]
    await run(['env', '--dir', dir], { env, program })
    await run(['status', '--dir', join(dir, 'x')], { env, program })
    await run(['prefetch', 'example.com/a@v1.0.0', '--dir', dir], { env, program })
    const loaded = await readFile(list, 'utf8')
    expect(loaded).toContain('/commands/env.ts')
    expect(loaded).toContain('/commands/prefetch.ts')
    expect(loaded).toContain('/commands/status.ts')
    for (const heavy of ['libp2p', 'packages/peers/', 'undici', '/pino/', 'classic-level']) {
      expect(loaded).not.toContain(heavy)
    }
  })
})
