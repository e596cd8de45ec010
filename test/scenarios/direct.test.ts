import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseModuleVersion } from '@modmesh/module'
import { DiskStore } from '@modmesh/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tlsFile } from '../../packages/goproxy/test/support/tls-server.ts'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { GitHost } from '../support/git-host.ts'
import type { GitRepo } from '../support/git-repo.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { askStatus, invite, statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const host = 'git.modmesh.test'
const login = { user: 'build-bot', password: 'Tr0ub4dor&3-secret' }
const wrongPassword = 'N0t-the-right-one'
const goMod = (path: string, more = ''): string => `module ${path}\n\ngo 1.20\n${more}`

/** Whatever a text that people may see must not hold: passwords, also in the forms in which they travel. */
const secrets: readonly string[] = [login.password, wrongPassword].flatMap((password) => [
  password,
  encodeURIComponent(password),
  Buffer.from(`${login.user}:${password}`).toString('base64'),
])

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-direct-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

/** A home folder with such files. */
async function homeWith(files: Readonly<Record<string, string>>): Promise<string> {
  const home = await tempDir()
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(home, name), text, { mode: 0o600 })
  }
  return home
}

const netrcOf = (password: string): string =>
  `machine ${host} login ${login.user} password ${password}\n`
const knownHome = (): Promise<string> => homeWith({ '.netrc': netrcOf(login.password) })

interface NodeInit {
  readonly home?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly dir?: string
  /** Default: direct. */
  readonly upstream?: string
  /** Default: trusts the test authority by --ca-file. */
  readonly trusts?: false
}

const nodes: StartedNode[] = []

/** A node that asks version control for everything below modmesh.test. */
async function startDirect(git: GitHost, init: NodeInit = {}): Promise<StartedNode> {
  const args = [
    '--upstream',
    init.upstream ?? 'direct',
    '--sumdb',
    'off',
    '--private',
    '*.modmesh.test',
  ]
  const trust = init.trusts === false ? [] : ['--ca-file', tlsFile('ca.pem')]
  const node = await startNode({
    args: [...args, ...trust, '--log', 'debug', ...(init.args ?? [])],
    env: { ...git.env(init.home ?? (await knownHome())), ...init.env },
    dir: init.dir ?? (await tempDir()),
  })
  stack.use(node)
  nodes.push(node)
  return node
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly tookMs: number
}

async function ask(node: StartedNode, path: string): Promise<Reply> {
  const startedMs = performance.now()
  const response = await fetch(`${node.url}/${path}`)
  const text = await response.text()
  return { status: response.status, text, tookMs: performance.now() - startedMs }
}

async function goFor(node: StartedNode): Promise<GoHome> {
  return stack.use(await GoHome.make({ proxy: node.url, sumdb: 'off' }))
}

async function inProject(
  node: StartedNode,
  files: Readonly<Record<string, string>> = {},
): Promise<{ readonly cwd: string; readonly run: (...args: string[]) => Promise<GoResult> }> {
  const go = await goFor(node)
  const cwd = await go.project({ 'go.mod': goMod('test.local/main'), ...files })
  return { cwd, run: (...args) => go.run(args, { cwd }) }
}

/** Processes that work in a folder, with their command lines. */
async function processesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => Number(name) > 0)) {
    try {
      const cwd = await readlink(`/proc/${pid}/cwd`)
      if (!cwd.startsWith(folder)) continue
      found.push((await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' '))
    } catch {
      // It ended meanwhile, or is not ours.
    }
  }
  return found
}

const patience = { interval: 50 }

/** Every file below a folder that holds one of the secrets. */
async function filesWithSecrets(folder: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    if (secrets.some((secret) => bytes.includes(secret))) found.push(path)
  }
  return found
}

function expectNoSecret(text: string): void {
  for (const secret of secrets) expect(text).not.toContain(secret)
}

