import { SumdbNotFoundError } from '@modmesh/sumdb'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { startNode } from '../support/start-node.ts'
import { bystanderName, SumdbSite, victimName } from '../support/sumdb-site.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function start(init?: Parameters<typeof SumdbSite.start>[0]): Promise<SumdbSite> {
  return stack.use(await SumdbSite.start(init))
}

const download = ['mod', 'download', '-json', victimName]
const short = { before: 60, after: 200 }

describe('supported is a promise', () => {
  test('that is not made before a head can be had, and kept when the database is gone', async () => {
    const site = await start({ log: short })
    const { upstream, database } = site.world
    const supported = async (name = 'sum.test'): Promise<number> =>
      (await site.get(`/sumdb/${name}/supported`)).status
    database.faults.down = true
    expect(await supported()).toBe(404)
    database.faults.down = false
    expect(await supported()).toBe(200)
    await upstream.down()
    expect(await supported()).toBe(200)
    await site.restart()
    expect(await supported()).toBe(200)
    for (const other of ['sum.golang.org', 'sum.test.evil', 'localhost', '127.0.0.1', '..']) {
      expect(await supported(other), other).toBe(404)
    }
    await upstream.up()
    expect(database.requests.filter((path) => path.includes('golang.org'))).toEqual([])
  })

  test('that an offline node makes only when it saw a head before', async () => {
    const site = await start({ log: short })
    const offline = async (): Promise<number> => {
      await site.node.end()
      const args = ['--offline', '--upstream', site.world.upstream.url]
      const database = ['--sumdb', site.world.upstream.gosumdb]
      await using node = await startNode({ dir: site.dir, args: [...args, ...database] })
      return (await fetch(`${node.url}/sumdb/sum.test/supported`)).status
    }
    expect(await offline()).toBe(404)
    await site.restart()
    expect((await site.get('/sumdb/sum.test/supported')).status).toBe(200)
    expect(await offline()).toBe(200)
  })
})

describe('other databases, by GOSUMDB syntax', () => {
  const module = { path: 'corp.test/lib', version: 'v1.0.0' }
  const get = ['mod', 'download', 'corp.test/lib@v1.0.0']

  /** How a node is told of the database, and whether it finds it without being told where. */
  const ways = [
    { name: 'a key and a URL', sumdb: (up: FakeUpstream) => up.gosumdb, works: true },
    {
      name: 'a key, found by the upstreams',
      sumdb: (up: FakeUpstream) => up.sumdb.keyText,
      works: true,
    },
    { name: 'another key of the same name', sumdb: otherKey, works: false },
  ] as const

  function otherKey(upstream: FakeUpstream): string {
    const { name } = upstream.sumdb
    return `${new FakeSumdb({ name, seed: 'other' }).keyText} ${upstream.url}/sumdb/${name}`
  }

  goTest.for(ways)('$name', async ({ sumdb, works }) => {
    const database = new FakeSumdb({ name: 'sums.corp.test/db', seed: 'corp' })
    const upstream = stack.use(await FakeUpstream.start({ modules: [module], sumdb: database }))
    const args = ['--upstream', upstream.url, '--sumdb', sumdb(upstream)]
    const node = stack.use(await startNode({ args }))
    const init = { proxy: node.url, sumdb: database.keyText }
    const go = stack.use(await GoHome.make(init))
    const result = await go.run(get)
    expect(result.code, result.stderr).toBe(works ? 0 : 1)
    const unchecked = await go.run(get, { env: { GONOSUMDB: '*' } })
    expect(unchecked.code, unchecked.stderr).toBe(works ? 0 : 1)
    const supported = await fetch(`${node.url}/sumdb/sum.golang.org/supported`)
    expect(supported.status).toBe(404)
  })
})

