import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { askStatus, filePath, invite, peerOf, untilMet } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

/** Twenty plain modules, and one of every kind that is easy to get wrong. */
const plain: readonly FakeModule[] = Array.from({ length: 20 }, (_, n) => ({
  path: `example.com/lib${n}`,
  version: 'v1.0.0',
}))
const upper: FakeModule = { path: 'example.com/Some/UPPER', version: 'v0.2.0-Beta.1' }
const incompatible: FakeModule = {
  path: 'example.com/old',
  version: 'v3.1.0+incompatible',
  files: { 'old.go': 'package old\n\nconst Version = "v3.1.0+incompatible"\n' },
}
const pseudo: FakeModule = {
  path: 'example.com/pseudo',
  version: 'v0.0.0-20240102030405-0123456789ab',
  time: '2024-01-02T03:04:05Z',
}
const nested: FakeModule = {
  path: 'example.com/major/v2',
  version: 'v2.4.1',
  files: {
    'go.mod': 'module example.com/major/v2\n\ngo 1.20\n\nrequire example.com/lib0 v1.0.0\n',
    'major.go':
      'package major\n\nimport "example.com/lib0"\n\nconst Version = lib0.Version + "+major"\n',
  },
}
const large: FakeModule = {
  path: 'example.com/large',
  version: 'v1.0.0',
  files: {
    'go.mod': 'module example.com/large\n\ngo 1.20\n',
    'large.go': 'package large\n\nconst Version = "v1.0.0"\n',
    'testdata/noise.bin': randomBytes(3 << 20),
  },
}
const many: readonly FakeModule[] = ['v1.0.0', 'v1.1.0', 'v1.2.0-rc.1', 'v1.2.0'].map(
  (version) => ({ path: 'example.com/many', version }),
)
const selected = [...plain, upper, incompatible, pseudo, nested, large, ...many.slice(-1)]
const held = [...selected, ...many.slice(0, -1)]

const goMod = `module test.local/main

go 1.20

require (
${selected.map(({ path, version }) => `\t${path} ${version}`).join('\n')}
)
`
const packages = ['lib0', 'lib19', 'Some/UPPER', 'old', 'pseudo', 'major/v2', 'large', 'many']
const main = `package main

import (
${packages.map((path, n) => `\tp${n} "example.com/${path}"`).join('\n')}
)

func main() {
	println(${packages.map((_, n) => `p${n}.Version`).join(', ')})
}
`
const printed =
  'v1.0.0 v1.0.0 v0.2.0-Beta.1 v3.1.0+incompatible v0.0.0-20240102030405-0123456789ab v1.0.0+major v1.0.0 v1.2.0\n'

/** Of what Go's own library compiles to. */
let buildCache: string
let stack: AsyncDisposableStack
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  buildCache = await mkdtemp(join(tmpdir(), 'modmesh-gocache-'))
  stack.defer(() => rm(buildCache, { recursive: true, force: true }))
})
afterAll(() => stack.disposeAsync())

interface World {
  readonly upstream: FakeUpstream
  readonly a: StartedNode
  readonly b: StartedNode
  /** What `go` wrote at A. */
  readonly goSum: string
}

/** A holds everything, upstream is a black hole, B has joined and holds nothing. Made once. */
let world: Promise<World> | undefined
function getWorld(): Promise<World> {
  world ??= makeWorld()
  return world
}

async function makeWorld(): Promise<World> {
  const upstream = stack.use(await FakeUpstream.start({ modules: held }))
  upstream.sumdb.addFiller(1_000)
  const database = ['--sumdb', upstream.sumdb.keyText]
  const a = stack.use(await startNode({ args: ['--upstream', upstream.url, ...database] }))
  const go = await newGo(a, upstream)
  const goSum = await fillThrough(go)
  const env = { MODMESH_JOIN: await invite(a) }
  // Who asks from now on waits for ever, and is seen.
  upstream.break(() => true, { kind: 'stall' })
  upstream.forget()
  const b = stack.use(await startNode({ args: ['--upstream', 'off', ...database], env }))
  await untilMet(b, a)
  return { upstream, a, b, goSum }
}

async function newGo(node: StartedNode, upstream: FakeUpstream): Promise<GoHome> {
  const env = { GOCACHE: buildCache }
  return stack.use(await GoHome.make({ proxy: node.url, sumdb: upstream.sumdb.keyText, env }))
}

