import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BlackHole } from '../support/black-hole.ts'
import { appOf, type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { filePath, statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const lib = 'example.com/lib'
const app = 'example.com/app'
const pseudo = 'v0.0.0-20240506070809-0123456789ab'

const held: readonly FakeModule[] = [
  { path: lib, version: 'v1.0.0' },
  { path: lib, version: 'v1.1.0' },
  appOf(app, lib),
  { path: 'example.com/branch', version: pseudo, listed: false },
]
/** Upstream has it, the node only its go.mod. */
const onlyMod: FakeModule = { path: lib, version: 'v1.2.0' }

let upstream: FakeUpstream
/** A data directory with all of `held`, its records and what upstream said of it. */
let filled = ''
/** What Go's own library compiles to, shared: it takes most of the time. */
let buildCache = ''

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [...held, onlyMod] })
  upstream.addQuery('example.com/branch', 'main', pseudo)
  filled = await mkdtemp(join(tmpdir(), 'modmesh-filled-'))
  buildCache = await mkdtemp(join(tmpdir(), 'modmesh-gocache-'))
  await using node = await start(upstream.url, filled)
  for (const module of held) {
    for (const suffix of ['info', 'mod', 'zip'] as const) {
      expect((await fetch(node.url + filePath(module, suffix))).status).toBe(200)
    }
    expect((await fetch(`${node.url}${lookup(module)}`)).status).toBe(200)
  }
  for (const path of [`/${app}/@v/list`, `/${app}/@latest`, '/example.com/branch/@v/main.info']) {
    expect((await fetch(node.url + path)).status).toBe(200)
  }
  expect((await fetch(node.url + filePath(onlyMod, 'mod'))).status).toBe(200)
  // The records' tree, as `go` would read it.
  await using go = await goOf(node)
  await go.run(['mod', 'download', `${app}@v0.1.0`])
  await node.end()
})
afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]()
  for (const dir of [filled, buildCache]) {
    await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  }
})

function lookup({ path, version }: FakeModule): string {
  return `/sumdb/${upstream.sumdb.name}/lookup/${path}@${version}`
}

/** A copy of what is held: each node has its own. */
async function copyOfFilled(parts: AsyncDisposableStack): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-offline-'))
  parts.defer(() => rm(dir, { recursive: true, force: true }))
  await cp(filled, dir, { recursive: true, filter: (source) => !source.endsWith('.sock') })
  return dir
}

function start(list: string, dir: string, more: readonly string[] = []): Promise<StartedNode> {
  const sumdb = `${upstream.sumdb.keyText} ${list.split(',')[0]}/sumdb/${upstream.sumdb.name}`
  return startNode({ dir, args: ['--upstream', list, '--sumdb', sumdb, ...more] })
}

/** The ways to be cut off, each with a node that holds `held`. */
const cuts = ['--offline', 'a refused connection', 'a black hole'] as const

interface CutOff extends AsyncDisposable {
  readonly node: StartedNode
  /** What is not held is answered with this. */
  readonly missing: number
}

async function cutOff(how: (typeof cuts)[number]): Promise<CutOff> {
  await using stack = new AsyncDisposableStack()
  const dir = await copyOfFilled(stack)
  if (how === 'a black hole') {
    const hole = stack.use(await BlackHole.open())
    return made(stack.use(await start(hole.url, dir)), 502, stack.move())
  }
  const gone = await FakeUpstream.start()
  await gone.down()
  const more = how === '--offline' ? ['--offline'] : []
  const node = stack.use(await start(gone.url, dir, more))
  return made(node, how === '--offline' ? 404 : 502, stack.move())
}