describe('private repositories behind https and a login in .netrc', () => {
  const lib = `${host}/team/lib`
  const mono = `${host}/team/mono`
  const major = `${host}/team/major`
  let git: GitHost
  let node: StartedNode
  let side = ''
  beforeAll(async () => {
    git = stack.use(await GitHost.start({ login }))
    const repo = git.repo('team/lib')
    const files = (version: string) => ({
      'go.mod': goMod(lib),
      'lib.go': `package lib\n\nconst Version = "${version}"\n`,
      'a/b/deep.go': 'package b\n',
    })
    repo.commit(files('v1.0.0'), { tags: ['v1.0.0'] })
    repo.commit(files('v1.1.0'), { tags: ['v1.1.0', 'not-a-version'] })
    side = repo.commit({ 'side.go': 'package lib\n' }, { branch: 'side' })
    const sub = { 'sub/go.mod': goMod(`${mono}/sub`), 'sub/sub.go': 'package sub\n' }
    git.repo('team/mono').commit({ ...sub, 'docs/readme.md': 'none\n' }, { tags: ['sub/v0.3.0'] })
    const versions = git.repo('team/major')
    versions.commit({ 'go.mod': goMod(major), 'm.go': 'package major\n' }, { tags: ['v1.0.0'] })
    versions.commit({ 'go.mod': goMod(`${major}/v2`) }, { tags: ['v2.0.0'] })
    versions.commit(
      { 'v3/go.mod': goMod(`${major}/v3`), 'v3/m.go': 'package major\n' },
      { tags: ['v3.1.0'] },
    )
    const old = { 'old.go': 'package old\n' }
    git.repo('team/old').commit(old, { tags: ['v2.0.0', 'v0.1.0'] })
    git
      .repo('team/untagged')
      .commit({ 'go.mod': goMod(`${host}/team/untagged`), 'u.go': old['old.go'] })
    node = await startDirect(git)
  })

  test.for([
    { what: 'the tags that are versions', path: `${lib}/@v/list`, says: 'v1.0.0\nv1.1.0\n' },
    { what: 'the newest tag', path: `${lib}/@latest`, says: '"Version":"v1.1.0"' },
    { what: 'a tag', path: `${lib}/@v/v1.0.0.info`, says: '"Time":"2024-03-01T12:00:00Z"' },
    { what: 'its go.mod', path: `${lib}/@v/v1.0.0.mod`, says: `module ${lib}\n` },
    { what: 'a branch', path: `${lib}/@v/side.info`, says: '"Version":"v1.1.1-0.20240301120200-' },
    { what: 'a tag that is no version', path: `${lib}/@v/not-a-version.info`, says: '"v1.1.0"' },
    { what: 'tags in a folder', path: `${mono}/sub/@v/list`, says: 'v0.3.0\n' },
    { what: 'a module in a folder', path: `${mono}/sub/@v/v0.3.0.mod`, says: `${mono}/sub` },
    { what: 'a second major version', path: `${major}/v2/@v/list`, says: 'v2.0.0\n' },
    { what: 'a major version in a folder', path: `${major}/v3/@v/v3.1.0.mod`, says: `${major}/v3` },
    { what: 'the first one beside them', path: `${major}/@v/list`, says: 'v1.0.0\n' },
    {
      what: 'a go.mod where there is none',
      path: `${host}/team/old/@v/v2.0.0+incompatible.mod`,
      says: `module ${host}/team/old\n`,
    },
    {
      what: 'a commit where there is no tag',
      path: `${host}/team/untagged/@latest`,
      says: '"Version":"v0.0.0-20240301120000-',
    },
  ])('$what is served', async ({ path, says }) => {
    const { status, text } = await ask(node, path)
    expect({ status, text }).toEqual({ status: 200, text: expect.stringContaining(says) as string })
  })

  test('a commit is served by its whole name and by a short one', async () => {
    const whole = await ask(node, `${lib}/@v/${side}.info`)
    expect(whole).toMatchObject({ status: 200 })
    expect(whole.text).toContain(`"Version":"v1.1.1-0.20240301120200-${side.slice(0, 12)}"`)
    expect((await ask(node, `${lib}/@v/${side.slice(0, 10)}.info`)).text).toBe(whole.text)
  })

  goTest('go gets, lists, tidies and builds with them', async () => {
    const imports = [lib, `${lib}/a/b`, `${mono}/sub`, `${major}/v2`, `${major}/v3`]
    const text = `package main\n\nimport (\n${imports.map((path) => `\t_ "${path}"\n`).join('')})\n`
    const { cwd, run } = await inProject(node, { 'main.go': text })
    expect(await run('get', `${lib}@v1.0.0`)).toMatchObject({ code: 0 })
    expect((await run('list', '-m', '-versions', lib)).stdout).toBe(`${lib} v1.0.0 v1.1.0\n`)
    expect((await run('get', `${lib}@side`)).stderr).toContain(`=> v1.1.1-0.2024`)
    expect(await run('mod', 'tidy')).toMatchObject({ code: 0 })
    const file = await readFile(join(cwd, 'go.mod'), 'utf8')
    for (const line of [`${mono}/sub v0.3.0`, `${major}/v2 v2.0.0`, `${major}/v3 v3.1.0`]) {
      expect(file).toContain(line)
    }
    expect(await run('mod', 'verify')).toMatchObject({ code: 0 })
    expect(await run('vet', '-n', './...')).toMatchObject({ code: 0 })
  })

  test.for([
    { what: 'a version that is not there', path: `${lib}/@v/v9.9.9.info` },
    { what: 'a branch that is not there', path: `${lib}/@v/nosuch.info` },
    { what: 'a repository that is not there', path: `${host}/team/nosuch/@v/list` },
    { what: 'a folder without a module', path: `${mono}/docs/@latest` },
  ])('$what is 404, with the reason', async ({ path }) => {
    const { status, text } = await ask(node, path)
    expect({ status, text }).toMatchObject({ status: 404 })
    expect(text).toContain('direct: ')
    expect(text).not.toContain(node.dir)
  })

  test('a missing version is told in less than 2 s', async () => {
    const took: number[] = []
    for (const version of ['v7.7.1', 'v0.7.2', 'v1.7.3']) {
      const { status, tookMs } = await ask(node, `${lib}/@v/${version}.info`)
      expect(status).toBe(404)
      took.push(tookMs)
    }
    // The best of three: other work on the machine is not what is measured.
    expect(Math.min(...took)).toBeLessThan(2_000)
  })

  test('what is missing is not asked again for a while', async () => {
    const asked = `${lib}/@v/v5.5.5.info`
    expect(await ask(node, asked)).toMatchObject({ status: 404 })
    git.requests.length = 0
    expect(await ask(node, asked)).toMatchObject({ status: 404 })
    expect(git.requests).toEqual([])
  })

  goTest('the prefixes of an import path cost no clone', async () => {
    const path = `${host}/team/probed`
    const repo = git.repo('team/probed')
    repo.commit(
      { 'go.mod': goMod(path), 'a/b/c/d/deep.go': 'package d\n', 'big.txt': 'x'.repeat(100_000) },
      { tags: ['v1.2.3'] },
    )
    const { run } = await inProject(node, {
      'main.go': `package main\n\nimport _ "${path}/a/b/c/d"\n`,
    })
    git.requests.length = 0
    const prefixes = ['/a', '/a/b', '/a/b/c', '/a/b/c/d']
    const found = await Promise.all(prefixes.map((prefix) => ask(node, `${path}${prefix}/@latest`)))
    expect(found.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    expect(git.fetches('team/probed')).toEqual([])
    // Together, not each: a few looks at the repository, one at its tree.
    const looks = git.requests.filter(({ command }) => command !== undefined)
    expect(looks.filter(({ command }) => command === 'fetch-trees').length).toBeLessThanOrEqual(1)
    expect(looks.length).toBeLessThan(2 * prefixes.length)
    expect(await run('mod', 'tidy')).toMatchObject({ code: 0 })
    expect(git.fetches('team/probed').length).toBeLessThanOrEqual(2)
  })

  test('what is held needs no git any more', async () => {
    const zip = `${lib}/@v/v1.1.0.zip`
    expect((await ask(node, zip)).status).toBe(200)
    git.requests.length = 0
    expect((await ask(node, zip)).status).toBe(200)
    expect((await ask(node, `${lib}/@v/v1.1.0.mod`)).status).toBe(200)
    expect(git.requests).toEqual([])
  })

  test('many at once are all answered', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `many/m${n}`)
    for (const name of names) {
      const repo = git.repo(name)
      repo.commit({ 'go.mod': goMod(`${host}/${name}`) }, { tags: ['v1.0.0'] })
    }
    const zips = await Promise.all(names.map((name) => ask(node, `${host}/${name}/@v/v1.0.0.zip`)))
    expect(zips.map(({ status }) => status)).toEqual(names.map(() => 200))
  })

  test('the audit file tells where it came from', async () => {
    const lines = (await readFile(join(node.dir, 'audit/audit.jsonl'), 'utf8')).trim().split('\n')
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const entry = entries.find(({ module, version }) => module === lib && version === 'v1.1.0')
    expect(entry).toMatchObject({ source: { kind: 'direct' }, proof: { kind: 'upstream' } })
  })

  test('nothing is left behind but the clones', async () => {
    const folder = join(node.dir, 'direct/v1')
    await expect.poll(() => readdir(join(folder, 'runs')), patience).toEqual([])
    expect(await processesIn(folder)).toEqual([])
  })
})

