import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appOf, type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { checkStore, filePath, invite, untilMet } from '../support/mesh.ts'
import { get } from '../support/site.ts'
import {
  programPath,
  type RunResult,
  runModmesh,
  type StartedNode,
  startNode,
} from '../support/start-node.ts'

const lib = 'example.com/lib'
const tool = 'example.com/Tool'
const pseudo = 'v0.0.0-20240506070809-0123456789ab'
const app = 'example.com/app'

const modules: readonly FakeModule[] = [
  // Named by app, and replaced by the next one.
  { path: lib, version: 'v1.0.0' },
  { path: lib, version: 'v1.1.0' },
  { path: tool, version: pseudo, time: '2024-05-06T07:08:09Z', listed: false },
  appOf(app, lib),
]
const big: readonly FakeModule[] = Array.from({ length: 6 }, (_, i) => ({
  path: `example.com/big${i}`,
  version: 'v1.0.0',
  files: { 'go.mod': `module example.com/big${i}\n`, 'data.bin': randomBytes(6 << 20) },
}))
const project = {
  'go.mod': `module test.local/main\n\ngo 1.20\n\nrequire (\n\t${app} v0.1.0\n\t${lib} v1.1.0\n\t${tool} ${pseudo}\n)\n`,
  'main.go': `package main\n\nimport (\n\t"${app}"\n\t"${tool}"\n)\n\nfunc main() { println(app.Version, ool.Version) }\n`,
}

let upstream: FakeUpstream
/** Has a link. */
let source: StartedNode
let dir = ''
/** A go.sum and its go.mod, as `go` made them with a link. */
let sums = ''
let bundle = ''
const parts = new AsyncDisposableStack()

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-bundles-'))
  parts.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }))
  upstream = parts.use(await FakeUpstream.start({ modules: [...modules, ...big] }))
  upstream.sumdb.addFiller(3_000)
  const args = ['--upstream', upstream.url, '--sumdb', upstream.sumdb.keyText]
  source = parts.use(await startNode({ args }))
  sums = join(dir, 'go.sum')
  await writeFile(sums, goSum())
  await writeFile(join(dir, 'go.mod'), project['go.mod'])
  bundle = join(dir, 'site.modmesh')
  // Nothing was asked for before: export has it fetched.
  expect(await source.run(['export', '--for', sums, '-o', bundle])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('complete\n'),
  })
})
afterAll(() => parts.disposeAsync())

/** What `go mod tidy` writes for the project. */
function goSum(): string {
  const lines: string[] = []
  for (const [path, version] of [
    [app, 'v0.1.0'],
    [lib, 'v1.1.0'],
    [tool, pseudo],
  ] as const) {
    const { sumdb } = upstream
    const id = sumdb.idOf(path, version) ?? -1
    lines.push(...sumdb.text(id).trimEnd().split('\n'))
  }
  return `${lines.toSorted().join('\n')}\n`
}

function startSite(args: readonly string[] = []): Promise<StartedNode> {
  return startNode({ args: ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText, ...args] })
}

function importAt(
  node: StartedNode,
  file: string,
  more: readonly string[] = [],
): Promise<RunResult> {
  return node.run(['import', file, '--signer', source.peerId, ...more])
}

function goOf(proxy: string): Promise<GoHome> {
  return GoHome.make({
    proxy,
    sumdb: upstream.sumdb.keyText,
    env: { GOFLAGS: '-modcacherw', GOCACHE: join(dir, 'gocache') },
  })
}

/** Everything that a developer does with a project, with an empty module cache and no memory of the database. */
async function work(go: GoHome): Promise<void> {
  const cwd = await go.project(project)
  const run = (...args: string[]): Promise<GoResult> => go.run(args, { cwd })
  // There is no go.sum: all is looked up in the checksum database.
  const tidied = await run('mod', 'tidy')
  expect([tidied.code, tidied.stderr]).toEqual([0, expect.stringContaining('downloading')])
  expect(await readFile(join(cwd, 'go.sum'), 'utf8')).toBe(await readFile(sums, 'utf8'))
  expect(await run('build', './...')).toMatchObject({ code: 0, stderr: '' })
  expect(await run('mod', 'download')).toMatchObject({ code: 0 })
  expect(await run('mod', 'verify')).toMatchObject({ stdout: 'all modules verified\n' })
  expect((await run('list', '-m', 'all')).stdout).toContain(`${lib} v1.1.0\n`)
  expect(await run('vet', './...')).toMatchObject({ code: 0 })
}

