import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { goTest } from '../support/go.ts'
import { filePath, invite, untilMet } from '../support/mesh.ts'
import { NetworkNamespace, namespaceTest } from '../support/network-namespace.ts'
import { noPrivateDisk, PrivateDisk } from '../support/private-disk.ts'
import {
  type RunResult,
  runModmesh,
  type StartedNode,
  type StartNodeInit,
  startNode,
} from '../support/start-node.ts'

interface Finding {
  readonly id: string
  readonly state: 'ok' | 'note' | 'warn' | 'fail' | 'skip'
  readonly text: string
  readonly fix?: string
}

interface Report {
  readonly code: number | undefined
  readonly verdict: string
  readonly findings: ReadonlyMap<string, Finding>
}

let stack: AsyncDisposableStack
let upstream: FakeUpstream
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  upstream = stack.use(
    await FakeUpstream.start({ modules: [{ path: 'a.test/a', version: 'v1.0.0' }] }),
  )
})
afterEach(() => stack.disposeAsync())

async function start(args: readonly string[] = [], init: StartNodeInit = {}): Promise<StartedNode> {
  const ways = args.includes('--upstream') ? [] : ['--upstream', upstream.url]
  const own = [...ways, '--sumdb', upstream.gosumdb]
  return stack.use(await startNode({ ...init, args: [...own, ...args] }))
}

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-doctor-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** What `go env` says of a host on which all is well. */
function goEnv(
  node: StartedNode,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const sumdb = upstream.sumdb.keyText
  const none = { GONOPROXY: '', GOPRIVATE: '', GONOSUMDB: '', GOFLAGS: '', GOENV: 'off' }
  return { ...none, GOPROXY: node.url, GOSUMDB: sumdb, GOPATH: join(node.dir, 'gopath'), ...more }
}

async function doctor(run: (args: readonly string[]) => Promise<RunResult>): Promise<Report> {
  const { code, stdout, stderr } = await run(['doctor', '--json'])
  if (stdout === '') throw new Error(`doctor failed (${code}): ${stderr}`)
  const { schema, verdict, findings } = JSON.parse(stdout) as {
    schema: string
    verdict: string
    findings: Finding[]
  }
  expect(schema).toBe('modmesh.doctor/1')
  return { code, verdict, findings: new Map(findings.map((each) => [each.id, each])) }
}

function examine(node: StartedNode, env: Readonly<Record<string, string>> = {}): Promise<Report> {
  return doctor((args) => node.run(args, { env: goEnv(node, env) }))
}

goTest('doctor finds nothing where all is well, and says so with exit code 0', async () => {
  const node = await start()
  const { code, verdict, findings } = await examine(node)
  const bad = [...findings.values()].filter(({ state }) => state === 'warn' || state === 'fail')
  expect({ code, verdict, bad }).toEqual({ code: 0, verdict: 'well', bad: [] })
  expect([...findings.keys()]).toEqual(
    expect.arrayContaining([
      'node',
      'disk',
      'upstream',
      'database',
      'clock',
      'goproxy',
      'local-port',
    ]),
  )
})

