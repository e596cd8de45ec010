import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  copyFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { escapeModulePath, parseModulePath } from '@modmesh/module'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { appOf, type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest as test } from '../support/go.ts'
import { filePath, invite, statusOf, untilMet } from '../support/mesh.ts'
import { programPath, runModmesh, type StartedNode, startNode } from '../support/start-node.ts'

const lib = 'example.com/Lib'
const app = 'example.com/app'
const secret = 'corp.test/secret'

const modules: readonly FakeModule[] = [
  { path: lib, version: 'v1.0.0' },
  { path: lib, version: 'v1.1.0' },
  appOf(app, lib),
  // Bytes behind the archive: other parsers may refuse it, or read another zip.
  { path: 'example.com/odd', version: 'v1.0.0', zip: { trailing: Buffer.from('behind') } },
  { path: secret, version: 'v1.0.0', logged: false },
]

interface Report {
  readonly versions: number
  readonly zips: Record<'added' | 'present' | 'sharedBytes' | 'rewritten' | 'copied', number>
  readonly mods: { readonly added: number }
  readonly refused: readonly { readonly module: string; readonly what: string; reason: string }[]
  readonly failed: Report['refused']
  readonly unproven: readonly { readonly module: string; readonly what: string; reason: string }[]
}

let upstream: FakeUpstream
let stack: AsyncDisposableStack
let buildCache = ''

beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules })
  buildCache = await mkdtemp(join(tmpdir(), 'modmesh-gocache-'))
})
afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]()
  await rm(buildCache, { recursive: true, force: true, maxRetries: 10 })
})

/** A module cache that `go` itself filled, its checksum database included. */
async function filledCache(...names: string[]): Promise<GoHome> {
  const go = stack.use(
    await GoHome.make({
      proxy: upstream.url,
      sumdb: upstream.gosumdb,
      env: { GONOSUMDB: 'corp.test', GOCACHE: buildCache },
    }),
  )
  const wanted = names.length > 0 ? names : modules.map(({ path, version }) => `${path}@${version}`)
  expect(await go.run(['mod', 'download', ...wanted])).toMatchObject({ code: 0 })
  return go
}

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-adopt-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }))
  return dir
}

/** Starts a node that asks nobody. */
async function offlineNode(dir?: string): Promise<StartedNode> {
  const args = ['--offline', '--upstream', upstream.url, '--sumdb', upstream.sumdb.keyText]
  const init = { args: [...args, '--private', 'corp.test'], ...(dir && { dir }) }
  return stack.use(await startNode(init))
}

async function adopt(
  node: Pick<StartedNode, 'run'>,
  ...words: string[]
): Promise<Report & { readonly code: number | undefined }> {
  const { code, stdout, stderr } = await node.run(['adopt', '--json', ...words])
  if (stdout === '') throw new Error(`adopt failed (${code}): ${stderr}`)
  return { code, ...(JSON.parse(stdout) as Report) }
}

/** The path of a file in a module cache. */
function cached(go: GoHome, name: string, kind: string): string {
  const [path = '', version = ''] = name.split('@')
  const escaped = escapeModulePath(parseModulePath(path))
  return join(go.modCache, 'cache/download', escaped, '@v', `${version}.${kind}`)
}

async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ 1
    await file.write(byte, 0, 1, at)
  } finally {
    await file.close()
  }
}

/** Zip files of a node's store. */
async function storedZips(dir: string): Promise<string[]> {
  const folder = join(dir, 'store/v1/zip')
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.length === 70).map((name) => join(folder, name))
}

async function statusOfGet(node: StartedNode, name: string, kind: 'zip' | 'mod'): Promise<number> {
  const [path = '', version = ''] = name.split('@')
  const answer = await fetch(node.url + filePath({ path, version }, kind))
  await answer.arrayBuffer()
  return answer.status
}

function named(lines: Report['refused']): string[] {
  return lines.map(({ what, module }) => `${what} ${module}`)
}

