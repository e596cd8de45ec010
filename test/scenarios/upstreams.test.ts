import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startTls, tlsFile } from '../../packages/goproxy/test/support/tls-server.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const open: FakeModule = { path: 'example.com/open', version: 'v1.0.0' }
const corp: FakeModule = { path: 'corp.example/team/lib', version: 'v1.0.0' }
const lab: FakeModule = { path: 'lab.example/thing', version: 'v1.0.0' }
const shut: FakeModule = { path: 'shut.example/thing', version: 'v1.0.0' }
const modules = [open, corp, lab, shut]

const get = (node: StartedNode, module: FakeModule, suffix: 'zip' | 'mod' | 'info') =>
  fetch(node.url + filePath(module, suffix))

async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-upstreams-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Paths of modules that were asked for: not those of the checksum database. */
function asked(upstream: FakeUpstream): string[] {
  return upstream.requests.map(({ path }) => path).filter((path) => path.includes('/@'))
}

describe('a module path is asked of its own upstream', () => {
  let stack: AsyncDisposableStack
  let all: Record<'default' | 'corp' | 'lab', FakeUpstream>
  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    const main = stack.use(await FakeUpstream.start({ modules }))
    const same = async () => stack.use(await FakeUpstream.start({ modules, sumdb: main.sumdb }))
    all = { default: main, corp: await same(), lab: await same() }
  })
  afterAll(() => stack.disposeAsync())

  const ways: readonly {
    readonly name: string
    readonly start: (urls: Record<keyof typeof all, string>) => Promise<StartedNode>
  }[] = [
    {
      name: 'flags',
      start: (urls) => {
        const lists = [
          urls.default,
          `corp.example/*=${urls.corp}`,
          `lab.example/*=${urls.lab},${urls.default}`,
          'shut.example=off',
        ]
        const args = lists.flatMap((list) => ['--upstream', list])
        return startNode({ args: [...args, '--sumdb', all.default.gosumdb] })
      },
    },
    {
      name: 'a table of the configuration file',
      start: async (urls) => {
        const file = join(await scratch(), 'modmesh.toml')
        const table = [
          `sumdb = "${all.default.gosumdb}"`,
          '[upstream]',
          `default = "${urls.default}"`,
          `"corp.example/*" = "${urls.corp}"`,
          `"lab.example/*" = "${urls.lab},${urls.default}"`,
          '"shut.example" = "off"',
        ]
        await writeFile(file, `${table.join('\n')}\n`)
        return await startNode({ args: ['--config', file] })
      },
    },
  ]

  test.for(ways)('as $name say', async ({ start }) => {
    const { default: main, corp: ofCorp, lab: ofLab } = all
    for (const upstream of Object.values(all)) upstream.forget()
    await using node = await start({ default: main.url, corp: ofCorp.url, lab: ofLab.url })
    const stop = ofLab.break((path) => path.includes('lab.example'), {
      kind: 'status',
      status: 404,
    })
    for (const module of [open, corp, lab]) {
      expect((await get(node, module, 'mod')).status).toBe(200)
    }
    expect((await get(node, shut, 'mod')).status).toBe(404)
    stop()
    expect(asked(main)).toEqual([filePath(open, 'mod'), filePath(lab, 'mod')])
    expect(asked(ofCorp)).toEqual([filePath(corp, 'mod')])
    expect(asked(ofLab)).toEqual([filePath(lab, 'mod')])
  })
})

test('a first upstream that never says a word is left for the next within its stall limit, once', async () => {
  await using good = await FakeUpstream.start({ modules })
  await using silent = await FakeUpstream.start({ modules, sumdb: good.sumdb })
  silent.break(() => true, { kind: 'stall' })
  await using node = await startNode({
    args: ['--upstream', `${silent.url}|${good.url}`, '--sumdb', good.gosumdb],
  })
  const started = performance.now()
  const answers = await Promise.all([get(node, open, 'zip'), get(node, corp, 'mod')])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  // The other limits would take 60 s and more.
  expect(performance.now() - started).toBeLessThan(40_000)
  const restarted = performance.now()
  expect((await get(node, lab, 'zip')).status).toBe(200)
  expect(performance.now() - restarted).toBeLessThan(5_000)
})

test('a go.mod, an info, a list or a query never pulls a zip', async () => {
  await using upstream = await FakeUpstream.start({ modules })
  upstream.addQuery(open.path, 'main', open.version)
  await using node = await startNode({
    args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb],
  })
  const targets = ['@v/v1.0.0.mod', '@v/v1.0.0.info', '@v/list', '@latest', '@v/main.info']
  for (const target of targets) {
    const answer = await fetch(`${node.url}/${open.path}/${target}`)
    expect(answer.status).toBe(200)
  }
  expect(asked(upstream).filter((path) => path.endsWith('.zip'))).toEqual([])
  expect(new Set(asked(upstream))).toEqual(new Set(targets.map((at) => `/${open.path}/${at}`)))
  // Each file once, and nothing that was not asked for.
  expect(asked(upstream)).toHaveLength(targets.length)
})