describe('a login', () => {
  const path = `${host}/team/locked`
  let git: GitHost
  beforeAll(async () => {
    git = stack.use(await GitHost.start({ login }))
    git.repo('team/locked').commit({ 'go.mod': goMod(path) }, { tags: ['v1.0.0'] })
  })

  const urlOf = (password: string): string =>
    `https://${login.user}:${encodeURIComponent(password)}@${host}/`
  const instead = (password: string): string =>
    `[url "${urlOf(password)}"]\n\tinsteadOf = https://${host}/\n`
  const basic = Buffer.from(`${login.user}:${login.password}`).toString('base64')

  test.for([
    { from: '.netrc', files: { '.netrc': netrcOf(login.password) } },
    {
      from: 'a credential helper',
      files: {
        '.gitconfig': `[credential]\n\thelper = "!f() { echo username=${login.user}; echo 'password=${login.password}'; }; f"\n`,
      },
    },
    { from: 'a URL of insteadOf', files: { '.gitconfig': instead(login.password) } },
    {
      from: 'a header of git',
      files: {
        '.gitconfig': `[http "https://${host}"]\n\textraHeader = Authorization: Basic ${basic}\n`,
      },
    },
  ])('from $from opens the repository', async ({ files }) => {
    const node = await startDirect(git, { home: await homeWith(files) })
    const { status, text } = await ask(node, `${path}/@v/v1.0.0.zip`)
    expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' })
  })

  test('of ssh opens the repository', async () => {
    const home = await homeWith({
      '.gitconfig': `[url "ssh://git@${host}/"]\n\tinsteadOf = https://${host}/\n`,
      // What sshd would run: the last argument is git-upload-pack and a path below the root.
      ssh: `for last in "$@"; do :; done\neval "$(printf %s "$last" | sed "s#'/#'${git.root}/#")"\n`,
    })
    const env = { GIT_SSH_COMMAND: `sh ${join(home, 'ssh')}`, GIT_SSH_VARIANT: 'simple' }
    const node = await startDirect(git, { home, env })
    git.requests.length = 0
    const zip = `${path}/@v/v1.0.0.zip`
    expect(await ask(node, zip)).toMatchObject({ status: 200 })
    // The page that tells go where the repository is, and nothing else.
    expect(git.requests.filter(({ url }) => !url.endsWith('?go-get=1'))).toEqual([])
  })

  const strangers: readonly { readonly who: string; readonly files: Record<string, string> }[] = [
    { who: 'that is missing', files: {} },
    { who: 'that is wrong in .netrc', files: { '.netrc': netrcOf(wrongPassword) } },
    { who: 'that is wrong in insteadOf', files: { '.gitconfig': instead(wrongPassword) } },
  ]
  goTest.for(strangers)('$who is trouble, and no secret is told', async ({ files }) => {
    const node = await startDirect(git, { home: await homeWith(files) })
    for (const file of ['@v/list', '@v/v1.0.0.info', '@v/v1.0.0.zip', '@latest']) {
      const { status, text } = await ask(node, `${path}/${file}`)
      expect({ file, status, text }).toMatchObject({ status: 502 })
      expect(text).toContain('fatal: ')
      expectNoSecret(text)
    }
    const { run } = await inProject(node)
    const result = await run('get', `${path}@v1.0.0`)
    expect(result).toMatchObject({ code: 1 })
    expect(result.stderr).toContain('502 Bad Gateway')
    expectNoSecret(result.stderr)
  })
})

