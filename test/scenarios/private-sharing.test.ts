import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseModuleVersion } from '@modmesh/module'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tlsFile } from '../../packages/goproxy/test/support/tls-server.ts'
import { GitHost } from '../support/git-host.ts'
import type { GitRepo } from '../support/git-repo.ts'
import { GoHome, goTest } from '../support/go.ts'
import { peerOf, statusOf } from '../support/mesh.ts'
import { startPrivateLiar } from '../support/private-liar.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const host = 'git.modmesh.test'
const lib = `${host}/team/lib`
const login = { user: 'build-bot', password: 'only-the-publisher-knows' }
const patience = { interval: 50 }
/** How long all may take to find each other, ms. */
const connectMs = 90_000

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
  return stack.use(await startNode({ args, env }))
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
  const endMs = performance.now() + connectMs
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

/** Files below a folder that hold one of the texts. */
async function filesWith(folder: string, texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    if (texts.some((text) => bytes.includes(text))) found.push(path)
  }
  return found
}

interface PublishReport {
  readonly published: readonly { readonly module: string; readonly publisher: string }[]
  readonly failed: readonly { readonly module: string; readonly reason: string }[]
}

async function publish(node: StartedNode, ...names: string[]): Promise<PublishReport> {
  const { stdout, stderr } = await node.run(['publish', '--json', ...names])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as PublishReport
}