describe('a site without a link', () => {
  let site: StartedNode
  const joined: StartedNode[] = []
  beforeAll(async () => {
    site = parts.use(await startSite())
    const ticket = await invite(site)
    for (let i = 0; i < 2; i++) {
      const env = { MODMESH_JOIN: ticket }
      const args = ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText]
      joined.push(parts.use(await startNode({ args, env })))
    }
    for (const node of joined) {
      await untilMet(node, site)
    }
  })

  test('believes nobody whom it was not told to', async () => {
    const { code, stderr } = await site.run(['import', bundle])
    expect([code, stderr]).toEqual([1, expect.stringContaining('BUNDLE_UNKNOWN_SIGNER')])
    expect(stderr).toContain(`--signer ${source.peerId}`)
    expect((await site.run(['ls'])).stdout).toBe('')
  })

  test('takes a bundle in, and a second time nothing', async () => {
    const paths = [
      `/${app}/@v/list`,
      `/${app}/@latest`,
      ...(['info', 'mod', 'zip'] as const).map((kind) =>
        filePath({ path: app, version: 'v0.1.0' }, kind),
      ),
    ]
    const statuses = (): Promise<readonly number[]> =>
      Promise.all(paths.map(async (path) => (await fetch(site.url + path)).status))
    expect(await statuses()).toEqual([404, 404, 404, 404, 404])
    const planned = await importAt(site, bundle, ['--plan'])
    expect(planned).toMatchObject({ code: 0, stdout: expect.stringContaining('3 zips lacking') })
    expect((await site.run(['import', bundle])).code).toBe(1)
    expect(await statuses()).toEqual([404, 404, 404, 404, 404])
    expect(await importAt(site, bundle)).toMatchObject({ code: 0 })
    // What was asked for in vain before is there; that there is no list is believed for a second.
    await expect.poll(statuses).toEqual([200, 200, 200, 200, 200])
    const { code, stdout } = await site.run(['import', bundle, '--json'])
    const { counts, fault } = JSON.parse(stdout) as ImportJson
    expect([code, fault]).toEqual([0, null])
    expect((await site.run(['import', bundle, '--plan'])).stdout).toContain('0 zips lacking')
    expect(counts.zip).toEqual({ added: 0, present: 3 })
    expect(counts.mod).toEqual({ added: 0, present: 3 })
  })

  goTest(
    'serves go clients with the default checksum database, on all hosts of the site',
    async () => {
      for (const node of [site, ...joined]) {
        await using go = await goOf(node.url)
        await work(go)
      }
    },
  )

  test('says at once what to add to the bundle', async () => {
    let asked = 0
    const round = async (): Promise<number> => {
      const took: number[] = []
      const ofHeld: number[] = []
      for (let i = 0; i < 9; i++) {
        const module = { path: `example.com/new${asked++}`, version: 'v1.0.0' }
        ofHeld.push((await get(site, filePath({ path: app, version: 'v0.1.0' }, 'info'))).tookMs)
        const startedMs = performance.now()
        const answer = await fetch(site.url + filePath(module, 'info'))
        const text = await answer.text()
        took.push(performance.now() - startedMs)
        expect([answer.status, text]).toEqual([
          404,
          expect.stringContaining(`modmesh export ${module.path}@v1.0.0`),
        ])
      }
      const [median = Number.NaN, held = 0] = [took, ofHeld].map(
        (all) => all.toSorted((a, b) => a - b)[4],
      )
      // On a busy machine what is held takes its time, too.
      return median / Math.max(20, 12 * held)
    }
    await expect.poll(round, { interval: 10 }).toBeLessThan(1)
  })

  goTest('tells a client that knows a newer tree how to go on', async () => {
    await using go = await goOf(site.url)
    const size = upstream.sumdb.size()
    upstream.sumdb.addFiller(5)
    await go.rememberHead(upstream.sumdb.name, upstream.sumdb.noteAt())
    const { code, stderr } = await go.run(['mod', 'download', `${app}@v0.1.0`])
    expect(code).toBe(1)
    expect(stderr).toContain(
      `knows a newer tree of sum.test than this node, whose tree has ${size}`,
    )
    expect(stderr).toContain('pkg/sumdb/sum.test/latest')
  })

  goTest(
    'knows the tree that an older client has seen, when the bundle was made for it',
    async () => {
      await using go = await goOf(site.url)
      await go.rememberHead(upstream.sumdb.name, upstream.sumdb.noteAt(1_000))
      const update = join(dir, 'older.modmesh')
      const made = await source.run(['export', '--for', sums, '--tree-size', '1000', '-o', update])
      expect(made).toMatchObject({ code: 0 })
      expect(await importAt(site, update)).toMatchObject({ code: 0 })
      expect(await go.run(['mod', 'download', `${app}@v0.1.0`])).toMatchObject({ code: 0 })
    },
  )
})