describe('settings of the user', () => {
  const path = `${host}/team/open`
  let git: GitHost
  beforeAll(async () => {
    git = stack.use(await GitHost.start())
    const repo = git.repo('team/open')
    repo.commit({ 'go.mod': goMod(path), 'open.go': 'package open\n' }, { tags: ['v1.0.0'] })
    const insecure = 'insecure.modmesh.test/team/plain'
    git.repo('team/plain').commit({ 'go.mod': goMod(insecure) }, { tags: ['v1.0.0'] })
  })

  test('lead a path to file:// by insteadOf', async () => {
    const config = `[url "file://${git.root}/"]\n\tinsteadOf = https://${host}/\n`
    const node = await startDirect(git, { home: await homeWith({ '.gitconfig': config }) })
    git.requests.length = 0
    const named = git.repo('team/named')
    const name = `${host}/team/named.git`
    named.commit({ 'go.mod': goMod(name), 'n.go': 'package n\n' }, { tags: ['v0.5.0'] })
    expect(await ask(node, `${name}/@v/list`)).toMatchObject({ status: 200, text: 'v0.5.0\n' })
    expect(await ask(node, `${name}/@v/v0.5.0.zip`)).toMatchObject({ status: 200 })
    expect(await ask(node, `${name}/@v/v0.5.1.info`)).toMatchObject({ status: 404 })
    expect(await ask(node, `${host}/team/gone.git/@v/list`)).toMatchObject({ status: 404 })
    expect(git.requests).toEqual([])
  })

  goTest('that forbid git by GOVCS are told', async () => {
    const node = await startDirect(git, { env: { GOVCS: `${host}:hg` } })
    const { status, text } = await ask(node, `${path}/@v/list`)
    expect({ status, text }).toMatchObject({ status: 502 })
    expect(text).toContain('GOVCS disallows using git')
    const { run } = await inProject(node)
    expect((await run('get', `${path}@v1.0.0`)).stderr).toContain('GOVCS disallows using git')
    expect(git.fetches('team/open')).toEqual([])
  })

  test('decide whom to trust: an unknown certificate is trouble', async () => {
    const node = await startDirect(git, { trusts: false })
    const { status, text } = await ask(node, `${path}/@v/list`)
    expect({ status, text }).toMatchObject({ status: 502 })
    expect(text).toContain('certificate')
  })

  test('name an authority as git and go know it', async () => {
    const env = { SSL_CERT_FILE: tlsFile('ca.pem'), GIT_SSL_CAINFO: tlsFile('ca.pem') }
    const node = await startDirect(git, { trusts: false, env })
    expect(await ask(node, `${path}/@v/list`)).toMatchObject({ status: 200 })
  })

  test('allow plain http by GOINSECURE, and only there', async () => {
    const list = 'insecure.modmesh.test/team/plain/@v/list'
    const strict = await startDirect(git, { trusts: false })
    expect(await ask(strict, list)).toMatchObject({ status: 502 })
    expect(git.requests.filter(({ url }) => url.startsWith('/team/plain.git'))).toEqual([])
    const env = { GOINSECURE: 'insecure.modmesh.test' }
    const node = await startDirect(git, { trusts: false, env })
    expect(await ask(node, list)).toMatchObject({ status: 200, text: 'v1.0.0\n' })
    expect(await ask(node, `${path}/@v/list`)).toMatchObject({ status: 502 })
  })

  test('keep private paths from upstream and the checksum database', async () => {
    const upstream = stack.use(await FakeUpstream.start({ modules: [] }))
    const node = await startDirect(git, {
      upstream: `${upstream.url},direct`,
      args: ['--sumdb', upstream.gosumdb],
    })
    for (const file of ['@v/list', '@v/v1.0.0.zip', '@v/v1.0.0.mod', '@latest', '@v/v9.9.9.info']) {
      await ask(node, `${path}/${file}`)
    }
    expect(await ask(node, `${path}/@v/v1.0.0.zip`)).toMatchObject({ status: 200 })
    const asked = upstream.requests.map((request) => JSON.stringify(request))
    expect(asked.filter((request) => request.includes('modmesh.test'))).toEqual([])
  })
})