describe('a cache that go filled', () => {
  test('is served by a node that asks nobody: what go itself could prove, without a copy', async () => {
    const go = await filledCache()
    const node = await offlineNode()
    // What it did not have a moment ago it must not go on denying.
    expect(await statusOfGet(node, `${app}@v0.1.0`, 'zip')).toBe(404)
    expect(await statusOfGet(node, `${app}@v0.1.0`, 'mod')).toBe(404)
    const report = await adopt(node, go.modCache)
    expect(named(report.unproven)).toEqual([`mod ${secret}@v1.0.0`, `zip ${secret}@v1.0.0`])
    expect(report).toMatchObject({
      code: 20,
      versions: 5,
      zips: { added: 4, present: 0, copied: 0, rewritten: 1 },
      mods: { added: 4 },
      refused: [],
    })
    expect(await statusOfGet(node, `${app}@v0.1.0`, 'zip')).toBe(200)
    expect(await statusOfGet(node, `${app}@v0.1.0`, 'mod')).toBe(200)
    const inodes = await Promise.all((await storedZips(node.dir)).map((path) => stat(path)))
    expect(inodes).toHaveLength(4)
    expect(inodes.filter(({ nlink }) => nlink > 1)).toHaveLength(3)
    expect(await statusOfGet(node, `${secret}@v1.0.0`, 'zip')).toBe(404)

    const other = stack.use(
      await GoHome.make({
        proxy: node.url,
        sumdb: upstream.sumdb.keyText,
        env: { GOCACHE: buildCache },
      }),
    )
    const cwd = await other.project({
      'go.mod': `module example.com/x\n\ngo 1.20\n\nrequire ${app} v0.1.0\n\nrequire ${lib} v1.0.0 // indirect\n`,
      'x.go': `package x\n\nimport "${app}"\n\nconst Version = app.Version\n`,
    })
    const built = await other.run(['build', '-mod=mod', './...'], { cwd })
    expect(built).toMatchObject({ code: 0 })
    expect(await other.run(['mod', 'verify'], { cwd })).toMatchObject({ code: 0 })
  })

  test('that was altered is taken but for the altered files, which are refused by name', async () => {
    const go = await filledCache(`${lib}@v1.0.0`, `${lib}@v1.1.0`, `${app}@v0.1.0`)
    await flipBit(cached(go, `${lib}@v1.0.0`, 'zip'), 60)
    await writeFile(cached(go, `${lib}@v1.1.0`, 'mod'), 'module evil.test/x\n')
    await writeFile(cached(go, `${app}@v0.1.0`, 'ziphash'), `h1:${'A'.repeat(43)}=`)
    const node = await offlineNode()
    const report = await adopt(node, go.modCache)
    expect(report).toMatchObject({ code: 23, zips: { added: 1 }, mods: { added: 2 } })
    expect(named(report.refused)).toEqual([
      `zip ${lib}@v1.0.0`,
      `mod ${lib}@v1.1.0`,
      `zip ${app}@v0.1.0`,
    ])
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(404)
    expect(await statusOfGet(node, `${lib}@v1.1.0`, 'mod')).toBe(404)
    expect(await statusOfGet(node, `${app}@v0.1.0`, 'zip')).toBe(404)
    expect(await statusOfGet(node, `${lib}@v1.1.0`, 'zip')).toBe(200)
    const text = await node.run(['adopt', go.modCache])
    expect(text.stdout).toContain(`refused mod ${lib}@v1.1.0: ${upstream.sumdb.name} says h1:`)
  })

  test('proves what go saw in an older tree under the newest one that it noted', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const tiles = join(go.modCache, 'cache/download/sumdb', upstream.sumdb.name, 'tile/8/0/000.p')
    const before = await readdir(tiles)
    upstream.add({ path: 'example.com/later', version: 'v1.0.0' })
    expect(await go.run(['mod', 'download', 'example.com/later@v1.0.0'])).toMatchObject({ code: 0 })
    expect((await readdir(tiles)).length).toBeGreaterThan(before.length)
    for (const name of before) await rm(join(tiles, name), { force: true })
    const report = await adopt(await offlineNode(), go.modCache)
    expect(report).toMatchObject({ code: 0, zips: { added: 2 }, unproven: [] })
  })

  test('or holds what is no plain file is taken but for that', async () => {
    const go = await filledCache(`${lib}@v1.0.0`, `${lib}@v1.1.0`)
    await writeFile(cached(go, `${lib}@v1.0.0`, 'ziphash'), 'x'.repeat(5_000))
    const mod = cached(go, `${lib}@v1.1.0`, 'mod')
    await rm(mod, { force: true })
    execFileSync('mkfifo', [mod])
    const report = await adopt(await offlineNode(), go.modCache)
    expect(report).toMatchObject({ code: 23, zips: { added: 1 }, mods: { added: 1 } })
    expect(named(report.refused)).toEqual([`zip ${lib}@v1.0.0`])
    expect(named(report.failed)).toEqual([`mod ${lib}@v1.1.0`])
  })

  test('with another zip and a .ziphash that fits it is refused by the record', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const evil = { path: lib, version: 'v1.0.0', files: { 'evil.go': 'package evil\n' } }
    await using other = await FakeUpstream.start({ modules: [evil] })
    const env = { GONOSUMDB: '*', GOPROXY: other.url, GOMODCACHE: join(go.dir, 'evil') }
    await go.run(['mod', 'download', `${lib}@v1.0.0`], { env })
    for (const kind of ['zip', 'ziphash']) {
      const target = cached(go, `${lib}@v1.0.0`, kind)
      await rm(target, { force: true })
      await copyFile(target.replace(go.modCache, join(go.dir, 'evil')), target)
    }
    const node = await offlineNode()
    const report = await adopt(node, go.modCache)
    expect(named(report.refused)).toEqual([`zip ${lib}@v1.0.0`])
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(404)
  })

  test('whose records were altered proves nothing by them', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const folder = join(go.modCache, 'cache/download/sumdb', upstream.sumdb.name, 'lookup')
    for (const name of await readdir(folder, { recursive: true })) {
      const path = join(folder, name)
      if ((await stat(path)).isFile()) {
        await writeFile(path, (await readFile(path, 'utf8')).replace('h1:', 'h1:A'))
      }
    }
    const node = await offlineNode()
    const report = await adopt(node, go.modCache)
    expect(report).toMatchObject({ code: 20, zips: { added: 0 }, mods: { added: 0 } })
    expect(named(report.unproven)).toEqual([`mod ${lib}@v1.0.0`, `zip ${lib}@v1.0.0`])
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(404)
    expect((await statusOf(node)).checksumDatabase.refusedAnswers).toBe(0)
  })
})