interface ImportJson {
  readonly counts: Readonly<
    Record<'zip' | 'mod', { readonly added: number; readonly present: number }>
  >
  readonly fault: { readonly code: string } | null
  readonly refused: readonly { readonly name: string }[]
}

describe('a bundle', () => {
  test('is the same each time, and by a pipe, too', async () => {
    const again = join(dir, 'again.modmesh')
    await source.run(['export', '--for', sums, '--tree-size', '1000', '-o', again])
    const copy = join(dir, 'copy.modmesh')
    const command = `"$0" "$1" export --for "$2" --tree-size 1000 -o - --dir "$3" > "$4"`
    expect(await shell(command, [process.execPath, programPath, sums, source.dir, copy])).toBe(0)
    expect(Buffer.compare(await readFile(again), await readFile(copy))).toBe(0)
    await using site = await startSite()
    const pipe = `"$0" "$1" import - --signer "$2" --dir "$3" < "$4"`
    const args = [process.execPath, programPath, source.peerId, site.dir, copy]
    expect(await shell(pipe, args)).toBe(0)
    expect((await site.run(['ls'])).stdout).toContain(`${app}@v0.1.0`)
  })

  test('that is wrong is refused by the name of its fault', async () => {
    await using site = await startSite()
    const bytes = await readFile(bundle)
    const wrong = join(dir, 'wrong.modmesh')
    const refused = async (changed: Uint8Array, exitCode = 23): Promise<string> => {
      await writeFile(wrong, changed)
      const { code, stderr, stdout } = await importAt(site, wrong)
      expect(code).toBe(exitCode)
      return stderr + stdout
    }
    expect(await refused(bytes.subarray(0, bytes.length - 7))).toContain('BUNDLE_TRUNCATED')
    expect((await site.run(['ls'])).stdout).toBe('')
    const altered = Buffer.from(bytes)
    altered[300] = (altered[300] ?? 0) ^ 1
    expect(await refused(altered)).toContain('BUNDLE_ALTERED')
    altered[300] = (altered[300] ?? 0) ^ 1
    altered[bytes.length - 50] = (altered[bytes.length - 50] ?? 0) ^ 1
    expect(await refused(altered)).toContain('(BUNDLE_ALTERED)')
    expect(await refused(Buffer.from('no bundle at all, but text'), 1)).toContain('BUNDLE_FORMAT')
    await using other = await startNode({
      args: ['--upstream', source.url, '--sumdb', upstream.gosumdb],
    })
    const theirs = join(dir, 'theirs.modmesh')
    expect(await other.run(['export', '--for', sums, '-o', theirs])).toMatchObject({ code: 0 })
    expect(await refused(await readFile(theirs), 1)).toContain('BUNDLE_UNKNOWN_SIGNER')
  })

  test('on top of another one is small, and older ones do not come back', async () => {
    await using site = await startSite()
    const update = join(dir, 'update.modmesh')
    upstream.add({ path: 'example.com/extra', version: 'v1.0.0' })
    const args = ['export', 'example.com/extra@v1.0.0', '--for', sums, '--since', bundle]
    const made = await source.run([...args, '-o', update, '--json'])
    expect(JSON.parse(made.stdout)).toMatchObject({ zips: 1, mods: 1, missing: [] })
    expect(await importAt(site, update)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BUNDLE_BASE_MISSING'),
    })
    expect(await importAt(site, bundle)).toMatchObject({ code: 0 })
    expect(await importAt(site, update)).toMatchObject({ code: 0 })
    expect((await site.run(['ls'])).stdout).toContain('example.com/extra@v1.0.0')
    expect(await importAt(site, bundle)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BUNDLE_REPLAYED'),
    })
    expect(await importAt(site, bundle, ['--any-order'])).toMatchObject({ code: 0 })
  })

  test('of which something cannot be had is written, says so and exits 20', async () => {
    const args = ['export', `${app}@v0.1.0`, 'example.com/nobody@v1.0.0', '-o', join(dir, 'part')]
    const { code, stdout } = await source.run([...args, '--json'])
    expect(code).toBe(20)
    const { missing } = JSON.parse(stdout) as { missing: { what: string; name: string }[] }
    expect(missing.map(({ what, name }) => `${what} ${name}`)).toEqual(
      expect.arrayContaining(['zip example.com/nobody@v1.0.0', 'mod example.com/nobody@v1.0.0']),
    )
    expect((await stat(join(dir, 'part'))).size).toBeGreaterThan(1_000)
  })

  test('can be planned: what is missing, and the size, and nothing is fetched', async () => {
    upstream.add({ path: 'example.com/later', version: 'v1.0.0' })
    upstream.forget()
    const planned = await source.run(['export', 'example.com/later@v1.0.0', '--plan'])
    expect(planned).toMatchObject({ code: 20 })
    expect(planned.stdout).toContain('missing zip example.com/later@v1.0.0')
    expect(planned.stdout).toContain('would write')
    expect(upstream.count()).toBe(0)
    await source.run(['export', '--for', sums, '-o', join(dir, 'before.modmesh')])
    const { stdout } = await source.run(['export', '--for', sums, '--plan', '--json'])
    const { bytes } = JSON.parse(stdout) as { bytes: number }
    const written = join(dir, 'planned.modmesh')
    await source.run(['export', '--for', sums, '-o', written])
    expect((await stat(written)).size).toBe(bytes)
  })

  test('is made and taken in with no node running, too', async () => {
    const { keyText } = upstream.sumdb
    await using holder = await startSite()
    expect(await importAt(holder, bundle)).toMatchObject({ code: 0 })
    await holder.end()
    const file = join(dir, 'offline.modmesh')
    const own = ['--sumdb', keyText, '--dir', holder.dir]
    const made = await runModmesh(['export', '--for', sums, '-o', file, ...own])
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('complete') })
    const fresh = join(dir, 'fresh')
    const theirs = ['--sumdb', keyText, '--dir', fresh]
    const taken = await runModmesh(['import', file, '--signer', holder.peerId, ...theirs])
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining('3 zips added') })
    expect((await checkStore(fresh)).bad).toEqual([])
  })
})