describe('trouble at a git host', () => {
  let git: GitHost
  let node: StartedNode
  beforeAll(async () => {
    git = stack.use(await GitHost.start())
    const ill = Array.from({ length: 6 }, (_, n) => `ill/lib${n}`)
    for (const name of [...ill, 'hang/lib', 'well/lib']) {
      git.repo(name).commit({ 'go.mod': goMod(`${host}/${name}`) }, { tags: ['v1.0.0'] })
    }
    node = await startDirect(git, { args: ['--fetch-timeout', '4'] })
  })

  test.for([
    { lib: 0, what: '500 of its pages', below: '', status: 500 },
    { lib: 1, what: '503 of its pages', below: '', status: 503 },
    { lib: 2, what: '429 of its pages', below: '', status: 429 },
    { lib: 3, what: '500 of git', below: '.git/', status: 500 },
    { lib: 4, what: '403 of git', below: '.git/', status: 403 },
    { lib: 5, what: '429 of git', below: '.git/', status: 429 },
  ])('$what is no missing module', async ({ lib, below, status }) => {
    const name = `ill/lib${lib}`
    const end = git.break((url) => url.startsWith(`/${name}${below}`), {
      kind: 'status',
      status,
    })
    const reply = await ask(node, `${host}/${name}/@v/list`)
    end()
    expect(reply).toMatchObject({ status: 502 })
    expect(reply.text).toContain('direct: ')
    // Nothing of it is remembered.
    expect(await ask(node, `${host}/${name}/@v/list`)).toMatchObject({ status: 200 })
  })

  const hang = (): (() => void) =>
    git.break((url) => url.startsWith('/hang/lib.git'), { kind: 'hang' })
  const vcs = (of: StartedNode): string => join(of.dir, 'direct/v1')
  const isHanging = async (of: StartedNode): Promise<boolean> =>
    (await processesIn(vcs(of))).some((command) => command.includes('git'))

  test('that hangs costs one request its time, and no other', async () => {
    const end = hang()
    const hanging = ask(node, `${host}/hang/lib/@v/v1.0.0.zip`)
    await expect.poll(() => isHanging(node), patience).toBe(true)
    expect(await ask(node, `${host}/well/lib/@v/v1.0.0.zip`)).toMatchObject({ status: 200 })
    const { status, tookMs } = await hanging
    end()
    expect(status).toBe(504)
    expect(tookMs).toBeLessThan(20_000)
    await expect.poll(() => processesIn(vcs(node)), patience).toEqual([])
    expect(await ask(node, `${host}/hang/lib/@v/v1.0.0.zip`)).toMatchObject({ status: 200 })
  })

  test('that hangs thirty times does not hold up a thirty-first', async () => {
    const other = await startDirect(git)
    const end = git.break((url) => url.startsWith('/slow/'), { kind: 'hang' })
    const client = new AbortController()
    const hanging = Array.from({ length: 30 }, (_, n) =>
      fetch(`${other.url}/${host}/slow/m${n}/@v/v1.0.0.zip`, client).catch(() => 'left'),
    )
    const { status, tookMs } = await ask(other, `${host}/well/lib/@v/v1.0.0.zip`)
    expect(status).toBe(200)
    // The others would take two minutes.
    expect(tookMs).toBeLessThan(60_000)
    client.abort()
    end()
    expect(await Promise.all(hanging)).toEqual(hanging.map(() => 'left'))
  })

  test.for(['SIGTERM', 'SIGKILL'] as const)('leaves no process after %s', async (signal) => {
    const other = await startDirect(git)
    const end = hang()
    const client = new AbortController()
    const asked = fetch(`${other.url}/${host}/hang/lib/@v/list`, client).catch(() => undefined)
    await expect.poll(() => isHanging(other), patience).toBe(true)
    // Else the node would let it go on for the time that answers have when it stops.
    client.abort()
    expect(await other.end(signal)).toBe(signal === 'SIGTERM' ? 0 : undefined)
    await expect.poll(() => processesIn(vcs(other)), patience).toEqual([])
    end()
    await asked
    const again = await startDirect(git, { dir: other.dir })
    expect(await ask(again, `${host}/hang/lib/@v/v1.0.0.zip`)).toMatchObject({ status: 200 })
  })
})

