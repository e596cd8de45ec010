import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { type FakeModule, FakeUpstream, type FakeUpstreamInit } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { type StartedProxy, type StartProxyInit, startProxy } from '../support/start-proxy.ts'
import { startStopwatch } from '../support/stopwatch.ts'

const hello: FakeModule = {
  path: 'example.com/hello',
  version: 'v1.2.0',
  files: {
    'go.mod': 'module example.com/hello\n\ngo 1.20\n\nrequire example.com/Upper/dep v0.1.0\n',
    'hello.go':
      'package hello\n\nimport "example.com/Upper/dep"\n\nfunc Say() string { return "hello " + dep.Name }\n',
  },
}
const dep: FakeModule = {
  path: 'example.com/Upper/dep',
  version: 'v0.1.0',
  files: {
    'go.mod': 'module example.com/Upper/dep\n\ngo 1.20\n',
    'dep.go': 'package dep\n\nconst Name = "dep"\n',
  },
}
const helloZip = '/example.com/hello/@v/v1.2.0.zip'
const main = `package main

import "example.com/hello"

func main() { println(hello.Say()) }
`
const goMod = 'module test.local/main\n\ngo 1.20\n'

/** Of what Go's own library compiles to; shared, because that alone takes most of the time. */
let buildCache: string
beforeAll(async () => {
  buildCache = await mkdtemp(join(tmpdir(), 'modmesh-gocache-'))
})
afterAll(() => rm(buildCache, { recursive: true, force: true }))

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

interface World {
  readonly upstream: FakeUpstream
  readonly proxy: StartedProxy
  readonly go: GoHome
}

async function start(
  init: FakeUpstreamInit & { readonly proxy?: Partial<StartProxyInit> } = {},
): Promise<World> {
  const upstream = stack.use(await FakeUpstream.start({ modules: [hello, dep], ...init }))
  const proxy = stack.use(
    await startProxy({ upstream: upstream.url, sumdb: upstream.sumdb.keyText, ...init.proxy }),
  )
  return { upstream, proxy, go: await newGo(proxy, upstream) }
}

async function newGo(proxy: StartedProxy, upstream: FakeUpstream): Promise<GoHome> {
  const env = { GOCACHE: buildCache }
  return stack.use(await GoHome.make({ proxy: proxy.url, sumdb: upstream.sumdb.keyText, env }))
}