goTest(
  'an exported tree is all that a stock go needs, its checksum database included',
  async () => {
    const tree = join(dir, 'tree')
    const made = await source.run(['export', '--for', sums, '--tree', tree])
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('complete') })
    await using go = await goOf(`file://${tree}`)
    await work(go)
    expect(await go.headSize(upstream.sumdb.name)).toBeGreaterThan(3_000)
    expect((await go.run(['list', '-m', '-versions', lib])).stdout).toBe(`${lib} v1.1.0\n`)
  },
)

test('an import that is killed again and again leaves a store that verifies, and ends', async () => {
  const file = join(dir, 'big.modmesh')
  const names = big.map(({ path, version }) => `${path}@${version}`)
  expect(await source.run(['export', ...names, '-o', file])).toMatchObject({ code: 0 })
  const home = await mkdtemp(join(dir, 'killed-'))
  const args = ['--upstream', 'off', '--sumdb', upstream.sumdb.keyText]
  for (const afterMs of [60, 150, 300]) {
    await using node = await startNode({ dir: home, args })
    const taking = importAt(node, file)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await node.end('SIGKILL')
    await taking
    expect((await checkStore(home)).bad).toEqual([])
  }
  await using node = await startNode({ dir: home, args })
  const { code, stdout } = await importAt(node, file, ['--json'])
  const { counts } = JSON.parse(stdout) as ImportJson
  expect([code, counts.zip.added + counts.zip.present]).toEqual([0, big.length])
  expect(await node.run(['verify'])).toMatchObject({ code: 0 })
})

function shell(command: string, args: readonly string[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const env = Object.entries(process.env).filter(([name]) => !name.startsWith('MODMESH_'))
    const child = spawn('sh', ['-c', command, ...args], {
      env: Object.fromEntries(env),
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? undefined))
  })
}