describe('a zip that is shared with the cache', () => {
  test('and written to later is never served again, whatever its times say', async () => {
    const go = await filledCache(`${lib}@v1.0.0`, `${lib}@v1.1.0`)
    const node = await offlineNode()
    expect(await adopt(node, go.modCache)).toMatchObject({ code: 0, zips: { added: 2 } })
    // One was read before, so its state is known; the other was not.
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(200)
    for (const version of ['v1.0.0', 'v1.1.0']) {
      const path = cached(go, `${lib}@${version}`, 'zip')
      const { atime, mtime } = await stat(path)
      await flipBit(path, 60)
      await utimes(path, atime, mtime)
      expect(await statusOfGet(node, `${lib}@${version}`, 'zip')).toBe(404)
    }
    expect((await statusOf(node)).store.zips).toBe(0)
  })

  test('is still served when go cleans its cache, and after a restart', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const dir = await newDir()
    const node = await offlineNode(dir)
    await adopt(node, go.modCache)
    expect(await go.run(['clean', '-modcache'])).toMatchObject({ code: 0 })
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(200)
    await node.end()
    expect(await statusOfGet(await offlineNode(dir), `${lib}@v1.0.0`, 'zip')).toBe(200)
  })

  test('is present, and not taken twice', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const node = await offlineNode()
    await adopt(node, go.modCache)
    const again = await adopt(node, go.modCache)
    expect(again).toMatchObject({ code: 0, zips: { added: 0, present: 1 }, mods: { added: 0 } })
    expect((await stat(cached(go, `${lib}@v1.0.0`, 'zip'))).nlink).toBe(2)
  })
})