describe('a mesh that shares private modules', () => {
  let mesh: Readonly<Record<'root' | 'alice' | 'bob' | 'carl' | 'dora', StartedNode>>
  beforeAll(async () => {
    mesh = await meshOf({
      alice: { roles: 'publisher', hasLogin: true },
      bob: { roles: 'private' },
      carl: {},
      dora: { roles: 'private', shares: 'off' },
    })
    for (const version of ['v1.0.0', 'v1.1.0']) {
      expect(await askAll(mesh.alice, version)).toEqual([200, 200, 200])
    }
    await until(async () => (await statusOf(mesh.alice)).privateModules.published === 2)
  })

  goTest(
    'a member with the role builds with what a publisher fetched, without a login',
    async () => {
      const { alice, bob } = mesh
      const asked = git.requests.length
      // As people have them set; go asks the database for what GONOSUMDB does not name.
      const env = { GOPRIVATE: '*.modmesh.test', GONOPROXY: 'none', GONOSUMDB: '*.modmesh.test' }
      const go = stack.use(await GoHome.make({ proxy: bob.url, sumdb: 'sum.golang.org', env }))
      // No program: linking one takes longer than all the rest.
      const user = `package user\n\nimport "${lib}"\n\nconst Version string = lib.Version\n`
      const goMod = 'module test.local/user\n\ngo 1.20\n'
      const cwd = await go.project({ 'go.mod': goMod, 'user.go': user })
      const run = (...args: string[]) => go.run(args, { cwd })
      expect((await run('list', '-m', '-versions', lib)).stdout).toBe(`${lib} v1.0.0 v1.1.0\n`)
      expect(await run('get', `${lib}@latest`)).toMatchObject({ code: 0 })
      expect(await readFile(join(cwd, 'go.mod'), 'utf8')).toContain(`${lib} v1.1.0`)
      expect(await run('build', './...')).toMatchObject({ code: 0 })
      expect(await run('mod', 'verify')).toMatchObject({ code: 0 })
      expect(git.requests).toHaveLength(asked)
      const secret = await stat(join(alice.dir, 'mesh/private-names'))
      expect(secret.mode & 0o777).toBe(0o600)
      const why = JSON.parse((await bob.run(['why', '--json', `${lib}@v1.1.0`])).stdout)
      expect(why).toMatchObject({ private: true, shared: true, published: { publisher: 'alice' } })
      expect(why.held.proof).toBe(`publisher alice (${alice.peerId})`)
      expect((await bob.run(['why', `${lib}@v1.1.0`])).stdout).toContain('published  by alice (')
      for (const node of [alice, bob]) {
        expect((await node.run(['ls'])).stdout).toContain('published by alice')
      }
      expect((await bob.run(['status'])).stdout).toMatch(/Private +this node is given them; /u)
      expect((await alice.run(['status'])).stdout).toMatch(/Private +this node is a publisher; /u)
    },
  )

  test('a member without the role gets 404, and learns nothing: not even that there are any', async () => {
    const { alice, bob, carl } = mesh
    expect(await filesWith(carl.dir, [lib, 'team/lib'])).toEqual([])
    expect(carl.log()).not.toContain('team/lib')
    for (const holder of [alice, bob]) {
      expect(await peerOf(carl, holder.peerId)).toMatchObject({ connected: true, holds: 0 })
    }
    for (const version of ['v1.0.0', 'v9.9.9']) {
      expect(await askAll(carl, version)).toEqual([404, 404, 404])
    }
    expect(await ask(carl, `${lib}/@v/list`)).toMatchObject({ status: 404 })
    const { mesh: ofCarl, privateModules } = await statusOf(carl)
    expect(ofCarl.messagesSent).not.toHaveProperty('private-query')
    expect(privateModules).toMatchObject({ shared: true, role: null, published: 0 })
    expect((await carl.run(['status'])).stdout).toContain('this node has no role for them')
  })

  test('a node that does not share them asks nobody, whatever its role', async () => {
    const { dora } = mesh
    expect(await askAll(dora, 'v1.0.0')).toEqual([404, 404, 404])
    const { mesh: ofDora, privateModules } = await statusOf(dora)
    expect(ofDora.messagesSent).not.toHaveProperty('private-query')
    expect(ofDora.messagesSent).not.toHaveProperty('private-secret')
    expect(privateModules).toMatchObject({ shared: false, role: 'private' })
  })

  test('publish is for publishers, and for what they hold', async () => {
    const { root, alice, bob, carl, dora } = mesh
    const held = `${lib}@v1.0.0`
    const done = await publish(alice, held, `${lib}@v1.2.0`, 'example.com/public@v1.0.0')
    expect(done.published).toMatchObject([{ module: held, publisher: 'alice' }])
    expect(done.failed.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('not held here'),
      expect.stringContaining('not a private path'),
    ])
    const said = await alice.run(['publish', held])
    expect(said).toMatchObject({ code: 0, stderr: '' })
    expect(said.stdout).toMatch(
      /^published .*@v1\.0\.0 as alice\n {2}zip {4}h1:.*\n {2}go\.mod h1:/u,
    )
    expect(await alice.run(['publish', `${lib}@v1.2.0`])).toMatchObject({ code: 1 })
    expect(await alice.run(['publish', held, `${lib}@v1.2.0`])).toMatchObject({ code: 20 })
    expect(await alice.run(['publish', lib])).toMatchObject({ code: 2 })
    for (const node of [bob, carl]) {
      const { code, stderr } = await node.run(['publish', held])
      expect(code).toBe(1)
      expect(stderr).toContain('has not the role publisher')
    }
    for (const node of [root, dora]) {
      const { code, stderr } = await node.run(['publish', held])
      expect(code).toBe(1)
      expect(stderr).toContain('start it with --share-private on')
    }
  })

  test('a member that sends other bytes under a true statement is blamed, and nothing of it is kept', async () => {
    const { root, alice } = mesh
    const module = parseModuleVersion(lib, 'v1.0.0')
    await using liar = await startPrivateLiar(await ticketFor(root, 'private'), module)
    await until(() => liar.hasStatement())
    expect(await alice.end()).toBe(0)
    const eve = await member('eve', await ticketFor(root, 'private'), {})
    const isMet = async () => (await peerOf(eve, liar.peerId))?.connected === true
    await expect.poll(isMet, patience).toBe(true)
    expect((await ask(eve, `${lib}/@v/v1.0.0.mod`)).status).toBe(200)
    expect((await ask(eve, `${lib}/@v/v1.0.0.zip`)).status).toBe(502)
    expect(liar.bodiesAsked()).toBe(1)
    expect(await peerOf(eve, liar.peerId)).toMatchObject({ blamed: { avoided: true } })
    expect((await statusOf(eve)).store.zips).toBe(0)
  })

  test('what a revoked publisher signed is not believed any more; what is held stays', async () => {
    const { root, bob } = mesh
    expect(await root.run(['revoke', 'alice'])).toMatchObject({ code: 0 })
    const fred = await member('fred', await ticketFor(root, 'private'), {})
    const isMet = async () => (await peerOf(fred, bob.peerId))?.connected === true
    await expect.poll(isMet, patience).toBe(true)
    const refused = await ask(fred, `${lib}/@v/v1.1.0.zip`)
    expect(refused).toMatchObject({ status: 404 })
    expect(refused.text).toContain('no statement of a publisher counts')
    expect(refused.text).toContain('revoked')
    expect(await ask(fred, `${lib}/@v/list`)).toMatchObject({ status: 404 })
    expect((await fetch(`${bob.url}/${lib}/@v/v1.1.0.zip`)).status).toBe(200)
    // Somebody else with the role vouches for the same.
    const gina = await member('gina', await ticketFor(root, 'publisher'), { hasLogin: true })
    expect(await askAll(gina, 'v1.1.0')).toEqual([200, 200, 200])
    await expect
      .poll(async () => (await ask(fred, `${lib}/@v/v1.1.0.mod`)).status, patience)
      .toBe(200)
  })
})

