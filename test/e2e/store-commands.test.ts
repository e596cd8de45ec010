import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, invite, statusOf } from '../support/mesh.ts'
import { moduleHashes } from '../support/module-zip.ts'
import { type RunResult, runModmesh, type StartedNode, startNode } from '../support/start-node.ts'

type Module = Required<Pick<FakeModule, 'path' | 'version' | 'files'>>

function moduleOf(path: string, bytes: number, version = 'v1.0.0'): Module {
  const files = { 'go.mod': `module ${path}\n`, 'noise.bin': randomBytes(bytes) }
  return { path, version, files }
}

const text = moduleOf('golang.org/x/text', 3_000)
const textNew = moduleOf('golang.org/x/text', 3_000, 'v1.1.0')
const toml = moduleOf('github.com/BurntSushi/toml', 30_000)
const large = moduleOf('example.com/large', 300_000)
/** In the order in which they are first read. */
const all = [large, toml, text, textNew]

let stack: AsyncDisposableStack
let upstream: FakeUpstream
/** Holds all of them; never changed. */
let node: StartedNode
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  upstream = stack.use(await FakeUpstream.start({ modules: all }))
  node = stack.use(await startNode({ args: args() }))
  await fillAll(node)
})
afterAll(() => stack.disposeAsync())

function args(): readonly string[] {
  return ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
}

async function fillAll(filler: StartedNode): Promise<void> {
  for (const module of all) {
    for (const suffix of ['mod', 'zip'] as const) {
      const answer = await fetch(filler.url + filePath(module, suffix))
      expect(answer.status).toBe(200)
      await answer.arrayBuffer()
    }
  }
  const isDurable = async (): Promise<void> =>
    expect((await statusOf(filler)).store.zips).toBe(all.length)
  await vi.waitFor(isDurable, { timeout: 60_000 })
}

/** A directory of its own that holds all, and no node. */
async function stoppedDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-commands-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const filler = stack.use(await startNode({ args: args(), dir }))
  await fillAll(filler)
  expect(await filler.end()).toBe(0)
  return dir
}

async function startOn(dir: string): Promise<StartedNode> {
  return stack.use(await startNode({ args: args(), dir }))
}

function sizeOf(module: Module): number {
  return upstream.bytesOf(filePath(module, 'zip'))?.length ?? 0
}

function sizesOf(modules: readonly Module[]): number {
  return modules.reduce((sum, module) => sum + sizeOf(module), 0)
}

function nameOf({ path, version }: Module): string {
  return `${path}@${version}`
}

async function zipFiles(dir: string): Promise<string[]> {
  const folder = join(dir, 'store/v1/zip')
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.length === 70).map((name) => join(folder, name))
}