describe('without records in the cache', () => {
  async function cacheWithoutRecords(): Promise<GoHome> {
    const go = await filledCache(`${lib}@v1.0.0`, `${secret}@v1.0.0`)
    await rm(join(go.modCache, 'cache/download/sumdb'), { recursive: true })
    return go
  }

  test('nothing is taken while nobody vouches, and all of it when the database does', async () => {
    const go = await cacheWithoutRecords()
    const dir = await newDir()
    const node = await offlineNode(dir)
    const report = await adopt(node, go.modCache)
    expect(report).toMatchObject({ code: 20, zips: { added: 0 }, mods: { added: 0 } })
    expect(named(report.unproven)).toHaveLength(4)
    expect(await statusOfGet(node, `${lib}@v1.0.0`, 'zip')).toBe(404)
    await node.end()
    const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb, '--private', 'corp.test']
    const online = stack.use(await startNode({ args, dir }))
    upstream.forget()
    expect(await adopt(online, go.modCache)).toMatchObject({
      zips: { added: 1 },
      mods: { added: 1 },
    })
    expect(upstream.count(filePath({ path: lib, version: 'v1.0.0' }, 'zip'))).toBe(0)
  })

  test('what the database does not know keeps nothing else from being proven', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `corp.test/a${i}@v1.0.0`)
    for (const name of names) {
      upstream.add({ path: name.split('@')[0] ?? '', version: 'v1.0.0', logged: false })
    }
    const go = await filledCache(...names, `${lib}@v1.0.0`)
    await rm(join(go.modCache, 'cache/download/sumdb'), { recursive: true })
    const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
    const report = await adopt(stack.use(await startNode({ args })), go.modCache)
    expect(report).toMatchObject({ code: 20, zips: { added: 1 }, mods: { added: 1 } })
    expect(named(report.unproven)).toHaveLength(16)
  })

  test('a go.sum that is handed over proves it, private modules included, with no node running', async () => {
    const go = await cacheWithoutRecords()
    const cwd = await go.project({
      'go.mod': `module example.com/x\n\ngo 1.20\n\nrequire ${lib} v1.0.0\n\nrequire ${secret} v1.0.0\n`,
    })
    expect(await go.run(['mod', 'download', 'all'], { cwd })).toMatchObject({ code: 0 })
    await rm(join(go.modCache, 'cache/download/sumdb'), { recursive: true, force: true })
    const dir = await newDir()
    const own = ['--dir', dir]
    const env = { MODMESH_SUMDB: upstream.gosumdb, MODMESH_PRIVATE: 'corp.test' }
    const run = (args: readonly string[]) => runModmesh([...args, ...own], { env })
    const without = await adopt({ run }, go.modCache)
    expect(without).toMatchObject({ code: 20, zips: { added: 0 } })
    expect(without.unproven.map(({ reason }) => reason)).toContain(
      'no node is running that could ask the checksum database',
    )
    const report = await adopt({ run }, go.modCache, '--for', cwd)
    expect(report).toMatchObject({ code: 0, zips: { added: 2, copied: 0 }, unproven: [] })
    // What was proven once stays so, and is not hashed again.
    const again = await adopt({ run }, go.modCache)
    const all = { code: 0, zips: { added: 0, present: 2 }, hashedBytes: 0, unproven: [] }
    expect(again).toMatchObject(all)
    const node = await offlineNode(dir)
    expect(await statusOfGet(node, `${secret}@v1.0.0`, 'zip')).toBe(200)
  })
})

describe('adopt --watch', () => {
  test('brings what go downloads into the mesh within seconds, and ends when told', async () => {
    const go = await filledCache(`${lib}@v1.0.0`)
    const node = await offlineNode()
    const watcher = startWatching(node, go)
    const zips = async (): Promise<number> => (await statusOf(node)).store.zips
    await expect.poll(zips).toBe(1)
    expect(await go.run(['mod', 'download', `${app}@v0.1.0`])).toMatchObject({ code: 0 })
    await expect.poll(zips).toBe(2)
    const MODMESH_JOIN = await invite(node)
    const lonely = ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText]
    const member = stack.use(await startNode({ args: lonely, env: { MODMESH_JOIN } }))
    await untilMet(member, node)
    expect(await statusOfGet(member, `${app}@v0.1.0`, 'zip')).toBe(200)
    expect(await go.run(['clean', '-modcache'])).toMatchObject({ code: 0 })
    // The cache that is made anew is followed, too.
    await expect.poll(() => existsSync(join(go.modCache, 'cache/download'))).toBe(false)
    expect(await go.run(['mod', 'download', `${lib}@v1.1.0`])).toMatchObject({ code: 0 })
    await expect.poll(zips).toBe(3)
    const ended = once(watcher, 'close')
    watcher.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  })
})

function startWatching(node: StartedNode, go: GoHome): ChildProcess {
  const args = [programPath, 'adopt', '--watch', go.modCache, '--dir', node.dir]
  const watcher = spawn(process.execPath, args, { stdio: 'ignore' })
  stack.defer(() => void watcher.kill('SIGKILL'))
  return watcher
}

test.for([
  ['a folder that is no cache', ['adopt', tmpdir()], 1, 'is no module cache'],
  ['a go.sum that is none', ['adopt', '--for', programPath, '.'], 2, 'go.sum'],
] as const)('%s is told', async ([, args, code, text]) => {
  const dir = await newDir()
  const result = await runModmesh([...args, '--dir', dir])
  expect(result).toMatchObject({ code, stdout: '' })
  expect(result.stderr).toContain(text)
})
