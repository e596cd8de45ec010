import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { tlsFile } from '../../packages/goproxy/test/support/tls-server.ts'
import { GitHost } from '../support/git-host.ts'
import type { GitRepo } from '../support/git-repo.ts'
import { GoHome, goTest } from '../support/go.ts'
import { statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const host = 'git.modmesh.test'
const lib = `${host}/team/lib`
const login = { user: 'build-bot', password: 'only-the-publisher-knows' }
const patience = { timeout: 30_000, interval: 50 }

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

let git: GitHost
let repo: GitRepo
let home: string

interface Member {
  readonly roles?: string
  /** Default: on. */
  readonly shares?: 'on' | 'off'
  /** Can reach the git host, with its login. */
  readonly hasLogin?: true
}

async function member(
  name: string,
  ticket: string | undefined,
  init: Member,
): Promise<StartedNode> {
  const { shares = 'on', hasLogin } = init
  const trust = ['--upstream', 'direct', '--ca-file', tlsFile('ca.pem')]
  const upstream = hasLogin === true ? trust : ['--upstream', 'off']
  const privates = ['--private', '*.modmesh.test', '--share-private', shares]
  const args = ['--name', name, '--sumdb', 'off', '--log', 'debug', ...privates, ...upstream]
  const env = {
    ...(hasLogin === true ? git.env(home) : {}),
    ...(ticket === undefined ? {} : { MODMESH_JOIN: ticket }),
  }
  return stack.use(await startNode({ args, env, timeoutMs: 90_000 }))
}

async function ticketFor(root: StartedNode, roles: string | undefined): Promise<string> {
  const args = roles === undefined ? ['invite'] : ['invite', '--roles', roles]
  const { code, stdout, stderr } = await root.run(args)
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  return stdout.trim()
}

/** A mesh of members, all connected to all: the first one makes it. */
async function meshOf<K extends string>(
  members: Readonly<Record<K, Member>>,
): Promise<Readonly<Record<K | 'root', StartedNode>>> {
  const root = await member('root', undefined, { shares: 'off' })
  const nodes = new Map<string, StartedNode>([['root', root]])
  for (const [name, init] of Object.entries<Member>(members)) {
    nodes.set(name, await member(name, await ticketFor(root, init.roles), init))
  }
  for (const node of nodes.values()) {
    await until(async () => (await connected(node)) === nodes.size - 1)
  }
  return Object.fromEntries(nodes) as Record<K | 'root', StartedNode>
}

/** As expect.poll, which works inside tests alone. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + patience.timeout
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error('the mesh is not connected')
    await new Promise((resolve) => setTimeout(resolve, patience.interval))
  }
}

async function connected(node: StartedNode): Promise<number> {
  return (await statusOf(node)).mesh.peers.filter((peer) => peer.connected).length
}

interface Reply {
  readonly status: number
  readonly text: string
}

async function ask(node: StartedNode, path: string): Promise<Reply> {
  const response = await fetch(`${node.url}/${path}`)
  return { status: response.status, text: await response.text() }
}

const parts = ['info', 'mod', 'zip'] as const

async function askAll(node: StartedNode, version: string): Promise<readonly number[]> {
  const replies: number[] = []
  for (const part of parts) replies.push((await ask(node, `${lib}/@v/${version}.${part}`)).status)
  return replies
}

/** Waits until a node has signed a version. */
async function published(node: StartedNode, count: number): Promise<void> {
  await expect
    .poll(async () => (await statusOf(node)).privateModules.published, patience)
    .toBeGreaterThanOrEqual(count)
}

beforeAll(async () => {
  git = stack.use(await GitHost.start({ login }))
  home = await mkdtemp(join(tmpdir(), 'modmesh-private-'))
  stack.defer(() => rm(home, { recursive: true, force: true }))
  const netrc = `machine ${host} login ${login.user} password ${login.password}\n`
  await writeFile(join(home, '.netrc'), netrc, { mode: 0o600 })
  repo = git.repo('team/lib')
  for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) {
    const text = `package lib\n\nconst Version = "${version}"\n`
    repo.commit({ 'go.mod': `module ${lib}\n\ngo 1.20\n`, 'lib.go': text }, { tags: [version] })
  }
})

describe('a mesh that shares private modules', () => {
  let mesh: Readonly<Record<'root' | 'alice' | 'bob' | 'carl' | 'dora', StartedNode>>
  beforeAll(async () => {
    mesh = await meshOf({
      alice: { roles: 'publisher', hasLogin: true },
      bob: { roles: 'private' },
      carl: {},
      dora: { roles: 'private', shares: 'off' },
    })
  })

  goTest(
    'a member with the role builds with what a publisher fetched, without a login',
    async () => {
      const { alice, bob } = mesh
      expect(await askAll(alice, 'v1.0.0')).toEqual([200, 200, 200])
      expect(await askAll(alice, 'v1.1.0')).toEqual([200, 200, 200])
      await published(alice, 2)
      const asked = git.requests.length
      const go = stack.use(await GoHome.make({ proxy: bob.url, sumdb: 'off' }))
      const main = `package main\n\nimport "${lib}"\n\nfunc main() { println(lib.Version) }\n`
      const cwd = await go.project({
        'go.mod': 'module test.local/main\n\ngo 1.20\n',
        'main.go': main,
      })
      const run = (...args: string[]) => go.run(args, { cwd })
      expect((await run('list', '-m', '-versions', lib)).stdout).toBe(`${lib} v1.0.0 v1.1.0\n`)
      expect(await run('get', `${lib}@latest`)).toMatchObject({ code: 0 })
      expect(await run('run', '.')).toMatchObject({ code: 0, stderr: 'v1.1.0\n' })
      expect(await run('mod', 'verify')).toMatchObject({ code: 0 })
      expect(git.requests).toHaveLength(asked)
      const why = JSON.parse((await bob.run(['why', '--json', `${lib}@v1.1.0`])).stdout)
      expect(why).toMatchObject({ private: true, shared: true, published: { publisher: 'alice' } })
      expect(why.held.proof).toBe(`publisher alice (${alice.peerId})`)
      expect((await bob.run(['why', `${lib}@v1.1.0`])).stdout).toContain('published  by alice (')
      expect((await bob.run(['ls'])).stdout).toContain('published by alice')
      expect((await bob.run(['status'])).stdout).toMatch(/Private +this node is given them; /u)
      expect((await alice.run(['status'])).stdout).toMatch(/Private +this node is a publisher; /u)
    },
  )
})