/** Brings every module version into the node; returns the go.sum of the project. */
async function fillThrough(go: GoHome): Promise<string> {
  const cwd = await go.project({ 'go.mod': goMod, 'main.go': main })
  const names = held.map(({ path, version }) => `${path}@${version}`)
  expect(await go.run(['mod', 'download', ...names])).toMatchObject({ code: 0 })
  // With a pattern `go` writes the sums of the zips down, too.
  expect(await go.run(['mod', 'download', 'all'], { cwd })).toMatchObject({ code: 0 })
  return await readFile(join(cwd, 'go.sum'), 'utf8')
}

describe('a node that joined, with upstream gone', () => {
  goTest('gives a whole project from its peer alone, verified and built', async () => {
    const { upstream, a, b, goSum } = await getWorld()
    const go = await newGo(b, upstream)
    const cwd = await go.project({ 'go.mod': goMod, 'go.sum': goSum, 'main.go': main })
    expect(await go.run(['mod', 'download'], { cwd })).toMatchObject({ code: 0 })
    const versions = many.map(({ path, version }) => `${path}@${version}`)
    expect(await go.run(['mod', 'download', ...versions])).toMatchObject({ code: 0 })
    expect((await go.run(['mod', 'verify'], { cwd })).stdout).toBe('all modules verified\n')
    expect(await go.run(['run', '.'], { cwd })).toMatchObject({ code: 0, stderr: printed })
    expect(await readFile(join(cwd, 'go.sum'), 'utf8')).toBe(goSum)
    expect(upstream.requests).toEqual([])

    const { answers, store, refused } = await askStatus(b)
    expect(store.zips).toBe(held.length)
    expect(answers.sinceStart.upstream.answers).toBe(0)
    expect(answers.sinceStart.peer.answers).toBeGreaterThanOrEqual(held.length)
    expect(refused.total).toBe(0)
    const given = (await peerOf(b, a.peerId))?.receivedBytes ?? 0
    expect(given).toBeGreaterThan(3 << 20)
    expect((await peerOf(a, b.peerId))?.sentBytes).toBe(given)
  })

  goTest('answers the checksum database too: go mod tidy without a go.sum', async () => {
    const { upstream, b, goSum } = await getWorld()
    const go = await newGo(b, upstream)
    const cwd = await go.project({
      'go.mod': 'module test.local/main\n\ngo 1.20\n',
      'main.go': main,
    })
    expect(await go.run(['mod', 'tidy'], { cwd })).toMatchObject({ code: 0 })
    expect(await go.run(['run', '.'], { cwd })).toMatchObject({ code: 0 })
    const written = (await readFile(join(cwd, 'go.sum'), 'utf8')).trimEnd().split('\n')
    expect(goSum.split('\n')).toEqual(expect.arrayContaining(written))
    expect(written.length).toBeGreaterThan(2 * packages.length - 1)
    expect(await go.headSize('sum.test')).toBe(upstream.sumdb.size())
    expect(upstream.requests).toEqual([])
  })

  goTest('lists what the mesh holds, and knows the latest of it', async () => {
    const { upstream, b } = await getWorld()
    const go = await newGo(b, upstream)
    const list = await fetch(`${b.url}/example.com/many/@v/list`)
    expect(list.headers.get('cache-status')).toContain('modmesh')
    const lines = (await list.text()).trimEnd().split('\n')
    expect(lines.toSorted()).toEqual(many.map(({ version }) => version).toSorted())
    const latest = await fetch(`${b.url}/example.com/many/@latest`)
    expect(await latest.json()).toMatchObject({ Version: 'v1.2.0' })
    const found = await go.run(['list', '-m', 'example.com/many@latest'])
    expect(found.stdout).toBe('example.com/many v1.2.0\n')
    expect(upstream.requests).toEqual([])
  })

  goTest('says 404 at once for what nobody holds', async () => {
    const { upstream, b } = await getWorld()
    const times: number[] = []
    for (const suffix of ['zip', 'mod', 'info'] as const) {
      for (const version of ['v1.0.0', 'v1.9.0']) {
        const path = `example.com/${version === 'v1.0.0' ? 'nobody' : 'many'}`
        const startedMs = performance.now()
        const answer = await fetch(b.url + filePath({ path, version }, suffix))
        times.push(performance.now() - startedMs)
        expect(answer.status).toBe(404)
        expect((await answer.text()).split('\n').length).toBeLessThanOrEqual(9)
      }
    }
    expect((await fetch(`${b.url}/example.com/nobody/@v/list`)).status).toBe(404)
    expect((await fetch(`${b.url}/example.com/nobody/@latest`)).status).toBe(404)
    // The best of six, since the machine may be busy; a wait for a network would cost each of them.
    expect(Math.min(...times)).toBeLessThan(500)
    expect(Math.max(...times)).toBeLessThan(5_000)
    expect(upstream.requests).toEqual([])
  })
})