describe('a tag that was moved', () => {
  const path = `${host}/team/moved`
  const name = `${path}@v1.0.0`
  const zip = `${path}/@v/v1.0.0.zip`
  const files = (text: string) => ({ 'go.mod': goMod(path), 'm.go': `package m // ${text}\n` })
  let git: GitHost
  let repo: GitRepo
  let dir = ''
  beforeAll(async () => {
    git = stack.use(await GitHost.start())
    repo = git.repo('team/moved')
    repo.commit(files('first'), { tags: ['v1.0.0'] })
    dir = await tempDir()
    const node = await startDirect(git, { dir })
    expect(await ask(node, zip)).toMatchObject({ status: 200 })
    await loseZip(node)
  })

  /** Ends a node; the zip is gone as after an eviction. Its clones stay, in which git never changes a tag. */
  async function loseZip(node: StartedNode): Promise<void> {
    await node.end()
    await using store = await DiskStore.open({ dir: node.dir })
    await store.remove(parseModuleVersion(path, 'v1.0.0'))
  }

  goTest('is refused loudly, also after a restart, until it is set right', async () => {
    repo.commit(files('second'), { tags: ['v1.0.0'] })
    const node = await startDirect(git, { dir })
    const { run } = await inProject(node)
    const result = await run('mod', 'download', name)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('502 Bad Gateway')
    expect(result.stderr).toContain('its zip changed since it was first seen')
    const { changed } = await askStatus(node)
    expect(changed).toMatchObject([
      { status: 409, module: name, part: 'zip', from: 'direct', accept: `modmesh accept ${name}` },
    ])
    const { first = '', seen = '' } = changed[0] ?? {}
    expect(first).not.toBe(seen)
    for (const text of [result.stderr, (await node.run(['status'])).stdout]) {
      expect(text).toContain(`first ${first}`)
      expect(text).toContain(`now   ${seen} from direct`)
      expect(text).toContain(`modmesh accept ${name}`)
    }
    expect((await node.run(['status'])).stdout).toContain(`! 409 ${name}`)
    await node.end()

    const again = await startDirect(git, { dir })
    expect((await statusOf(again)).changed).toMatchObject([{ first, seen }])
    expect(await ask(again, zip)).toMatchObject({ status: 502 })
    repo.commit(files('first'), { tags: ['v1.0.0'] })
    await expect.poll(async () => (await ask(again, zip)).status, patience).toBe(200)
    expect((await statusOf(again)).changed).toEqual([])
    await loseZip(again)
  })

  goTest('is served after somebody accepted it, for good', async () => {
    repo.commit(files('third'), { tags: ['v1.0.0'] })
    const node = await startDirect(git, { dir })
    expect(await ask(node, zip)).toMatchObject({ status: 502 })
    const listed = await node.run(['accept'])
    expect(listed).toMatchObject({ code: 0 })
    expect(listed.stdout).toContain(`${name}: its zip changed since it was first seen`)
    expect(await node.run(['accept', `${path}@v1.0.1`])).toMatchObject({ code: 1 })
    expect(await ask(node, zip)).toMatchObject({ status: 502 })
    const accepted = await node.run(['accept', name])
    expect(accepted).toMatchObject({ code: 0 })
    expect(accepted.stdout).toContain(`accepted ${name}: zip h1:`)
    expect((await statusOf(node)).changed).toEqual([])
    const { run } = await inProject(node)
    expect(await run('mod', 'download', name)).toMatchObject({ code: 0 })
    await loseZip(node)
    const again = await startDirect(git, { dir })
    expect(await ask(again, zip)).toMatchObject({ status: 200 })
    await loseZip(again)
  })

  test('is accepted without a node, too', async () => {
    repo.commit(files('fourth'), { tags: ['v1.0.0'] })
    const node = await startDirect(git, { dir })
    expect(await ask(node, zip)).toMatchObject({ status: 502 })
    await node.end()
    expect(await node.run(['accept', name, '--json'])).toMatchObject({ code: 0 })
    const again = await startDirect(git, { dir })
    expect(await ask(again, zip)).toMatchObject({ status: 200 })
  })
})

