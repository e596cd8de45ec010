import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { untilMet } from '../support/mesh.ts'
import { type StartedNode, type StartNodeInit, startNode } from '../support/start-node.ts'

const hello: FakeModule = {
  path: 'example.com/hello',
  version: 'v1.2.0',
  files: {
    'go.mod': 'module example.com/hello\n\ngo 1.20\n\nrequire example.com/dep v0.1.0\n',
    'hello.go':
      'package hello\n\nimport "example.com/dep"\n\nfunc Say() string { return "hello " + dep.Name }\n',
  },
}
const dep: FakeModule = {
  path: 'example.com/dep',
  version: 'v0.1.0',
  files: {
    'go.mod': 'module example.com/dep\n\ngo 1.20\n',
    'dep.go': 'package dep\n\nconst Name = "dep"\n',
  },
}
const main = 'package main\n\nimport "example.com/hello"\n\nfunc main() { println(hello.Say()) }\n'
const goMod = 'module test.local/main\n\ngo 1.20\n'

/** Of what Go's own library compiles to; shared, because that alone takes most of the time. */
let buildCache: string
beforeAll(async () => {
  buildCache = await mkdtemp(join(tmpdir(), 'modmesh-gocache-'))
})
afterAll(() => rm(buildCache, { recursive: true, force: true }))

let stack: AsyncDisposableStack
let upstream: FakeUpstream
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  upstream = stack.use(await FakeUpstream.start({ modules: [hello, dep] }))
})
afterEach(() => stack.disposeAsync())

async function node(init: StartNodeInit = {}): Promise<StartedNode> {
  return stack.use(await startNode(init))
}

/** The node that has upstream. */
function first(...more: string[]): Promise<StartedNode> {
  return node({ args: ['--upstream', upstream.url, '--sumdb', upstream.sumdb.keyText, ...more] })
}

/** A node that has only its peers. */
async function joined(from: StartedNode, ...more: string[]): Promise<StartedNode> {
  const invited = await from.run(['invite'])
  expect(invited.code).toBe(0)
  const args = ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText, ...more]
  const member = await node({ args, env: { MODMESH_JOIN: invited.stdout } })
  await untilMet(member, from)
  return member
}

async function tidyAndRun(proxy: StartedNode): Promise<string> {
  const env = { GOCACHE: buildCache }
  const sumdb = upstream.sumdb.keyText
  const go = stack.use(await GoHome.make({ proxy: proxy.url, sumdb, env }))
  const cwd = await go.project({ 'go.mod': goMod, 'main.go': main })
  for (const args of [
    ['mod', 'tidy'],
    ['mod', 'download', 'all'],
    ['mod', 'verify'],
  ]) {
    const { code, stderr } = await go.run(args, { cwd })
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  }
  return (await go.run(['run', '.'], { cwd })).stderr
}

interface StatusJson {
  readonly state: string
  readonly mesh: { readonly id: string; readonly peers: readonly { readonly id: string }[] }
  readonly answers: { readonly sinceStart: Record<string, { answers: number; bytes: number }> }
  readonly store: { readonly zips: number }
  readonly checksumDatabase: { readonly treeSize: number }
  readonly refused: { readonly total: number }
}

async function statusOf(from: StartedNode): Promise<StatusJson> {
  const { code, stdout, stderr } = await from.run(['status', '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as StatusJson
}

describe('a second host', () => {
  goTest('gets everything from the first, proofs included, while upstream is gone', async () => {
    const a = await first()
    expect(await tidyAndRun(a)).toContain('hello dep')
    await upstream.down()

    const b = await joined(a)
    expect(b.readyLine).toBe(`ready proxy=${b.url} mesh=${b.mesh} peer=${b.peerId}`)
    expect(await tidyAndRun(b)).toContain('hello dep')

    const [statusA, statusB] = [await statusOf(a), await statusOf(b)]
    expect(statusA.mesh.id).toBe(b.mesh)
    expect(statusA.mesh.peers).toMatchObject([{ id: b.peerId, connected: true }])
    expect(statusB.mesh.peers).toMatchObject([{ id: a.peerId, connected: true, blamed: null }])
    expect(statusB.store).toMatchObject({ zips: 2 })
    expect(statusB.checksumDatabase.treeSize).toBe(statusA.checksumDatabase.treeSize)
    expect(statusB.answers.sinceStart.upstream).toEqual({ answers: 0, bytes: 0 })
    expect(statusB.answers.sinceStart.peer?.answers).toBeGreaterThanOrEqual(2)
    expect(statusB.refused.total).toBe(0)
  })

  goTest('keeps what it got and its membership over a restart without its peer', async () => {
    const a = await first()
    await tidyAndRun(a)
    const b = await joined(a)
    await tidyAndRun(b)
    await a.end()
    expect(await b.end()).toBe(0)
    const again = await node({
      dir: b.dir,
      args: ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText],
    })
    expect({ mesh: again.mesh, peerId: again.peerId }).toEqual({ mesh: b.mesh, peerId: b.peerId })
    expect(await tidyAndRun(again)).toContain('hello dep')
    const { answers } = await statusOf(again)
    expect(answers.sinceStart.peer?.answers).toBe(0)
  })

  goTest('is not told of private modules', async () => {
    const a = await first('--private', 'example.com/dep', '--noproxy', '')
    await fetch(`${a.url}/example.com/dep/@v/v0.1.0.zip`).then((r) => expect(r.status).toBe(200))
    await fetch(`${a.url}/example.com/hello/@v/v1.2.0.zip`).then((r) => expect(r.status).toBe(200))
    const b = await joined(a)
    const ask = async (path: string): Promise<number> => (await fetch(b.url + path)).status
    expect(await ask('/example.com/hello/@v/v1.2.0.zip')).toBe(200)
    expect(await ask('/example.com/dep/@v/v0.1.0.zip')).toBe(404)
    expect(await ask('/example.com/dep/@v/v0.1.0.mod')).toBe(404)
    expect(await ask('/example.com/dep/@v/list')).toBe(404)
  })

  test('with another mesh’s ticket is refused, and stays in its own', async () => {
    const [a, b] = [await first(), await first()]
    const ticketA = (await a.run(['invite'])).stdout
    await b.run(['invite'])
    const { mesh } = await statusOf(b)
    expect(await b.end()).toBe(0)
    await expect(startNode({ dir: b.dir, env: { MODMESH_JOIN: ticketA } })).rejects.toThrow(
      /ended early \(2\)[^]*modmesh: MODMESH_JOIN: [^\n]+mesh/u,
    )
    const again = await node({ dir: b.dir })
    expect(again.mesh).toBe(mesh.id)
  })
})
