import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { fakeToolchain } from '../support/fake-toolchain.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { invite, untilMet } from '../support/mesh.ts'
import { buildModuleZip } from '../support/module-zip.ts'
import { type RunResult, runModmesh, startNode } from '../support/start-node.ts'

/** A module with a package that imports others. */
function lib(
  path: string,
  version: string,
  go: string,
  uses: Readonly<Record<string, string>> = {},
): FakeModule {
  const requires = Object.entries(uses).map(([name, at]) => `require ${name} ${at}\n`)
  const name = path.slice(path.lastIndexOf('/') + 1)
  return {
    path,
    version,
    files: {
      'go.mod': `module ${path}\n\ngo ${go}\n\n${requires.join('')}`,
      'lib.go': source(name, Object.keys(uses).filter(isImported)),
      'lib_test.go': source(
        name,
        Object.keys(uses).filter((each) => each.includes('testdep')),
      ),
    },
  }
}

/** The rest is required and no more, or for tests alone. */
function isImported(path: string): boolean {
  return !path.includes('unused') && !path.includes('testdep')
}

function source(name: string, imports: readonly string[]): string {
  return `package ${name}\n\n${imports.map((path) => `import _ "${path}"\n`).join('')}`
}

const universe: readonly FakeModule[] = [
  lib('example.com/new', 'v1.0.0', '1.22', {
    'example.com/dep': 'v1.0.0',
    'example.com/unused': 'v1.0.0',
  }),
  lib('example.com/dep', 'v1.0.0', '1.22'),
  lib('example.com/dep', 'v1.1.0', '1.22'),
  lib('example.com/dep/nested', 'v0.1.0', '1.22'),
  lib('example.com/unused', 'v1.0.0', '1.22', { 'example.com/unuseddeep': 'v1.0.0' }),
  lib('example.com/unuseddeep', 'v1.0.0', '1.22'),
  lib('example.com/old', 'v1.0.0', '1.16', {
    'example.com/testdep': 'v0.9.0',
    'example.com/dep': 'v1.1.0',
  }),
  lib('example.com/testdep', 'v0.9.0', '1.16', { 'example.com/unused': 'v0.5.0' }),
  lib('example.com/unused', 'v0.5.0', '1.16'),
  lib('example.com/forkdep', 'v1.0.0', '1.22'),
]

const fork: FakeModule = {
  path: 'example.com/fork',
  version: 'v1.3.0',
  files: {
    'go.mod': 'module example.com/origin\n\ngo 1.22\n\nrequire example.com/forkdep v1.0.0\n',
    'lib.go': source('origin', ['example.com/forkdep']),
  },
}

/** Projects before `go mod tidy`, each by its kind. */
const projects: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'with a pruned graph': {
    'go.mod':
      'module example.com/main\n\ngo 1.22\n\nrequire (\n\texample.com/new v1.0.0\n\texample.com/old v1.0.0\n)\n',
    'main.go': source('p', ['example.com/new', 'example.com/old']),
    'main_test.go': source('p', ['example.com/dep/nested']),
  },
  'of before go 1.17': {
    'go.mod':
      'module example.com/main\n\ngo 1.16\n\nrequire (\n\texample.com/new v1.0.0\n\texample.com/old v1.0.0\n)\n',
    'main.go': source('p', ['example.com/new', 'example.com/old']),
  },
  'with replacements': {
    'go.mod':
      'module example.com/main\n\ngo 1.22\n\nrequire (\n\texample.com/origin v1.0.0\n\texample.com/local v0.0.0\n)\n\nreplace example.com/origin => example.com/fork v1.3.0\n\nreplace example.com/local => ./local\n',
    'main.go': source('p', ['example.com/origin', 'example.com/local']),
    'local/go.mod': 'module example.com/local\n\ngo 1.16\n\nrequire example.com/old v1.0.0\n',
    'local/lib.go': source('local', ['example.com/old']),
  },
}

const workspace: Readonly<Record<string, string>> = {
  'go.work': 'go 1.22\n\nuse (\n\t./one\n\t./two\n)\n',
  'one/go.mod': 'module example.com/one\n\ngo 1.22\n\nrequire example.com/dep v1.0.0\n',
  'one/one.go': source('one', ['example.com/dep']),
  'two/go.mod': 'module example.com/two\n\ngo 1.22\n\nrequire example.com/old v1.0.0\n',
  'two/two.go': source('two', ['example.com/old']),
}

