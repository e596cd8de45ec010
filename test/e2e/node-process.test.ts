import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { statusOf } from '../support/mesh.ts'
import {
  runModmesh,
  type StartedNode,
  type StartNodeInit,
  startNode,
} from '../support/start-node.ts'

const hello = { path: 'example.com/hello', version: 'v1.2.0' }
const helloZip = '/example.com/hello/@v/v1.2.0.zip'

let stack: AsyncDisposableStack
let folder: string
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  folder = await mkdtemp(join(tmpdir(), 'modmesh-process-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
})
afterEach(() => stack.disposeAsync())

async function node(init: StartNodeInit = {}): Promise<StartedNode> {
  return stack.use(await startNode(init))
}

async function fakeUpstream(): Promise<FakeUpstream> {
  return stack.use(await FakeUpstream.start({ modules: [hello] }))
}

describe('a running node', () => {
  test('says one line on stdout, JSON on stderr, and ends with 0 on SIGTERM', async () => {
    const a = await node({ args: ['--upstream', 'off'] })
    expect(a.readyLine).toMatch(
      /^ready proxy=http:\/\/127\.0\.0\.1:\d+ mesh=none peer=12D3KooW\w+$/u,
    )
    expect(await a.end('SIGTERM')).toBe(0)
    expect(a.output()).toBe(`${a.readyLine}\n`)
    const lines = a.log().trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toContain('stopped')
    expect(await readdir(join(a.dir, 'run'))).not.toContain('control.sock')
  })

  test('answers its pages', async () => {
    const a = await node({ args: ['--upstream', 'off', '--sumdb', 'off', '--site', 'oslo'] })
    const page = async (path: string) => {
      const answer = await fetch(a.url + path)
      return { status: answer.status, text: await answer.text() }
    }
    expect(await page('/-/healthz')).toEqual({ status: 200, text: 'ok\n' })
    expect(await page('/-/readyz')).toEqual({ status: 200, text: 'ready\n' })
    expect(await page('/-/nothing')).toMatchObject({ status: 404 })
    const status = await page('/-/status')
    expect(JSON.parse(status.text)).toMatchObject({
      schema: 'modmesh.status/1',
      state: 'ready',
      site: 'oslo',
      proxy: { url: a.url },
      upstream: { state: 'off' },
      checksumDatabase: { name: null },
    })
    const command = await a.run(['status', '--json'])
    expect(Object.keys(JSON.parse(command.stdout) as object)).toEqual(
      Object.keys(JSON.parse(status.text) as object),
    )
  })

  test('lets a running answer end before it stops', async () => {
    const upstream = await fakeUpstream()
    upstream.break((path) => path === helloZip, { kind: 'delay', ms: 1_500 })
    const a = await node({ args: ['--upstream', upstream.url, '--sumdb', 'off'] })
    const asked = fetch(a.url + helloZip)
    await expect.poll(() => upstream.count(helloZip)).toBe(1)
    const ended = a.end('SIGTERM')
    await expect.poll(() => a.log()).toContain('stopping')
    const answer = await asked
    expect(answer.status).toBe(200)
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(
      new Uint8Array(upstream.bytesOf(helloZip)!),
    )
    expect(await ended).toBe(0)
  })

  test('ends at once on a second signal', async () => {
    const upstream = await fakeUpstream()
    upstream.break((path) => path === helloZip, { kind: 'stall' })
    const a = await node({ args: ['--upstream', upstream.url, '--sumdb', 'off'] })
    const request = get(a.url + helloZip).on('error', () => undefined)
    await expect.poll(() => upstream.count(helloZip)).toBe(1)
    a.process.kill('SIGTERM')
    await expect.poll(() => a.log()).toContain('stopping')
    const started = performance.now()
    expect(await a.end('SIGINT')).toBe(130)
    // It drains for ten seconds otherwise.
    expect(performance.now() - started).toBeLessThan(8_000)
    request.destroy()
  })

  test('cuts an answer that does not end within 10 seconds, and still ends with 0', async () => {
    const upstream = await fakeUpstream()
    upstream.break((path) => path === helloZip, { kind: 'stall' })
    const a = await node({ args: ['--upstream', upstream.url, '--sumdb', 'off'] })
    const request = get(a.url + helloZip).on('error', () => undefined)
    await expect.poll(() => upstream.count(helloZip)).toBe(1)
    const started = performance.now()
    expect(await a.end('SIGTERM')).toBe(0)
    expect(performance.now() - started).toBeLessThan(30_000)
    request.destroy()
  })

  test('that was killed is replaced: same identity, same store, same commands', async () => {
    const upstream = await fakeUpstream()
    const args = ['--upstream', upstream.url, '--sumdb', 'off']
    const a = await node({ args })
    expect((await fetch(a.url + helloZip)).status).toBe(200)
    // Answered when verified, which is before it is durable.
    await expect.poll(async () => (await statusOf(a)).store.zips).toBe(1)
    await a.end('SIGKILL')
    expect((await a.run(['status'])).code).toBe(21)
    await upstream.down()
    const again = await node({ args, dir: a.dir })
    expect(again.peerId).toBe(a.peerId)
    const answer = await fetch(again.url + helloZip)
    expect(answer.headers.get('cache-status')).toBe('modmesh; hit')
    expect((await again.run(['status'])).code).toBe(0)
  })

  test('keeps its directory to itself', async () => {
    const a = await node({ args: ['--upstream', 'off'] })
    const others: string[] = []
    const look = async (path: string): Promise<void> => {
      // A running node renames files: one that is gone meanwhile was looked at under its other name.
      const found = await stat(path).catch(() => undefined)
      if (found === undefined) return
      if ((found.mode & 0o077) !== 0) others.push(path)
      if (!found.isDirectory()) return
      for (const name of await readdir(path)) await look(join(path, name))
    }
    await look(a.dir)
    expect(others).toEqual([])
    expect((await stat(join(a.dir, 'identity.key'))).isFile()).toBe(true)
  })
})