describe('a project through a node', () => {
  goTest('is tidied, built, verified, and built again while upstream is gone', async () => {
    const { upstream, proxy, go } = await start()
    const cwd = await go.project({ 'go.mod': goMod, 'main.go': main })
    expect(await go.run(['mod', 'tidy'], { cwd })).toMatchObject({ code: 0 })
    expect((await go.run(['run', '.'], { cwd })).stderr).toContain('hello dep\n')
    expect((await go.run(['mod', 'verify'], { cwd })).stdout).toContain('all modules verified')
    expect(upstream.count(helloZip)).toBe(1)
    const sums = await readFile(join(cwd, 'go.sum'), 'utf8')
    expect(sums).toContain(
      upstream.sumdb.text(upstream.sumdb.idOf('example.com/hello', 'v1.2.0') ?? -1),
    )

    await upstream.down()
    const other = await newGo(proxy, upstream)
    const again = await other.project({
      'go.mod': await readFile(join(cwd, 'go.mod'), 'utf8'),
      'main.go': main,
    })
    // Without go.sum: every hash is looked up at the database, through us.
    expect(await other.run(['mod', 'tidy'], { cwd: again })).toMatchObject({ code: 0 })
    expect(await other.run(['mod', 'download', 'all'], { cwd: again })).toMatchObject({ code: 0 })
    expect((await other.run(['run', '.'], { cwd: again })).stderr).toContain('hello dep\n')
    expect(await readFile(join(again, 'go.sum'), 'utf8')).toBe(sums)
    expect(proxy.errors).toEqual([])
  })

  goTest('asks upstream once for what many go processes want at once', async () => {
    const { upstream, proxy } = await start({ delayMs: 30 })
    const homes = await Promise.all(Array.from({ length: 4 }, () => newGo(proxy, upstream)))
    const results = await Promise.all(
      homes.map((go) => go.run(['mod', 'download', 'example.com/hello@v1.2.0'])),
    )
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    const files = [...upstream.counts()].filter(([path]) => path.startsWith('/example.com/hello/'))
    expect(files.length).toBeGreaterThan(0)
    for (const [path, count] of files) expect([path, count]).toEqual([path, 1])
  })

  goTest('finds the module behind a package by 404s of all its prefixes', async () => {
    const nested = {
      path: 'example.com/a/b',
      version: 'v1.0.0',
      files: {
        'go.mod': 'module example.com/a/b\n\ngo 1.20\n',
        'c/d/d.go': 'package d\n',
      },
    }
    const { proxy, go } = await start({ modules: [nested] })
    const cwd = await go.project({ 'go.mod': goMod })
    const result = await go.run(['get', 'example.com/a/b/c/d'], { cwd })
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).toContain('added example.com/a/b v1.0.0')
    expect(proxy.errors).toEqual([])
  })

  goTest('names what nobody has, with the text of all who were asked', async () => {
    const { upstream, go } = await start()
    const cwd = await go.project({ 'go.mod': goMod })
    const result = await go.run(['get', 'example.com/none@v1.0.0'], { cwd })
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('404 Not Found')
    expect(result.stderr).toContain(`server response:\n\texample.com/none`)
    expect(result.stderr).toContain(upstream.url)
  })

  goTest('resolves a branch, a list and what is latest', async () => {
    const { upstream, go } = await start()
    upstream.addQuery('example.com/hello', 'main', 'v1.2.0')
    upstream.add({ path: 'example.com/hello', version: 'v1.1.0' })
    const versions = await go.run(['list', '-m', '-versions', 'example.com/hello'])
    expect(versions.stdout).toBe('example.com/hello v1.1.0 v1.2.0\n')
    for (const query of ['main', 'latest', 'v1']) {
      const found = await go.run(['list', '-m', `example.com/hello@${query}`])
      expect(found.stdout).toBe('example.com/hello v1.2.0\n')
    }
  })

  goTest('under a secret base path is served to those who know it', async () => {
    const { proxy, go } = await start({ proxy: { pathSecret: 's3cret' } })
    const download = ['mod', 'download', 'example.com/hello@v1.2.0']
    const without = new URL(proxy.url).origin
    const refused = await go.run(download, { env: { GOPROXY: without } })
    expect(refused.stderr).toContain('404 Not Found')
    expect(proxy.url).toBe(`${without}/s3cret`)
    expect(await go.run(download)).toMatchObject({ code: 0 })
  })
})

describe('what upstream altered', () => {
  goTest('never reaches go, is not stored, and heals with upstream', async () => {
    const { upstream, proxy, go } = await start()
    const stop = upstream.break((path) => path === helloZip, { kind: 'corrupt', at: 70 })
    const download = ['mod', 'download', 'example.com/hello@v1.2.0']
    const refused = await go.run(download)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('502 Bad Gateway')
    expect(refused.stderr).not.toContain('SECURITY ERROR')
    expect((await proxy.get(`/cached-only${helloZip}`)).status).toBe(404)
    expect((await proxy.store.stats()).zips).toBe(0)
    stop()
    expect(await go.run(download)).toMatchObject({ code: 0 })
    // Answered when verified, which is before it is durable.
    await expect.poll(async () => (await proxy.store.stats()).zips).toBe(1)
  })

  goTest("as another version's zip says which hash was due and which came", async () => {
    const { upstream, go } = await start()
    upstream.add({ ...hello, files: { ...hello.files, 'hello.go': 'package hello // evil\n' } })
    const result = await go.run(['mod', 'download', 'example.com/hello@v1.2.0'])
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/expected h1:\S+\n\s*got h1:\S+/)
    expect(result.stderr).not.toContain('SECURITY ERROR')
  })

  goTest('as a go.mod never reaches go', async () => {
    const { upstream, go } = await start()
    const path = '/example.com/hello/@v/v1.2.0.mod'
    upstream.break((asked) => asked === path, {
      kind: 'bytes',
      bytes: Buffer.from('module evil\n'),
    })
    const cwd = await go.project({ 'go.mod': goMod })
    const result = await go.run(['get', 'example.com/hello@v1.2.0'], { cwd })
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('502 Bad Gateway')
    expect(result.stderr).not.toContain('SECURITY ERROR')
  })

  goTest('by cutting is continued without go noticing', async () => {
    const { upstream, go } = await start()
    upstream.break((path) => path === helloZip, { kind: 'cut', afterBytes: 40 }, 2)
    expect(await go.run(['mod', 'download', 'example.com/hello@v1.2.0'])).toMatchObject({ code: 0 })
    expect(upstream.count(helloZip)).toBe(3)
  })

  goTest('in the database is refused, and heals', async () => {
    const { upstream, proxy, go } = await start()
    upstream.sumdb.faults.swappedRecords.set(
      'example.com/hello@v1.2.0',
      'example.com/Upper/dep@v0.1.0',
    )
    const download = ['mod', 'download', 'example.com/hello@v1.2.0']
    expect(await go.run(download)).toMatchObject({ code: 1 })
    expect((await proxy.store.stats()).zips).toBe(0)
    upstream.sumdb.faults.swappedRecords.clear()
    expect(await go.run(download)).toMatchObject({ code: 0 })
  })
})