/** Commands that only look are the same beside a node and on the files alone. */
describe.for(['beside a running node', 'with none running'])('%s', (place) => {
  let run: (...words: string[]) => Promise<RunResult>
  beforeAll(async () => {
    const dir = place === 'with none running' ? await stoppedDir() : node.dir
    run = (...words) => runModmesh([...words, '--dir', dir])
  })

  test('ls lists every zip with its size and last use, in the order of names', async () => {
    const { code, stdout, stderr } = await run('ls')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const names = [large, toml, text, textNew].map(nameOf)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('  ')[0]),
    ).toEqual(names)
    for (const line of stdout.trim().split('\n')) {
      expect(line).toMatch(/^\S+@v\S+ {2}[\d.]+ kB {2}used (\d+[smh]){1,2} ago$/u)
    }
  })

  test.for([
    { names: ['golang.org/x/*'], held: [text, textNew] },
    { names: ['golang.org/x/text@v1.1.0'], held: [textNew] },
    { names: ['golang.org/x/text@v1.1.0', 'github.com/*'], held: [toml, textNew] },
    { names: ['example.org'], held: [] },
  ])('ls $names lists those', async ({ names, held }) => {
    const { code, stdout, stderr } = await run('ls', ...names)
    expect(code).toBe(0)
    const lines = stdout.split('\n').slice(0, -1)
    expect(lines.map((line) => line.split('  ')[0])).toEqual(held.map(nameOf))
    expect(stderr).toBe(held.length === 0 ? 'modmesh: none of these is held\n' : '')
  })

  test('ls --json prints one object a line', async () => {
    const { stdout } = await run('ls', '-json', nameOf(toml))
    const line = JSON.parse(stdout) as Record<string, string>
    expect(line).toEqual({
      schema: 'modmesh.ls/1',
      module: nameOf(toml),
      bytes: sizeOf(toml),
      h1: moduleHashes(toml, toml.files).zip,
      proof: 'checksum-db',
      committedAt: line['committedAt'],
      usedAt: line['usedAt'],
      checkedAt: line['checkedAt'],
      publisher: null,
      pinned: false,
    })
    for (const time of ['committedAt', 'usedAt', 'checkedAt']) {
      expect(Math.abs(Date.now() - Date.parse(line[time] ?? ''))).toBeLessThan(600_000)
    }
  })

  test('verify tells what it hashed', async () => {
    const { code, stdout } = await run('verify')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^4 zips and 4 go\.mod files hashed, [\d.]+ kB held: all good\n$/u)
    const json = await run('verify', '--json')
    const zipBytes = sizesOf(all)
    expect(json.code).toBe(0)
    expect(JSON.parse(json.stdout)).toEqual({
      schema: 'modmesh.verify/1',
      zips: 4,
      zipBytes,
      mods: 4,
      bad: [],
    })
  })

  test('gc without a size says how to give one, and removes nothing', async () => {
    const { code, stdout } = await run('gc')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^nothing removed: no size is set; say --to SIZE [^\n]*4 zips[^\n]*\n$/u)
  })

  test('gc to more than is held removes nothing', async () => {
    const { code, stdout } = await run('gc', '--to', '1GB')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^removed: 0 zips \(0 B\); held: 4 zips \([\d.]+ kB\)\n$/u)
  })

  test.for([
    ['gc', '--to', '1x'],
    ['gc', '--to', '-5'],
    ['ls', 'a b'],
    ['pin', 'x@latest'],
    ['unpin'],
  ])('%j is wrong usage, in one line', async (words) => {
    const { code, stdout, stderr } = await run(...words)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^modmesh: [^\n]+\n$/u)
  })

  test('pins are listed, added once, and ended by name', async () => {
    expect(await run('pin')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'modmesh: nothing is pinned\n',
    })
    const added = await run('pin', 'golang.org/x/*', nameOf(toml), 'example.org/later')
    expect(added).toMatchObject({ code: 0, stderr: '' })
    expect(added.stdout).toMatch(
      /^golang\.org\/x\/\* {2}2 zips, [\d.]+ kB\n\S+toml@v1\.0\.0 {2}1 zip, [\d.]+ kB\nexample\.org\/later {2}nothing held yet\n$/u,
    )
    expect(
      (await run('ls')).stdout.split('\n').filter((line) => line.endsWith('pinned')),
    ).toHaveLength(3)

    const again = JSON.parse((await run('pin', nameOf(toml), '--json')).stdout) as object
    expect(again).toMatchObject({ schema: 'modmesh.pins/1', added: [], lost: false })
    const json = await run('unpin', '--json', nameOf(toml), 'nope')
    expect(json).toMatchObject({ code: 1, stderr: 'modmesh: nope is not pinned\n' })
    expect(JSON.parse(json.stdout)).toEqual({
      schema: 'modmesh.pins/1',
      projects: [],
      pins: [
        { pin: 'golang.org/x/*', zips: 2, bytes: sizesOf([text, textNew]) },
        { pin: 'example.org/later', zips: 0, bytes: 0 },
      ],
      lost: false,
      added: [],
      removed: [nameOf(toml)],
      unknown: ['nope'],
    })
    const ended = await run('unpin', 'golang.org/x/*', 'example.org/later')
    expect(ended).toEqual({ code: 0, stdout: '', stderr: 'modmesh: nothing is pinned\n' })
  })
})