describe('in a mesh', () => {
  test('a private module is never announced, nor given', async () => {
    const path = `${host}/team/ours`
    const git = stack.use(await GitHost.start())
    git.repo('team/ours').commit({ 'go.mod': goMod(path) }, { tags: ['v1.0.0'] })
    const a = await startDirect(git)
    for (const file of ['@v/list', '@v/v1.0.0.mod', '@v/v1.0.0.zip']) {
      expect(await ask(a, `${path}/${file}`)).toMatchObject({ status: 200 })
    }
    // To B nothing is private.
    const env = { MODMESH_JOIN: await invite(a) }
    const args = ['--upstream', 'off', '--sumdb', 'off']
    const b = stack.use(await startNode({ args, env, dir: await tempDir() }))
    await expect
      .poll(async () => (await statusOf(b)).mesh.peers.map(({ holds }) => holds), patience)
      .toEqual([0])
    for (const file of ['@v/list', '@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip']) {
      const { status, text } = await ask(b, `${path}/${file}`)
      expect({ file, status: text === '' ? 404 : status }).toEqual({ file, status: 404 })
    }
    const { answers } = await statusOf(b)
    expect(answers.sinceStart.peer.answers).toBe(0)
  })
})

test('no node wrote a secret anywhere', async () => {
  expect(nodes.length).toBeGreaterThan(10)
  for (const node of nodes) {
    expectNoSecret(node.log())
    expectNoSecret(node.output())
    expect(await filesWithSecrets(node.dir)).toEqual([])
    if (node.process.exitCode !== null || node.process.signalCode !== null) continue
    expectNoSecret(JSON.stringify(await statusOf(node)))
  }
})