function made(node: StartedNode, missing: number, parts: AsyncDisposableStack): CutOff {
  return { node, missing, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

function goOf(node: StartedNode): Promise<GoHome> {
  const { name, keyText } = upstream.sumdb
  expect(keyText.startsWith(name)).toBe(true)
  return GoHome.make({
    proxy: node.url,
    sumdb: keyText,
    env: { GOFLAGS: '-mod=mod -modcacherw', GOCACHE: buildCache },
  })
}

interface Timed {
  readonly status: number
  readonly cache: string | null
  readonly text: string
  readonly tookMs: number
}

async function ask(url: string): Promise<Timed> {
  const startedMs = performance.now()
  const answer = await fetch(url)
  const text = await answer.text()
  const tookMs = performance.now() - startedMs
  return { status: answer.status, cache: answer.headers.get('cache-control'), text, tookMs }
}

/**
 * How long an answer may take that is given at once, given how long held files take: on a busy machine both wait for
 * what else it does. Whoever waited for a network would wait some hundred times as long.
 */
function atOnceMs(ofHeld: readonly number[]): number {
  return Math.max(20, 12 * median(ofHeld))
}

async function timesOfHeld(node: StartedNode): Promise<readonly number[]> {
  const took: number[] = []
  const [module] = held
  if (module === undefined) throw new Error('something is held')
  for (let i = 0; i < 24; i++) took.push((await ask(node.url + filePath(module, 'mod'))).tookMs)
  return took
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** One path of each kind of a module that nobody has. */
function unheld(i: number): readonly string[] {
  const base = `/example.com/nobody/has${i}`
  return [
    `${base}/@v/list`,
    `${base}/@latest`,
    `${base}/@v/main.info`,
    `${base}/@v/v1.0.0.info`,
    `${base}/@v/v1.0.0.mod`,
    `${base}/@v/v1.0.0.zip`,
  ]
}

describe.for(cuts)('cut off by %s', (how) => {
  let cut: CutOff
  beforeAll(async () => {
    cut = await cutOff(how)
  })
  afterAll(() => cut?.[Symbol.asyncDispose]())

  test('the first request for what is not held is answered within the time of a connection', async () => {
    const { status, tookMs } = await ask(`${cut.node.url}/example.com/first/@v/list`)
    expect(status).toBe(how === 'a black hole' ? 504 : cut.missing)
    expect(tookMs).toBeLessThan(10_000)
  })

  test('what is not held is answered at once, and not to be remembered', async () => {
    let asked = 0
    const round = async (): Promise<number> => {
      const took: number[] = []
      const ofHeld = await timesOfHeld(cut.node)
      for (let i = 0; i < 8; i++) {
        for (const path of unheld(asked++)) {
          const { status, cache, tookMs } = await ask(cut.node.url + path)
          expect([path, status]).toEqual([path, cut.missing])
          expect(cache).toBe('no-store')
          took.push(tookMs)
        }
      }
      return median(took) / atOnceMs(ofHeld)
    }
    await expect.poll(round, { interval: 10 }).toBeLessThan(1)
  })

  test('files are given as ever', async () => {
    for (const module of held) {
      for (const suffix of ['info', 'mod', 'zip'] as const) {
        const answer = await fetch(cut.node.url + filePath(module, suffix))
        expect(answer.status).toBe(200)
        expect(answer.headers.get('warning')).toBeNull()
        const path = filePath(module, suffix)
        expect(
          Buffer.from(await answer.arrayBuffer()).equals(upstream.bytesOf(path) ?? Buffer.alloc(0)),
        ).toBe(true)
      }
    }
  })

  test.for([
    ['a list that upstream gave', `/${app}/@v/list`, 'v0.1.0\n', true],
    ['the latest that upstream gave', `/${app}/@latest`, '"Version":"v0.1.0"', true],
    ['a branch that upstream gave', '/example.com/branch/@v/main.info', pseudo, true],
    ['a list of what is held', `/${lib}/@v/list`, 'v1.0.0\nv1.1.0\n', false],
    ['the latest of what is held', `/${lib}/@latest`, '"Version":"v1.1.0"', false],
    ['the latest of pseudo-versions', '/example.com/branch/@latest', pseudo, false],
    ['a commit that is held', '/example.com/branch/@v/0123456789ab.info', pseudo, false],
  ] as const)('%s is marked as old', async ([, path, text, hasAge]) => {
    const answer = await fetch(cut.node.url + path)
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining(text)])
    const { headers } = answer
    expect(headers.get('warning')).toMatch(/^11[02] modmesh /)
    expect(headers.get('cache-control')).toBe('no-cache')
    if (!hasAge) return
    // A quick machine comes here within its first second.
    const age = async (): Promise<number> =>
      Number((await fetch(cut.node.url + path)).headers.get('age'))
    await expect.poll(age, { interval: 100 }).toBeGreaterThanOrEqual(1)
  })

  test('held lists are given at once, too', async () => {
    const round = async (): Promise<number> => {
      const took: number[] = []
      const ofHeld = await timesOfHeld(cut.node)
      for (let i = 0; i < 12; i++) {
        for (const path of [`/${app}/@v/list`, `/${lib}/@v/list`, `/${lib}/@latest`]) {
          const { status, tookMs } = await ask(cut.node.url + path)
          expect(status).toBe(200)
          took.push(tookMs)
        }
      }
      return median(took) / atOnceMs(ofHeld)
    }
    await expect.poll(round, { interval: 10 }).toBeLessThan(1)
  })

  test('the catalogue and the index show what is held', async () => {
    const { text } = await ask(`${cut.node.url}/-/catalog`)
    const { modules } = JSON.parse(text) as { modules: { module: string; version: string }[] }
    expect(modules).toEqual([
      { module: app, version: 'v0.1.0' },
      { module: 'example.com/branch', version: pseudo },
      { module: lib, version: 'v1.0.0' },
      { module: lib, version: 'v1.1.0' },
    ])
    const lines = (await ask(`${cut.node.url}/-/index`)).text.trimEnd().split('\n')
    const times = lines.map((line) => (JSON.parse(line) as { Timestamp: string }).Timestamp)
    expect(times).toHaveLength(held.length)
    expect(times.map(Date.parse)).toEqual(times.map(Date.parse).toSorted((a, b) => a - b))
    expect((await ask(`${cut.node.url}/-/index?limit=no`)).status).toBe(400)
  })

  const project = { 'go.mod': 'module test.local/main\n\ngo 1.20\n' }

  goTest('go list -m -versions, go get and go mod download work for what is held', async () => {
    await using go = await goOf(cut.node)
    const cwd = await go.project({
      ...project,
      'main.go': `package main\n\nimport _ "${app}"\n\nfunc main() {}\n`,
    })
    const run = (...args: string[]): Promise<GoResult> => go.run(args, { cwd })
    expect(await run('list', '-m', '-versions', lib)).toMatchObject({
      code: 0,
      stdout: `${lib} v1.0.0 v1.1.0\n`,
    })
    expect(await run('get', `${app}@latest`)).toMatchObject({ code: 0 })
    expect((await run('list', '-m', 'all')).stdout).toContain(`${lib} v1.0.0\n`)
    expect(await run('mod', 'download')).toMatchObject({ code: 0 })
    expect(await run('mod', 'tidy')).toMatchObject({ code: 0 })
    const upgraded = await run('get', `${lib}@latest`)
    expect(upgraded).toMatchObject({ code: 0, stderr: expect.stringContaining('v1.0.0 => v1.1.0') })
    expect(await run('build', '-o', 'out', '.')).toMatchObject({ code: 0, stderr: '' })
    expect(await run('mod', 'verify')).toMatchObject({ code: 0 })
  })

  goTest('go says why it cannot have what is not held', async () => {
    await using go = await goOf(cut.node)
    const cwd = await go.project(project)
    const startedMs = performance.now()
    const { code, stderr } = await go.run(['get', 'example.com/nobody@v1.0.0'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain(cut.missing === 404 ? '404 Not Found' : '502 Bad Gateway')
    expect(performance.now() - startedMs).toBeLessThan(20_000)
  })

  test('the status says so', async () => {
    const { upstream: state, answers } = await statusOf(cut.node)
    expect(state.state).toBe(how === '--offline' ? 'offline' : 'on')
    if (how !== '--offline') expect(state.lastOk).toBe(false)
    expect(answers.levels.held + answers.levels.stale).toBeGreaterThan(0)
    expect(answers.levels.upstream).toBe(0)
  })
})

describe('an upstream that drops packets', () => {
  test('costs one request its time, and the others nothing', async () => {
    await using cut = await cutOff('a black hole')
    const { node } = cut
    const first = await ask(`${node.url}/example.com/a/@v/list`)
    expect([first.status, first.cache]).toEqual([504, 'no-store'])
    const later = await Promise.all(
      Array.from({ length: 20 }, (_, i) => ask(`${node.url}/example.com/b${i}/@v/list`)),
    )
    expect(new Set(later.map(({ status }) => status))).toEqual(new Set([502]))
    expect(median(later.map(({ tookMs }) => tookMs))).toBeLessThan(first.tookMs / 5)
  })
})

describe('without a fetch', () => {
  const ways = [
    ['/cached-only', '/cached-only', {}],
    ['Disable-Module-Fetch', '', { 'disable-module-fetch': 'true' }],
  ] as const
  const parts = new AsyncDisposableStack()
  let node: StartedNode
  beforeAll(async () => {
    node = parts.use(await start(upstream.url, await copyOfFilled(parts)))
  })
  afterAll(() => parts.disposeAsync())

  test.for(ways)(
    '%s gives every kind of what is held, and asks nobody',
    async ([, base, headers]) => {
      upstream.forget()
      const files = held.flatMap((module) =>
        (['info', 'mod', 'zip'] as const).map((suffix) => filePath(module, suffix)),
      )
      const others = [
        `/${app}/@v/list`,
        `/${app}/@latest`,
        '/example.com/branch/@v/main.info',
        `/${lib}/@v/list`,
        `/${lib}/@latest`,
      ]
      for (const path of [...files, ...others]) {
        const answer = await fetch(`${node.url}${base}${path}`, { headers })
        await answer.arrayBuffer()
        expect([path, answer.status]).toEqual([path, 200])
      }
      expect(upstream.count()).toBe(0)
    },
  )

  test.for(ways)(
    '%s answers 404 for every kind of what is not, and asks nobody',
    async ([, base, headers]) => {
      // Upstream has some of it.
      upstream.add({ path: 'example.com/nobody/has7', version: 'v1.0.0' })
      upstream.forget()
      const database = `/sumdb/${upstream.sumdb.name}`
      const paths = [
        ...unheld(7),
        filePath(onlyMod, 'zip'),
        filePath(onlyMod, 'info'),
        `${database}/lookup/example.com/nobody/has7@v1.0.0`,
        `${database}/latest`,
        `${database}/tile/8/0/000`,
        `${database}/supported`,
      ]
      for (const path of paths) {
        const answer = await fetch(`${node.url}${base}${path}`, { headers })
        await answer.arrayBuffer()
        const cache = answer.headers.get('cache-control')
        expect([path, answer.status, cache]).toEqual([path, 404, 'no-store'])
      }
      expect(upstream.count()).toBe(0)
    },
  )

  test('what was refused so is fetched when it is asked for the usual way', async () => {
    const path = filePath({ path: 'example.com/later', version: 'v1.0.0' }, 'mod')
    upstream.add({ path: 'example.com/later', version: 'v1.0.0' })
    expect((await fetch(`${node.url}/cached-only${path}`)).status).toBe(404)
    expect((await fetch(node.url + path)).status).toBe(200)
    expect((await fetch(`${node.url}/cached-only${path}`)).status).toBe(200)
  })
})