describe('private modules are never looked up', () => {
  const secret = { path: 'private.test/secret', version: 'v1.0.0', logged: false }

  goTest('whatever is asked of them, by go and by hand', async () => {
    const site = await start({ log: short, args: ['--private', 'private.test/*', '--noproxy='] })
    const { upstream, database } = site.world
    upstream.add(secret)
    const go = await site.newGo({ GONOSUMDB: 'private.test' })
    const cwd = await go.project({ 'go.mod': 'module test.local/main\n\ngo 1.20\n' })
    for (const args of [
      ['list', '-m', '-versions', secret.path],
      ['get', `${secret.path}@v1.0.0`],
      ['get', `${secret.path}@latest`],
      ['mod', 'download', `${secret.path}@v1.0.0`],
    ]) {
      expect(await go.run(args, { cwd }), args.join(' ')).toMatchObject({ code: 0 })
    }
    // A client that forgot GONOSUMDB is told so, and nothing goes out.
    const forgetful = await site.download(`${secret.path}@v1.0.0`)
    expect(forgetful.code).toBe(1)
    expect(forgetful.stdout).toContain('GONOSUMDB')
    const lookup = await site.get(`/sumdb/sum.test/lookup/${secret.path}@v1.0.0`)
    expect(lookup.status).toBe(403)
    await site.node.run(['status'])
    await site.restart()
    expect((await site.get(`/${secret.path}/@v/v1.0.0.zip`)).status).toBe(200)
    // The other modules are looked up as ever.
    await site.expectServed(victimName)
    expect(database.requests.filter((path) => path.includes('private'))).toEqual([])
    const asked = upstream.requests.filter(({ target }) => target.includes('private'))
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.filter(({ target }) => target.includes('sumdb'))).toEqual([])
  })
})

describe('while the database is gone', () => {
  goTest(
    'lookups, tiles and the head are answered from what is held, also after a restart',
    async () => {
      const site = await start()
      await site.expectServed(victimName)
      await site.world.upstream.down()
      await site.expectServed(victimName)
      await site.restart()
      await site.expectServed(victimName)
      const result = await site.download(bystanderName)
      expect(result.code).toBe(1)
      const refused = site.witness.about('bystander').filter(({ status }) => status === 404)
      expect(refused.map(({ path }) => path)).toEqual([])
    },
  )
})

describe('clients with heads of their own, on a log of 70,000 records', () => {
  const sizes = [1, 256, 25_601, 40_000, 65_536, 69_999]

  goTest.for(sizes)('an older one, of %i records', async (size) => {
    const site = await start()
    await site.expectServed(bystanderName)
    const go = await site.newGo()
    await go.rememberHead('sum.test', site.world.database.noteAt(size))
    const result = await go.run(download)
    expect(result, result.stdout).toMatchObject({ code: 0 })
    expect(await go.headSize('sum.test')).toBe(site.world.database.size())
  })

  goTest.for(sizes)('an older one, of %i records, cut from the full tiles alone', async (size) => {
    const site = await start()
    const { database } = site.world
    // A mirror that holds full tiles and those of its newest tree, and nothing that was once the edge.
    database.faults.editBody = (path, body) => {
      if (!path.includes('.p/') || isWidest(database, path)) return body
      throw new SumdbNotFoundError(`gone: ${path}`)
    }
    const go = await site.newGo()
    await go.rememberHead('sum.test', database.noteAt(size))
    const result = await go.run(download)
    expect(result, result.stdout).toMatchObject({ code: 0 })
    const partial = site.witness.answers.filter(({ path }) => path.includes('.p/'))
    for (const { path, status, body } of partial) {
      expect([path, status]).toEqual([path, 200])
      expect(body.length, path).toBe(Number(path.split('.p/')[1]) * 32)
    }
  })

  goTest('one newer than what the node has seen', async () => {
    const site = await start()
    await site.expectServed(bystanderName)
    const { database } = site.world
    database.addFiller(30_000)
    const go = await site.newGo()
    await go.rememberHead('sum.test', database.noteAt())
    const result = await go.run(download)
    expect(result, result.stdout).toMatchObject({ code: 0 })
    expect(await go.headSize('sum.test')).toBe(database.size())
  })
})

/** Whether a partial tile is the one that the newest tree has at its place. */
function isWidest(database: FakeSumdb, path: string): boolean {
  const [place = '', width] = path.split('.p/')
  const [level = '0', index = '0'] = place.slice('/tile/8/'.length).split('/')
  const inTree = Math.floor(database.size() / 256 ** Number(level)) - 256 * Number(index)
  return Number(width) === inTree
}