describe('secrets', () => {
  test('of ticket, path and upstream are in no log, page or status', async () => {
    const upstream = await fakeUpstream()
    const a = await node({ args: ['--upstream', 'off'] })
    const ticket = (await a.run(['invite'])).stdout.trim()
    const login = upstream.url.replace('http://', 'http://gopher:canary-password@')
    const b = await node({
      args: ['--upstream', login, '--sumdb', 'off', '--log', 'debug'],
      env: { MODMESH_JOIN: ticket, MODMESH_PATH_SECRET: 'canary-path' },
    })
    expect((await fetch(`${b.url}/canary-path${helloZip}`)).status).toBe(200)
    upstream.break(() => true, { kind: 'status', status: 500 })
    expect((await fetch(`${b.url}/canary-path/example.com/x/@v/list`)).status).toBe(502)
    const page = await fetch(`${b.url}/canary-path/-/status`).then((r) => r.text())
    const { stdout } = await b.run(['status'])
    await b.end()
    for (const text of [b.log(), b.output(), page, stdout]) {
      for (const secret of [ticket, 'canary-password', 'canary-path']) {
        expect(text).not.toContain(secret)
      }
    }
    const env = await b.run(['env'])
    expect(env.code).toBe(0)
  })

  test('of the path are in the line to paste', async () => {
    const a = await node({
      args: ['--upstream', 'off'],
      env: { MODMESH_PATH_SECRET: 'canary-path' },
    })
    expect((await a.run(['env'])).stdout).toBe(`go env -w GOPROXY=${a.url}/canary-path\n`)
    expect((await fetch(`${a.url}/-/status`)).status).toBe(404)
  })
})

describe('a start that cannot be', () => {
  const free = ['--listen', '127.0.0.1:0', '--mesh-listen', '127.0.0.1:0', '--mdns', 'off']

  async function refused(args: readonly string[], env: Record<string, string> = {}) {
    const result = await runModmesh(['start', ...free, ...args], { env })
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(/^modmesh: [^\n]+\n$/u)
    return { code: result.code, line: result.stderr.slice('modmesh: '.length, -1) }
  }

  test('for a second node names the first one’s process', async () => {
    const a = await node({ args: ['--upstream', 'off'] })
    const { code, line } = await refused(['--dir', a.dir])
    expect(code).toBe(22)
    expect(line).toContain(`${a.dir} is in use by another node (process ${a.pid})`)
    expect((await a.run(['status'])).code).toBe(0)
  })

  test('for a port in use names the address and the flag', async () => {
    const a = await node({ args: ['--upstream', 'off'] })
    const taken = a.url.slice('http://'.length)
    const { code, line } = await refused(['--dir', folder, '--listen', taken])
    expect(code).toBe(1)
    expect(line).toContain(`${taken}: the address is in use; choose another with --listen`)
    const mesh = await refused(['--dir', folder, '--mesh-listen', taken])
    expect(mesh.code).toBe(1)
    expect(mesh.line).toContain('choose another with --mesh-listen')
  })

  test.for([
    { dir: '/proc/modmesh', says: '/proc/modmesh cannot be made there' },
    { dir: '/dev/null', says: '/dev/null is not a directory' },
    { dir: '/dev/null/x', says: 'not a directory' },
  ])('for the directory $dir says why', async ({ dir, says }) => {
    const { code, line } = await refused(['--dir', dir])
    expect({ code, line }).toEqual({ code: 1, line: expect.stringContaining(says) as string })
  })

  test.for([
    ['garbage', 'begins with modmesh1'],
    ['modmesh1AAAA', 'cut off'],
  ] as const)('for the ticket %s says why, and does not repeat it', async ([ticket, says]) => {
    const { code, line } = await refused(['--dir', folder], { MODMESH_JOIN: ticket })
    expect(code).toBe(2)
    expect(line).toContain('MODMESH_JOIN: ')
    expect(line).toContain(says)
    expect(line).not.toContain('AAAA')
  })

  test('for an unusable certificate file names it', async () => {
    const path = join(folder, 'ca.pem')
    await writeFile(path, 'no certificate')
    const { code, line } = await refused(['--dir', join(folder, 'd'), '--ca-file', path])
    expect(code).toBe(2)
    expect(line).toContain(`--ca-file: no usable certificate in ${path}`)
  })

  test('for another user’s directory says so', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root to become another user')
    const a = await node({ args: ['--upstream', 'off'] })
    const nobody = ['setpriv', '--reuid', '65534', '--clear-groups']
    if (spawnSync('setpriv', ['--version']).error) context.skip('needs setpriv')
    const start = await runModmesh(['start', '--dir', a.dir, ...free], { through: nobody })
    expect(start).toMatchObject({ code: 1, stdout: '' })
    expect(start.stderr).toMatch(/^modmesh: [^\n]*(permission|another user)[^\n]*\n$/u)
    const status = await runModmesh(['status', '--dir', a.dir], { through: nobody })
    expect(status.code).toBe(1)
    expect(status.stderr).toContain('no permission to ask the node')
  })
})