test('a dead upstream before a living one costs nothing but its first request', async () => {
  const more = Array.from({ length: 20 }, (_, n) => ({ ...open, version: `v1.${n}.1` }))
  await using living = await FakeUpstream.start({ modules: more })
  await using dead = await FakeUpstream.start({ modules: more, sumdb: living.sumdb })
  dead.break(() => true, { kind: 'stall' })
  const list = `${dead.url}|${living.url}`
  const database = ['--sumdb', living.gosumdb, '--fetch-timeout', '8']
  await using node = await startNode({ args: ['--upstream', list, ...database] })
  const [first, ...others] = more
  if (first === undefined) throw new Error('no module')
  const costOf = async (module: FakeModule): Promise<number> => {
    const startedMs = performance.now()
    expect((await get(node, module, 'zip')).status).toBe(200)
    return performance.now() - startedMs
  }
  const found = await costOf(first)
  const costs: number[] = []
  for (const module of others) costs.push(await costOf(module))
  expect(Math.max(...costs)).toBeLessThan(found / 2)
  expect(asked(dead).length).toBeLessThanOrEqual(2)
})

test('credentials go to their https upstream alone, and are shown nowhere', async () => {
  await using upstream = await FakeUpstream.start({ modules })
  const password = 'hunter2-of-the-company'
  const wanted = `Basic ${Buffer.from(`ci:${password}`).toString('base64')}`
  await using files = await startTls((request, response) => {
    response.end(upstream.bytesOf(decodeURIComponent(request.url ?? '')))
  })
  await using guarded = await startTls((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    if (request.headers.authorization !== wanted) response.writeHead(401).end('who are you?')
    else if (path.endsWith('.zip')) {
      // As a store of files that strangers run.
      response.writeHead(302, { location: `https://localhost:${files.port}${path}` }).end()
    } else response.end(upstream.bytesOf(path))
  })
  const netrc = join(await scratch(), 'netrc')
  await writeFile(netrc, `machine 127.0.0.1 login ci password ${password}\n`, { mode: 0o600 })
  const sources = ['--upstream', `corp.example/*=${guarded.url}`, '--upstream', upstream.url]
  const trust = ['--ca-file', tlsFile('ca.pem'), '--goauth', 'netrc', '--log', 'debug']
  await using node = await startNode({
    args: [...sources, ...trust, '--sumdb', upstream.gosumdb],
    env: { NETRC: netrc },
  })
  for (const suffix of ['mod', 'zip'] as const) {
    expect((await get(node, corp, suffix)).status).toBe(200)
  }
  expect((await get(node, open, 'mod')).status).toBe(200)
  expect(guarded.seen.every(({ headers }) => headers.authorization === wanted)).toBe(true)
  expect(files.seen.map(({ headers }) => headers.authorization)).toEqual([undefined])
  expect(upstream.requests.every(({ headers }) => headers['authorization'] === undefined)).toBe(
    true,
  )

  // A new password that nobody told us of: an error that names the trouble and no secret.
  await writeFile(netrc, 'machine 127.0.0.1 login ci password wrong-hunter2\n')
  await using late = await startNode({
    args: [...sources, ...trust, '--sumdb', upstream.gosumdb],
    env: { NETRC: netrc },
  })
  const refused = await get(late, corp, 'mod')
  expect(refused.status).toBe(502)
  expect(await refused.text()).toContain('401')
  for (const one of [node, late]) {
    const status = await one.run(['status', '--json'])
    expect(status.stdout + one.log() + one.output()).not.toContain('hunter2')
  }
})

test('HTTP_PROXY and NO_PROXY of the environment count', async () => {
  await using upstream = await FakeUpstream.start({ modules })
  const targets: string[] = []
  const proxy = createServer((request, response) => {
    targets.push(request.url ?? '')
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://none').pathname)
    response.end(upstream.bytesOf(path))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const { port } = proxy.address() as AddressInfo
  await using node = await startNode({
    // This machine itself is asked for the database: never through a proxy.
    args: ['--upstream', 'http://a.modmesh.test', '--sumdb', upstream.gosumdb],
    env: { HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: 'b.modmesh.test' },
  })
  expect((await get(node, open, 'zip')).status).toBe(200)
  expect(targets.filter((target) => target.includes('/@v/'))).toEqual([
    `http://a.modmesh.test${filePath(open, 'zip')}`,
  ])
  expect(upstream.requests.every(({ path }) => path.startsWith('/sumdb/'))).toBe(true)
})