const commands = [
  'build ./...',
  'vet ./...',
  'mod download',
  'mod verify',
  'list -m all',
  'mod tidy',
]

let upstream: FakeUpstream
/** `go` with the upstream itself. */
let online: GoHome

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [...universe, fork, fakeToolchain('go1.99.1')] })
  online = await GoHome.make({ proxy: upstream.url, sumdb: upstream.sumdb.keyText })
})
afterAll(async () => {
  await online?.[Symbol.asyncDispose]()
  await upstream?.[Symbol.asyncDispose]()
})

describe('what was prefetched is all that go needs', () => {
  goTest.for(Object.entries(projects))('a project %s', async ([, files]) => {
    const folder = await online.project(files)
    expect(await online.run(['mod', 'tidy'], { cwd: folder })).toMatchObject({ code: 0 })
    await using dir = await tempDir()
    const done = await prefetch([folder], dir.path)
    expect(done, done.stdout + done.stderr).toMatchObject({ code: 0 })
    expect(done.stdout).toContain(': complete\n')
    await expectWorks(dir.path, folder, commands)
  })

  goTest('a workspace', async () => {
    const folder = await online.project(workspace)
    for (const name of ['one', 'two']) {
      const cwd = join(folder, name)
      expect(await online.run(['mod', 'tidy'], { cwd })).toMatchObject({ code: 0 })
    }
    const env = { GOWORK: join(folder, 'go.work') }
    const downloads = await online.run(['mod', 'download'], { cwd: folder, env })
    expect(downloads, downloads.stderr).toMatchObject({ code: 0 })
    await using dir = await tempDir()
    const done = await prefetch([join(folder, 'go.work')], dir.path)
    expect(done, done.stdout).toMatchObject({ code: 0 })
    const lines = [
      'build ./one ./two',
      'vet ./one ./two',
      'mod download',
      'mod verify',
      'list -m all',
    ]
    await expectWorks(dir.path, folder, lines, env)
  })
})

goTest('the toolchain that a project names comes when it is asked for', async () => {
  await using dir = await tempDir()
  const folder = await online.project({
    'go.mod': 'module example.com/main\n\ngo 1.22\n\ntoolchain go1.99.1\n',
  })
  const done = await prefetch(['--toolchains', '--', folder], dir.path)
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stdout).toContain('1 zip, 1 go.mod, 1 .info:')
  await using node = await startNode({ dir: dir.path, args: ['--offline', ...upstreamArgs()] })
  await using go = await GoHome.make({ proxy: node.url, sumdb: upstream.sumdb.keyText })
  const version = await go.run(['version'], { cwd: folder, env: { GOTOOLCHAIN: 'auto' } })
  expect(version, version.stderr).toMatchObject({ code: 0, stdout: 'fake go1.99.1: version\n' })
})