describe('commands beside a node', () => {
  test('work from another network namespace', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root for a network namespace')
    if (spawnSync('unshare', ['-n', 'true']).status !== 0) context.skip('unshare -n does not work')
    const a = await node({ args: ['--upstream', 'off'] })
    const elsewhere = { through: ['unshare', '-n'] }
    expect((await a.run(['status'], elsewhere)).stdout).toContain('READY')
    const invited = await a.run(['invite'], elsewhere)
    expect(invited.code).toBe(0)
    expect(invited.stdout).toMatch(/^modmesh1[\w-]+\n$/u)
    expect((await a.run(['env'], elsewhere)).stdout).toContain(a.url)
    const help = await runModmesh(['--help'], elsewhere)
    expect(help).toMatchObject({ code: 0, stderr: '' })
  })

  test('find the node in a directory with a very long path', async () => {
    const dir = join(folder, 'x'.repeat(120))
    const a = await node({ dir, args: ['--upstream', 'off'] })
    expect((await a.run(['status'])).code).toBe(0)
    expect(await a.end()).toBe(0)
    expect((await a.run(['status'])).code).toBe(21)
  })

  test('invite from a node that joined is refused and makes no second root', async () => {
    const a = await node({ args: ['--upstream', 'off'] })
    const { stdout } = await a.run(['invite'])
    const b = await node({ args: ['--upstream', 'off'], env: { MODMESH_JOIN: stdout } })
    const refused = await b.run(['invite'])
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/^modmesh: [^\n]+\n$/u)
    expect(b.mesh).toBe(JSON.parse((await a.run(['status', '--json'])).stdout).mesh.id)
  })
})

describe('every way of setting options changes what a node does', () => {
  const upstreamText = 'https://up.example,https://other.example'
  const values = {
    site: 'oslo',
    name: 'n-7',
    upstream: upstreamText,
    sumdb: 'off',
    'path-secret': 'abcdefgh',
    log: 'debug',
    host: 'go.internal',
    offline: 'on',
  }
  const ways: readonly (readonly [string, () => Promise<StartNodeInit>])[] = [
    [
      'flags',
      async () => ({
        args: Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]),
      }),
    ],
    [
      'variables',
      async () => ({
        env: Object.fromEntries(
          Object.entries(values).map(([name, value]) => [
            `MODMESH_${name.replaceAll('-', '_').toUpperCase()}`,
            value,
          ]),
        ),
      }),
    ],
    [
      'the configuration file',
      async () => {
        const config = join(folder, 'c.toml')
        const lines = Object.entries(values).map(([name, value]) => `${name} = "${value}"\n`)
        await writeFile(config, lines.join(''))
        return { args: ['--config', config] }
      },
    ],
  ]

  test.for(ways)('%s', async ([, prepare]) => {
    const a = await node(await prepare())
    const base = `${a.url}/abcdefgh`
    expect((await fetch(`${a.url}/-/status`)).status).toBe(404)
    expect(await fetch(`${base}/-/status`).then((r) => r.json())).toMatchObject({
      site: 'oslo',
      name: 'n-7',
      upstream: { state: 'offline', list: upstreamText },
      checksumDatabase: { name: null },
    })
    expect((await fetch(`${base}/example.com/x/@v/list`)).status).toBe(404)
    expect(await statusFor(a.url, 'go.internal')).toBe(200)
    expect(await statusFor(a.url, 'evil.example')).toBe(403)
    expect(a.log()).toContain('"level":"debug"')
  })

  async function statusFor(url: string, host: string): Promise<number> {
    const request = get(`${url}/abcdefgh/-/healthz`, { headers: { host } })
    const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }]
    response.resume()
    return response.statusCode
  }
})

test('the ticket in the environment is gone from the node’s own at once', async () => {
  const a = await node({ args: ['--upstream', 'off'] })
  const { stdout } = await a.run(['invite'])
  const probe = join(folder, 'probe.mjs')
  await writeFile(
    probe,
    `process.on('SIGUSR2', () => process.stderr.write('JOIN=' + process.env.MODMESH_JOIN + '\\n'))`,
  )
  const b = await node({
    args: ['--upstream', 'off'],
    env: { MODMESH_JOIN: stdout, NODE_OPTIONS: `--import ${probe}` },
  })
  b.process.kill('SIGUSR2')
  await expect.poll(() => b.log()).toContain('JOIN=undefined')
})