describe('gc', () => {
  let dir: string
  beforeEach(async () => {
    dir = await stoppedDir()
  })

  test('with none running takes the longest unused, never what is pinned', async () => {
    const run = (...words: string[]): Promise<RunResult> => runModmesh([...words, '--dir', dir])
    expect(await run('pin', nameOf(large))).toMatchObject({ code: 0 })
    const to = String(sizesOf([large, text, textNew]))
    const { code, stdout } = await run('gc', '--json', '--to', `${to}B`)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      schema: 'modmesh.gc/1',
      maxBytes: Number(to),
      evicted: 1,
      evictedBytes: sizeOf(toml),
      zips: 3,
      zipBytes: Number(to),
      pinnedBytes: sizeOf(large),
      trouble: null,
    })
    expect((await run('ls', nameOf(toml))).stdout).toBe('')

    const all = await run('gc', '--to', '0')
    expect(all.code).toBe(20)
    expect(all.stdout).toMatch(
      /^removed: 2 zips \([^)]+\); held: 1 zip \(([\d.]+ kB)\), more than 0 B: \1 pinned\n$/u,
    )
    await run('unpin', nameOf(large))
    expect(await run('gc', '--to', '0')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^removed: 1 zip \([\d.]+ kB\); held: 0 zips \(0 B\)\n$/u,
      ) as string,
    })
  })

  test('with none running keeps to the configured size', async () => {
    const config = join(dir, 'modmesh.toml')
    await writeFile(config, `max-size = "${sizesOf([toml, text, textNew])}B"\n`)
    const gc = ['gc', '--json', '--dir', dir]
    const byFile = await runModmesh([...gc, '--config', config])
    expect(byFile.code).toBe(0)
    expect(JSON.parse(byFile.stdout)).toMatchObject({ evicted: 1, zips: 3 })
    const MODMESH_MAX_SIZE = `${sizesOf([text, textNew])}B`
    const byVariable = await runModmesh(gc, { env: { MODMESH_MAX_SIZE } })
    expect(JSON.parse(byVariable.stdout)).toMatchObject({ evicted: 1, zips: 2 })
    const to = ['--to', `${sizeOf(textNew)}B`]
    const byFlag = await runModmesh([...gc, '--config', config, ...to])
    expect(JSON.parse(byFlag.stdout)).toMatchObject({ evicted: 1, zips: 1 })
    expect(await runModmesh([...gc, '--config', join(dir, 'none.toml')])).toMatchObject({ code: 2 })
  })

  test('beside a node spares what was used a moment ago; what is removed is fetched again', async () => {
    const running = await startOn(dir)
    expect((await fetch(running.url + filePath(toml, 'zip'))).status).toBe(200)
    const { code, stdout } = await running.run(['gc', '--to', '0'])
    expect(code).toBe(20)
    expect(stdout).toMatch(
      /^removed: 3 zips \([^)]+\); held: 1 zip \(([\d.]+ kB)\), more than 0 B: \1 used within the last minute\n$/u,
    )
    const asked = upstream.count(filePath(text, 'zip'))
    const answer = await fetch(running.url + filePath(text, 'zip'))
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(
      Buffer.from(upstream.bytesOf(filePath(text, 'zip')) ?? ''),
    )
    expect(upstream.count(filePath(text, 'zip'))).toBe(asked + 1)
  })

  test('is not needed by a node with --max-size, which keeps to it by itself', async () => {
    const more = [...args(), '--max-size', '50KB']
    const running = stack.use(await startNode({ args: more, dir }))
    const zips = async (): Promise<number> => (await statusOf(running)).store.zips
    await expect.poll(zips).toBe(3)
    expect((await running.run(['ls'])).stdout).not.toContain(nameOf(large))
    expect(await running.run(['gc'])).toMatchObject({ code: 0 })
  })
})