describe('a tag that was moved after it was published', () => {
  const zip = `${lib}/@v/v1.2.0.zip`

  /** As after an eviction: the file of the only zip is gone. */
  async function loseZip({ dir }: StartedNode): Promise<void> {
    const folder = join(dir, 'store/v1/zip')
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of entries.filter((one) => one.isFile())) {
      await rm(join(entry.parentPath, entry.name))
    }
  }

  goTest(
    'is refused by the publisher, then by who takes it from there, until each accepts it',
    async () => {
      const root = await member('root', undefined, { hasLogin: true })
      const bob = await member('bob', await ticketFor(root, 'private'), {})
      await expect.poll(() => connected(bob), patience).toBe(1)
      expect(await askAll(root, 'v1.2.0')).toEqual([200, 200, 200])
      await expect
        .poll(async () => (await statusOf(root)).privateModules.published, patience)
        .toBe(1)
      expect(await askAll(bob, 'v1.2.0')).toEqual([200, 200, 200])
      repo.commit({ 'lib.go': 'package lib // moved\n' }, { tags: ['v1.2.0'] })
      await Promise.all([loseZip(root), loseZip(bob)])

      for (const [node, from] of [
        [root, 'direct'],
        [bob, 'publisher root'],
      ] as const) {
        const refused = async () => (await ask(node, zip)).text
        await expect.poll(refused, patience).toContain('its zip changed since it was first seen')
        expect((await ask(node, zip)).status).toBe(502)
        expect((await statusOf(node)).changed).toMatchObject([
          { status: 409, module: `${lib}@v1.2.0`, part: 'zip', from },
        ])
        expect(await node.run(['accept', `${lib}@v1.2.0`])).toMatchObject({ code: 0 })
        await expect.poll(async () => (await ask(node, zip)).status, patience).toBe(200)
        expect((await statusOf(node)).changed).toEqual([])
      }
      const h1 = async (node: StartedNode): Promise<string> =>
        JSON.parse((await node.run(['ls', '--json'])).stdout).h1
      expect(await h1(bob)).toBe(await h1(root))
    },
  )
})

describe('by default', () => {
  test('private modules stay where they are', async () => {
    const args = ['--private', '*.modmesh.test', '--sumdb', 'off', '--upstream', 'off']
    const node = stack.use(await startNode({ args }))
    expect((await statusOf(node)).privateModules).toMatchObject({ shared: false, role: null })
    expect((await node.run(['status'])).stdout).not.toContain('Private')
    const { code, stderr } = await node.run(['publish', `${lib}@v1.0.0`])
    expect(code).toBe(1)
    expect(stderr).toContain('--share-private on')
  })
})