describe('what go was told', () => {
  goTest.for([
    ['goproxy', 'fail', { GOPROXY: '' }, 'modmesh env'],
    ['goproxy', 'fail', { GOPROXY: 'http://127.0.0.1:9' }, 'GOPROXY='],
    ['goproxy-order', 'warn', { GOPROXY: 'https://proxy.golang.org,NODE' }, 'export GOPROXY='],
    [
      'gonoproxy',
      'warn',
      { GOPRIVATE: 'corp.test' },
      'go env -w GONOPROXY=none   (and start the node with --private corp.test)',
    ],
    ['gonoproxy', 'warn', { GONOPROXY: '*' }, 'export GONOPROXY=none'],
    ['gosumdb', 'warn', { GOSUMDB: 'off' }, 'export GOSUMDB='],
    ['gosumdb', 'warn', { GOSUMDB: 'sum.golang.org' }, 'export GOSUMDB=sum.test+'],
    ['gonosumdb', 'warn', { GONOSUMDB: 'corp.test' }, '--private corp.test'],
    ['goflags', 'warn', { GOFLAGS: '-mod=vendor' }, 'unset GOFLAGS'],
    ['goflags', 'warn', { GOFLAGS: '-mod=vendor -v' }, 'export GOFLAGS=-v'],
    ['goflags-mod', 'note', { GOFLAGS: '-mod=mod' }, 'unset GOFLAGS'],
    ['goflags-modcacherw', 'note', { GOFLAGS: '-modcacherw' }, undefined],
  ] as const)('%s (%s) is found with %j', async ([id, state, env, fix]) => {
    const node = await sharedNode()
    const values = Object.entries(env).map(([name, text]) => [name, text.replace('NODE', node.url)])
    const { code, findings } = await examine(node, Object.fromEntries(values))
    expect(findings.get(id)).toMatchObject({ state })
    expect(findings.get(id)?.fix ?? '').toContain(fix ?? '')
    expect(code).toBe({ fail: 1, warn: 20, note: 0 }[state])
  })

  let shared: StartedNode | undefined
  let keep: { upstream: FakeUpstream; stack: AsyncDisposableStack } | undefined
  /** One node for all rows: the rows change go's side alone. */
  async function sharedNode(): Promise<StartedNode> {
    if (shared === undefined) {
      shared = await start()
      // The hooks of the next rows must not end it.
      keep = { upstream, stack: stack.move() }
    }
    upstream = keep?.upstream ?? upstream
    return shared
  }
  afterAll(() => keep?.stack.disposeAsync())

  goTest('what was written with go env -w is written anew, and wins then', async () => {
    const node = await start()
    const file = join(await newDir(), 'env')
    const written = { GOPROXY: 'https://proxy.golang.org', GOSUMDB: 'off', GOFLAGS: '-mod=vendor' }
    const lines = Object.entries({ ...written, GONOPROXY: '*' }).map(
      ([name, value]) => `${name}=${value}\n`,
    )
    await writeFile(file, lines.join(''))
    const unset = { GOPROXY: '', GOSUMDB: '', GOFLAGS: '', GONOPROXY: '', GOENV: file }
    const { findings } = await examine(node, unset)
    const env = { ...goEnv(node), ...unset, PATH: process.env.PATH ?? '' }
    for (const id of ['goproxy', 'gonoproxy', 'gosumdb', 'goflags']) {
      const fix = findings.get(id)?.fix?.replace(/^eval [^(]*\([^(]*\(([^)]*)\)$/u, '$1') ?? ''
      expect(fix).toMatch(/^go env -[wu] /u)
      execFileSync('sh', ['-c', fix], { env })
    }
    const { code } = await examine(node, unset)
    expect(code).toBe(0)
  })

  goTest('paths that are private to the node alone are found', async () => {
    const node = await start(['--private', 'corp.test'])
    const { findings } = await examine(node)
    expect(findings.get('gonosumdb')).toMatchObject({
      state: 'warn',
      fix: 'go env -w GONOSUMDB=corp.test',
    })
  })
})

describe('what the node stands in', () => {
  test('a client with a newer tree than a node that cannot ask is found, and which file it is', async () => {
    const dir = await newDir()
    const online = await start([], { dir })
    await (await fetch(`${online.url}/sumdb/${upstream.sumdb.name}/lookup/a.test/a@v1.0.0`)).text()
    await online.end()
    upstream.add({ path: 'a.test/a', version: 'v1.1.0' })
    const node = await start(['--offline'], { dir })
    const env = goEnv(node)
    const file = join(env.GOPATH ?? '', 'pkg/sumdb', upstream.sumdb.name, 'latest')
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, upstream.sumdb.serve('/latest'))
    const { code, findings } = await examine(node)
    expect(findings.get('client-tree')).toMatchObject({ state: 'warn' })
    expect(findings.get('client-tree')?.fix).toContain(`mv ${file} `)
    // What go asks for then, to see that its tree goes on from the node's.
    const beyond = await fetch(`${node.url}/sumdb/${upstream.sumdb.name}/tile/8/0/000.p/2`)
    expect(beyond.status).toBeGreaterThanOrEqual(500)
    expect(await beyond.text()).toContain('this go command knows a newer tree')
    expect(code).toBe(20)
  })

  test('an upstream that is gone, and a database that cannot be asked, are found', async () => {
    const node = await start()
    await upstream.down()
    const { code, findings } = await examine(node)
    expect(findings.get('upstream')).toMatchObject({ state: 'warn' })
    expect(findings.get('upstream')?.text).toContain(upstream.url)
    expect(findings.get('database')).toMatchObject({ state: 'warn' })
    expect(code).toBe(20)
  })

  test.for([
    [300_000, 'warn', 'behind'],
    [-86_400_000, 'fail', 'ahead of'],
  ] as const)('a clock that is off by %i ms is found', async ([aheadMs, state, word]) => {
    const server = createServer((_request, response) => {
      const date = new Date(Date.now() + aheadMs).toUTCString()
      response.writeHead(200, { date }).end()
    })
    const node = await start(['--upstream', `http://127.0.0.1:${await listen(server)}`])
    const { findings } = await examine(node)
    expect(findings.get('clock')).toMatchObject({
      state,
      fix: 'set the clock: timedatectl set-ntp true',
    })
    expect(findings.get('clock')?.text).toContain(word)
  })

  test.skipIf(noPrivateDisk !== undefined)('a full disk is found, and what to do', async () => {
    const disk = stack.use(await PrivateDisk.mount(40))
    const node = await start([], { dir: join(disk.inside, 'd'), through: disk.through })
    await disk.fill()
    const asked = await fetch(node.url + filePath({ path: 'a.test/a', version: 'v1.0.0' }, 'zip'))
    expect(asked.status).toBe(503)
    const run = (args: readonly string[]) =>
      runModmesh([...args, '--dir', node.dir], { env: goEnv(node), through: disk.through })
    const { code, findings } = await doctor(run)
    expect(findings.get('disk')).toMatchObject({ state: 'fail' })
    expect(findings.get('disk')?.fix).toContain('modmesh gc')
    expect(findings.get('store')).toMatchObject({ state: 'fail' })
    expect(code).toBe(1)
  })

  namespaceTest('a local port that go does not get to is found', async () => {
    const node = await start()
    const other = stack.use(await NetworkNamespace.make())
    const run = (args: readonly string[]) =>
      runModmesh([...args, '--dir', node.dir], { env: goEnv(node), through: other.through })
    const { findings } = await doctor(run)
    expect(findings.get('local-port')).toMatchObject({ state: 'fail' })
    expect(findings.get('local-port')?.fix).toContain('containers.md')
  })
})

describe('the mesh', () => {
  test('a node in no mesh, and one that is alone in its mesh, are told apart', async () => {
    const node = await start()
    expect((await examine(node)).findings.get('mesh')).toMatchObject({ state: 'note' })
    await invite(node)
    const { code, findings } = await examine(node)
    expect(findings.get('peers')).toMatchObject({ state: 'warn' })
    expect(findings.get('peers')?.fix).toContain('modmesh start --join')
    expect(findings.get('mesh-port')).toMatchObject({ state: 'warn' })
    expect(findings.get('mesh-port')?.fix).toContain('--mesh-listen')
    expect(findings.get('mdns')).toMatchObject({ state: 'note' })
    expect(code).toBe(20)
  })

  test('members that cannot be reached are named with the reason', async () => {
    const a = await start()
    const MODMESH_JOIN = await invite(a)
    const b = await start([], { env: { MODMESH_JOIN } })
    await untilMet(b, a)
    expect((await examine(b)).findings.get('peers')).toMatchObject({ state: 'ok' })
    await a.end('SIGKILL')
    const peers = async (): Promise<Finding | undefined> => (await examine(b)).findings.get('peers')
    await expect.poll(peers, { interval: 500 }).toMatchObject({ state: 'warn' })
    const text = async (): Promise<string> => (await peers())?.text ?? ''
    await expect.poll(text, { interval: 500 }).toMatch(/ECONNREFUSED|refused/u)
  })

  test('a member that was revoked is told, and how to come back', async () => {
    const a = await start()
    const MODMESH_JOIN = await invite(a)
    const b = await start(['--name', 'build-b'], { env: { MODMESH_JOIN } })
    expect(await a.run(['revoke', b.peerId])).toMatchObject({ code: 0 })
    const found = async (): Promise<Finding | undefined> =>
      (await examine(b)).findings.get('membership')
    await expect.poll(found, { interval: 500 }).toMatchObject({ state: 'fail' })
    expect((await found())?.fix).toContain('modmesh join')
    expect((await examine(b)).code).toBe(1)
  })

  namespaceTest(
    'multicast that cannot be sent, and an address that is gone, are found',
    async () => {
      const inside = stack.use(await NetworkNamespace.make())
      const base = inside.hostAddress.slice(0, inside.hostAddress.lastIndexOf('.') + 1)
      const own = `${base}${Number(inside.hostAddress.split('.').at(-1)) + 1}`
      const args = ['--mdns', 'on', '--mesh-listen', `${own}:0`]
      const node = await start(args, { through: inside.through })
      await invite(node)
      const run = (args: readonly string[]) =>
        runModmesh([...args, '--dir', node.dir], { env: goEnv(node), through: inside.through })
      // The namespace has one cable and no way to a group of listeners.
      const before = (await doctor(run)).findings
      expect(before.get('mdns')).toMatchObject({ state: 'warn' })
      expect(before.get('mesh-port')).toMatchObject({ state: 'ok' })
      const cable = `mmc${inside.name.slice('modmesh-'.length)}`
      execFileSync('ip', ['-n', inside.name, 'addr', 'del', `${own}/30`, 'dev', cable])
      const port = (await doctor(run)).findings.get('mesh-port')
      expect(port).toMatchObject({ state: 'warn' })
      expect(port?.text).toContain(own)
    },
  )
})

describe('with no node running', () => {
  test('that is the fault, and exit code 1', async () => {
    const dir = await newDir()
    const { code, findings } = await doctor((args) => runModmesh([...args, '--dir', dir]))
    expect(findings.get('node')).toMatchObject({ state: 'fail', fix: `modmesh start --dir ${dir}` })
    expect(code).toBe(1)
  })

  test('a port that another program has is found', async () => {
    const server = createServer()
    const port = await listen(server)
    const dir = await newDir()
    const env = { MODMESH_LISTEN: `127.0.0.1:${port}` }
    const { findings } = await doctor((args) => runModmesh([...args, '--dir', dir], { env }))
    expect(findings.get('local-port')).toMatchObject({ state: 'fail' })
    expect(findings.get('local-port')?.fix).toContain('--listen')
  })

  test('a process that holds the store and answers nobody is named', async () => {
    const node = await start()
    await rm(join(node.dir, 'run/control.sock'))
    const { findings } = await doctor((args) => node.run(args))
    expect(findings.get('store-held')).toMatchObject({ state: 'fail' })
    expect(findings.get('store-held')?.text).toContain(`process ${node.pid}`)
  })

  test.skipIf(noPrivateDisk !== undefined)('a read-only file system is found', async () => {
    const disk = stack.use(await PrivateDisk.mount(8))
    disk.run('mount', '-o', 'remount,ro', disk.inside)
    const run = (args: readonly string[]) =>
      runModmesh([...args, '--dir', disk.inside], { through: disk.through })
    const { findings } = await doctor(run)
    expect(findings.get('dir')).toMatchObject({ state: 'fail' })
    expect(findings.get('dir')?.text).toContain('read-only')
  })
})

test('doctor prints the worst last, each with what to type', async () => {
  const node = await start()
  const env = goEnv(node, { GOPROXY: 'off' })
  const { stdout } = await node.run(['doctor'], { env })
  expect(stdout).toMatch(/^\[ok\] node: running/u)
  expect(stdout).toMatch(/\[fail\] goproxy: .*\n {7}eval "\$\(modmesh env --shell sh\)".*\n$/u)
})

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return (server.address() as AddressInfo).port
}