describe('a project that is pinned by its go.sum', () => {
  test('stays under its name until that ends, and a new go.sum takes the place of the old one', async () => {
    const dir = await stoppedDir()
    const run = (...words: string[]): Promise<RunResult> => runModmesh([...words, '--dir', dir])
    const sums = join(dir, 'go.sum')
    const lines = (modules: readonly Module[]): string =>
      modules
        .map((each) => `${each.path} ${each.version} ${moduleHashes(each, each.files).zip}\n`)
        .join('')
    await writeFile(
      sums,
      lines([large, toml]) + `${text.path} v1.0.0/go.mod ${moduleHashes(text, text.files).mod}\n`,
    )
    expect((await run('pin', '--for', dir, '--name', 'app')).stdout).toMatch(
      /^project app {2}2 of 2 zips held, [\d.]+ kB\n$/u,
    )
    const plan = await run('gc', '--to', '0', '--dry-run')
    expect(plan.code).toBe(20)
    expect(plan.stdout).toContain(`${nameOf(text)}  `)
    expect(plan.stdout).toMatch(/would remove: 2 zips .*; left: 2 zips/u)
    expect((await run('ls')).stdout.trim().split('\n')).toHaveLength(4)
    await writeFile(sums, lines([toml]))
    await run('pin', '--for', sums, '--name', 'app')
    await run('gc', '--to', '0')
    expect((await run('ls')).stdout).toMatch(/^github\.com\/BurntSushi\/toml@v1\.0\.0 .*pinned\n$/u)
    expect(await run('unpin', '--name', 'none')).toMatchObject({ code: 1 })
    expect(await run('unpin', '--name', 'app')).toMatchObject({ code: 0, stdout: '' })
    expect(await run('gc', '--to', '0')).toMatchObject({ code: 0 })
  })

  test.for([
    ['a name alone', ['pin', '--name', 'app']],
    ['nothing to end', ['unpin']],
    ['no go.sum there', ['pin', '--for', '/nowhere']],
  ] as const)('%s is wrong usage', async ([, words]) => {
    expect(await node.run(words)).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('verify', () => {
  test('with none running sets the bad aside, exits 23, and a node fetches it again', async () => {
    const dir = await stoppedDir()
    const run = (...words: string[]): Promise<RunResult> => runModmesh([...words, '--dir', dir])
    for (const file of await zipFiles(dir)) await truncate(file, 100)
    const json = await run('verify', '--json')
    expect(json.code).toBe(23)
    expect(JSON.parse(json.stdout)).toMatchObject({ zips: 4, zipBytes: 0, mods: 4 })
    expect(JSON.parse(json.stdout)).toHaveProperty('bad.length', 4)
    expect(await run('verify')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 zips and 4 go.mod files') as string,
    })
    expect((await run('ls')).stderr).toBe('modmesh: no zip is held\n')
    await fillAll(await startOn(dir))
  })

  test('prints each bad one, and what becomes of it', async () => {
    const dir = await stoppedDir()
    const [file = ''] = await zipFiles(dir)
    await writeFile(file, 'rubbish')
    const { code, stdout } = await runModmesh(['verify', '--dir', dir])
    expect(code).toBe(23)
    expect(stdout).toMatch(
      /^bad zip \S+@v\S+: its bytes changed; set aside, not fetched anew: no node is running\n4 zips and 4 go\.mod files hashed, [\d.]+ kB held: 1 bad, 1 of them not fetched anew: that is done when asked for\n$/u,
    )
  })
})

test('verify by a running node tells what is bad, and from where it was fetched anew', async () => {
  const dir = await stoppedDir()
  const running = await startOn(dir)
  const [file = ''] = await zipFiles(dir)
  await writeFile(file, 'rubbish')
  const { code, stdout } = await running.run(['verify'])
  expect(code).toBe(23)
  expect(stdout).toMatch(
    /^bad zip \S+@v\S+: its bytes changed; set aside, fetched anew from (?:upstream|the refill of the node)\n4 zips .*: 1 bad, all fetched anew\n$/u,
  )
  expect(await running.run(['verify'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('4 zips and 4 go.mod files') as string,
  })
})

test('verify by a member of a mesh has what is bad fetched anew from a peer', async () => {
  const MODMESH_JOIN = await invite(node)
  const lonely = ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText]
  const member = stack.use(await startNode({ args: lonely, env: { MODMESH_JOIN } }))
  await fillAll(member)
  const asked = upstream.count()
  const [file = ''] = await zipFiles(member.dir)
  await writeFile(file, 'rubbish')
  const { code, stdout } = await member.run(['verify'])
  expect(code).toBe(23)
  expect(stdout).toMatch(
    /set aside, fetched anew from (?:peer \S+|the refill of the node)\n.*: 1 bad, all/u,
  )
  const isWhole = async (): Promise<void> =>
    expect((await statusOf(member)).store.zips).toBe(all.length)
  await vi.waitFor(isWhole, { timeout: 60_000 })
  expect(upstream.count()).toBe(asked)
})

describe('pins that cannot be read', () => {
  test('are told by pin, keep everything, and end with the next pin', async () => {
    const dir = await stoppedDir()
    const run = (...words: string[]): Promise<RunResult> => runModmesh([...words, '--dir', dir])
    await run('pin', nameOf(text))
    for (const copy of ['pins', 'pins.2']) await writeFile(join(dir, 'store/v1', copy), 'rubbish')
    const lost = 'modmesh: the pins cannot be read: nothing is removed until you pin again\n'
    expect(await run('pin')).toEqual({ code: 0, stdout: '', stderr: lost })
    expect(await run('gc', '--to', '0')).toMatchObject({ code: 20 })
    expect((await run('unpin', nameOf(text))).code).toBe(1)
    expect(await run('gc', '--to', '0')).toMatchObject({ code: 20 })
    expect((await run('pin', nameOf(toml))).stderr).toBe('')
    expect(await run('gc', '--to', '0')).toMatchObject({ code: 20 })
    expect((await run('ls')).stdout).toContain(nameOf(toml))
    expect((await run('ls')).stdout.split('\n')).toHaveLength(2)
  })
})

test.for(['ls', 'verify', 'gc', 'pin'])(
  '%s of a directory without a store says so',
  async (command) => {
    const dir = join(node.dir, 'none')
    const { code, stdout, stderr } = await runModmesh([command, '--dir', dir])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(`modmesh: there is no store in ${dir}; is it the right --dir?\n`)
  },
)