describe('private modules', () => {
  goTest("are served on upstream's word, and never looked up", async () => {
    const secret = { path: 'private.test/m', version: 'v1.0.0', logged: false }
    const { upstream, go } = await start({
      modules: [secret],
      proxy: { isPrivate: 'private.test' },
    })
    const download = ['mod', 'download', 'private.test/m@v1.0.0']
    const refused = await go.run(download)
    expect(refused.stderr).toContain('403 Forbidden')
    expect(refused.stderr).toContain('GONOSUMDB')
    expect(await go.run(download, { env: { GONOSUMDB: 'private.test' } })).toMatchObject({
      code: 0,
    })
    expect(upstream.sumdb.requests.filter((path) => path.includes('private'))).toEqual([])
  })
})

describe('a client with a tree head of its own, on a log of 200,000 records', () => {
  const sizeBefore = 200_000
  /** Grown once: the tests only add to copies of it. */
  const grown = new FakeSumdb()

  function makeLog(): FakeSumdb {
    grown.addFiller(sizeBefore - grown.size())
    return grown.fork(sizeBefore)
  }

  const download = ['mod', 'download', 'example.com/hello@v1.2.0']

  goTest.for([1, 256, 1_000, 65_536, 100_000, 199_999, 200_000])(
    'of %i records, older than ours, downloads while the database is up',
    async (size) => {
      const { upstream, proxy, go } = await start({ sumdb: makeLog() })
      await proxy.get('/sumdb/sum.test/latest')
      await go.rememberHead('sum.test', upstream.sumdb.noteAt(size))
      expect(await go.run(download)).toMatchObject({ code: 0, stderr: '' })
      expect(await go.headSize('sum.test')).toBe(upstream.sumdb.size())
      expect(proxy.errors).toEqual([])
    },
  )

  goTest.for([1, 255, 256, 1_000, 65_536, 100_000, 199_999])(
    'of %i records, older than ours, downloads while the database is down',
    async (size) => {
      const { upstream, proxy, go } = await start({ sumdb: makeLog() })
      const { signal } = new AbortController()
      // Another host's download made the module and its record known; the upkeep did the rest.
      expect(await (await newGo(proxy, upstream)).run(download)).toMatchObject({ code: 0 })
      await proxy.database.keepTiles({ signal })
      await proxy.database.keepClientHead(size, { signal })
      await proxy.database.settled()
      await upstream.down()
      await go.rememberHead('sum.test', upstream.sumdb.noteAt(size))
      expect(await go.run(download)).toMatchObject({ code: 0, stderr: '' })
      expect(proxy.errors).toEqual([])
    },
  )

  goTest('newer than ours, downloads while the database is up', async () => {
    const { upstream, proxy, go } = await start({ sumdb: makeLog() })
    upstream.sumdb.faults.shownSize = 150_000
    await proxy.get('/sumdb/sum.test/latest')
    expect((await proxy.database.head())?.size).toBe(150_000)
    upstream.sumdb.faults.shownSize = undefined
    await go.rememberHead('sum.test', upstream.sumdb.noteAt())
    expect(await go.run(download)).toMatchObject({ code: 0, stderr: '' })
    expect(proxy.errors).toEqual([])
  })

  goTest('newer than a head that already covers the record, downloads too', async () => {
    const { upstream, proxy, go } = await start({ sumdb: makeLog() })
    expect(await (await newGo(proxy, upstream)).run(download)).toMatchObject({ code: 0 })
    const ours = (await proxy.database.head())?.size ?? 0
    upstream.sumdb.addFiller(70_000)
    await go.rememberHead('sum.test', upstream.sumdb.noteAt())
    expect(await go.run(download)).toMatchObject({ code: 0, stderr: '' })
    expect(upstream.sumdb.size()).toBe(ours + 70_000)
    expect(await go.headSize('sum.test')).toBe(ours + 70_000)
  })

  goTest(
    'newer than ours, downloads while the database is down when its tiles were kept',
    async () => {
      const { upstream, proxy, go } = await start({ sumdb: makeLog() })
      expect(await (await newGo(proxy, upstream)).run(download)).toMatchObject({ code: 0 })
      upstream.sumdb.addFiller(70_000)
      const { signal } = new AbortController()
      await proxy.database.keepClientHead(upstream.sumdb.size(), { signal })
      await proxy.database.keepTiles({ signal })
      await proxy.database.settled()
      await go.rememberHead('sum.test', upstream.sumdb.noteAt())
      await upstream.down()
      expect(await go.run(download)).toMatchObject({ code: 0, stderr: '' })
    },
  )

  goTest.for([1_000, 100_000])(
    'of %i records is refused while the database is down when its tiles were not kept',
    async (size) => {
      // The control of the tests above: without the upkeep they could not pass.
      const { upstream, proxy, go } = await start({ sumdb: makeLog() })
      expect(await (await newGo(proxy, upstream)).run(download)).toMatchObject({ code: 0 })
      await upstream.down()
      await go.rememberHead('sum.test', upstream.sumdb.noteAt(size))
      const result = await go.run(download)
      expect(result.code).toBe(1)
      expect(result.stderr).toContain('/tile/8/')
    },
  )

  goTest('of another log is not made to believe ours', async () => {
    const { upstream, go } = await start({ sumdb: makeLog() })
    const fork = upstream.sumdb.fork(100_000)
    fork.add('example.com/other', 'v1.0.0')
    fork.addFiller(50_000)
    await go.rememberHead('sum.test', fork.noteAt())
    const result = await go.run(download)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('inconsistent tile')
    expect(await go.headSize('sum.test')).toBe(fork.size())
  })
})

describe('without a way to the database', () => {
  goTest('a node that never saw a head does not promise to serve it', async () => {
    const { upstream, proxy } = await start({ proxiesSumdb: true })
    upstream.sumdb.faults.down = true
    expect((await proxy.get('/sumdb/sum.test/supported')).status).toBe(404)
    upstream.sumdb.faults.down = false
    expect((await proxy.get('/sumdb/sum.test/supported')).status).toBe(200)
    await upstream.down()
    expect((await proxy.get('/sumdb/sum.test/supported')).status).toBe(200)
  })

  goTest('what is held is served, what is not is an error in no time', async () => {
    const { upstream, proxy, go } = await start()
    const download = ['mod', 'download', 'example.com/hello@v1.2.0']
    expect(await go.run(download)).toMatchObject({ code: 0 })
    await upstream.down()
    const other = await newGo(proxy, upstream)
    expect(await other.run(download)).toMatchObject({ code: 0 })
    const took = startStopwatch()
    expect((await proxy.get('/example.com/!upper/dep/@v/v0.1.0.zip')).status).toBe(502)
    expect(took()).toBeLessThan(5_000)
    const result = await other.run(['mod', 'download', 'example.com/Upper/dep@v0.1.0'])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('502 Bad Gateway')
  })
})