describe('a project with go.sum', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await online.project(projects['with a pruned graph'] ?? {})
    await online.run(['mod', 'tidy'], { cwd: folder })
  })

  goTest('a member of the site gives what another one has, and upstream is not asked', async () => {
    await using first = await startNode({ args: upstreamArgs() })
    const byPeer = await first.run(['prefetch', folder, '--json'])
    expect(byPeer, byPeer.stderr).toMatchObject({ code: 0 })
    const env = { MODMESH_JOIN: await invite(first) }
    await using second = await startNode({ args: ['--offline', ...upstreamArgs()], env })
    await untilMet(second, first)
    upstream.forget()
    const done = await second.run(['prefetch', folder, '--json', '--pin', 'main'])
    const report = JSON.parse(done.stdout) as Report
    expect(done, done.stdout).toMatchObject({ code: 0 })
    expect(report).toMatchObject({ schema: 'modmesh.prefetch/1', missing: [], unread: [] })
    const { site, upstream: asked } = report.sources
    expect(site?.files).toBe(report.zips.fetched + report.mods.fetched + report.infos.fetched)
    expect(asked?.files).toBe(0)
    expect(upstream.count()).toBe(0)
    const pins = await second.run(['pin'])
    expect(pins.stdout).toMatch(/^project main {2}\d of \d zips held/u)
    const again = JSON.parse((await second.run(['prefetch', folder, '--json'])).stdout) as Report
    expect(again.zips).toEqual({ ...report.zips, held: report.zips.fetched, fetched: 0 })
  })

  goTest('what is missing is listed with the reason, and the rest is held', async () => {
    const gone = '/example.com/dep/@v/v1.1.0.zip'
    const mend = upstream.break((path) => path === gone, { kind: 'status', status: 404 })
    await using dir = await tempDir()
    try {
      const done = await prefetch([join(folder, 'go.sum')], dir.path)
      expect(done, done.stderr).toMatchObject({ code: 20 })
      expect(done.stdout).toMatch(/^missing example\.com\/dep@v1\.1\.0 \(zip\): .*404/u)
      expect(done.stdout).toMatch(/: 1 module missing\n$/u)
      mend()
      const mended = await prefetch([join(folder, 'go.sum'), '--json'], dir.path)
      expect(mended).toMatchObject({ code: 0 })
      expect((JSON.parse(mended.stdout) as Report).zips).toMatchObject({ fetched: 1, missing: 0 })
    } finally {
      mend()
    }
  })

  goTest('a hash in go.sum that is not that of the checksum database ends with 23', async () => {
    const text = await readFile(join(folder, 'go.sum'), 'utf8')
    const line = text.split('\n').find((each) => each.startsWith('example.com/new v1.0.0 ')) ?? ''
    const wrong = `h1:${Buffer.alloc(32, 7).toString('base64')}`
    const lie = text.replace(line, `example.com/new v1.0.0 ${wrong}`)
    await using dir = await tempDir()
    const done = await prefetch(['-', '--json'], dir.path, lie)
    expect(done, done.stderr).toMatchObject({ code: 23 })
    const { mismatched, missing } = JSON.parse(done.stdout) as Report
    expect(missing).toEqual([])
    expect(mismatched).toEqual([
      {
        module: 'example.com/new@v1.0.0',
        part: 'zip',
        hash: line.split(' ')[2],
        pins: [{ file: '-', hash: wrong }],
      },
    ])
  })

  goTest(
    'without a checksum database go.sum is believed, and not who sends other bytes',
    async () => {
      const path = 'example.com/new'
      const files = { 'go.mod': `module ${path}\n`, 'lib.go': 'package evil\n' }
      const bytes = buildModuleZip({ path, version: 'v1.0.0' }, files)
      const mend = upstream.break((asked) => asked === `/${path}/@v/v1.0.0.zip`, {
        kind: 'bytes',
        bytes,
      })
      await using dir = await tempDir()
      try {
        const flags = [
          '--dir',
          dir.path,
          '--mdns',
          'off',
          '--upstream',
          upstream.url,
          '--sumdb',
          'off',
        ]
        const done = await runModmesh(['prefetch', folder, '--json', ...flags])
        expect(done, done.stderr).toMatchObject({ code: 23 })
        const report = JSON.parse(done.stdout) as Report
        expect(report.missing).toMatchObject([
          { module: `${path}@v1.0.0`, code: 'UPSTREAM_REFUSED' },
        ])
        expect(report.zips).toMatchObject({ fetched: report.zips.needed - 1, missing: 1 })
        const held = await runModmesh(['ls', '--dir', dir.path])
        expect(held.stdout).not.toContain(`${path}@`)
      } finally {
        mend()
      }
    },
  )
})

interface Report {
  readonly schema: string
  readonly zips: Readonly<Record<'needed' | 'held' | 'fetched' | 'missing', number>>
  readonly mods: Report['zips']
  readonly infos: Report['zips']
  readonly sources: Readonly<Record<string, { readonly files: number }>>
  readonly missing: readonly unknown[]
  readonly mismatched: readonly unknown[]
  readonly unread: readonly unknown[]
}

function upstreamArgs(): readonly string[] {
  return ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
}

/** With no node running. */
function prefetch(names: readonly string[], dir: string, input = ''): Promise<RunResult> {
  const args = ['prefetch', '--dir', dir, '--mdns', 'off', ...upstreamArgs(), ...names]
  return runModmesh(args, { input })
}

/** A node that asks nobody, and a `go` that has nothing, not even hashes beside go.sum. */
async function expectWorks(
  dir: string,
  folder: string,
  lines: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await using node = await startNode({ dir, args: ['--offline', ...upstreamArgs()] })
  upstream.forget()
  for (const line of lines) {
    await using go = await GoHome.make({ proxy: node.url, sumdb: upstream.sumdb.keyText })
    const done = await go.run(line.split(' '), { cwd: folder, env: env })
    expect(done, `${line}: ${done.stderr}`).toMatchObject({ code: 0 })
  }
  expect(upstream.count()).toBe(0)
}

async function tempDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'modmesh-prefetch-'))
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 10 })
  return { path, [Symbol.asyncDispose]: remove }
}
