import { ModuleNotFoundError, NoProofError } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import { SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { SumdbAnswers } from '../../src/index.ts'
import { supportedMs } from '../../src/limits.ts'
import { answerSumdb } from '../../src/server/sumdb-routes.ts'
import { fakeSource } from '../support/fake-source.ts'
import { serve } from '../support/serve.ts'

interface FakeDatabase extends SumdbAnswers {
  readonly asked: string[]
  servable: boolean
  error: Error | undefined
}

function fakeDatabase(name = 'sum.test'): FakeDatabase {
  const answer = async (what: string): Promise<Uint8Array> => {
    database.asked.push(what)
    if (database.error !== undefined) throw database.error
    return Buffer.from(`${what}\n`)
  }
  const database: FakeDatabase = {
    name,
    asked: [],
    servable: true,
    error: undefined,
    covers: (path) => !path.startsWith('private.test/'),
    canServe: async () => database.servable,
    answerLookup: (module) => answer(`lookup ${module.path}@${module.version}`),
    answerTile: (path) => answer(path),
    answerLatest: () => answer('latest'),
  }
  return database
}

const plain = 'text/plain; charset=utf-8'
const octets = 'application/octet-stream'

describe('a configured database', () => {
  test.for<[string, string, string, string]>([
    [
      'lookup/example.com/!upper@v1.0.0',
      'lookup example.com/Upper@v1.0.0\n',
      plain,
      'public, max-age=86400',
    ],
    ['tile/8/0/000', 'tile/8/0/000\n', octets, 'public, max-age=86400, immutable'],
    ['tile/8/1/x001/234.p/7', 'tile/8/1/x001/234.p/7\n', octets, 'public, max-age=3600'],
    ['latest', 'latest\n', plain, 'public, max-age=60'],
    ['supported', '', plain, 'no-store'],
  ])('answers %s', async ([path, body, type, cache]) => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [fakeDatabase('other.test'), database] })
    const answer = await served.get(`/sumdb/sum.test/${path}`)
    expect([answer.status, await answer.text()]).toEqual([200, body])
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('cache-control')).toBe(cache)
    const head = await served.get(`/sumdb/sum.test/${path}`, {}, 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('lets peers supply the record before the database is asked', async () => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    const { promise, resolve } = Promise.withResolvers<void>()
    served.source.gate = promise
    const answer = served.get('/sumdb/sum.test/lookup/example.com/m@v1.0.0')
    await expect.poll(() => served.source.asked).toEqual(['sums example.com/m@v1.0.0'])
    expect(database.asked).toEqual([])
    resolve()
    expect((await answer).status).toBe(200)
    expect(database.asked).toEqual(['lookup example.com/m@v1.0.0'])
  })

  test.for<[string, Error, number]>([
    ['has no record', new SumdbNotFoundError('no record'), 404],
    ['is down', new SumdbUnavailableError('down'), 502],
  ])('that %s says so, through a fill as well', async ([, cause, status]) => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    const module = parseModuleVersion('example.com/m', 'v1.0.0')
    served.source.error = new NoProofError(module, { cause })
    const lookup = '/sumdb/sum.test/lookup/example.com/m@v1.0.0'
    const throughFill = await served.get(lookup)
    expect([throughFill.status, await throughFill.text()]).toEqual([status, `${cause.message}\n`])
    served.source.error = undefined
    database.error = cause
    expect((await served.get(lookup)).status).toBe(status)
    expect((await served.get('/sumdb/sum.test/tile/8/0/000')).status).toBe(status)
  })

  test('that nobody may ask says what to do, and which database that was', async () => {
    await using served = await serve({ databases: [fakeDatabase()] })
    const cause = new SumdbUnavailableError('not asked: offline')
    const hint = 'not held here\nadd it to the bundle'
    served.source.error = new ModuleNotFoundError(hint, { cause, wasAsked: false })
    const answer = await served.get('/sumdb/sum.test/lookup/example.com/m@v1.0.0')
    expect([answer.status, await answer.text()]).toEqual([502, `${hint}\n${cause.message}\n`])
  })

  test('refuses private modules with the reason, asking nobody', async () => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    const answer = await served.get('/sumdb/sum.test/lookup/private.test/m@v1.0.0')
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([403, 'no-store'])
    expect(await answer.text()).toContain('GONOSUMDB')
    expect([database.asked, served.source.asked]).toEqual([[], []])
  })

  test('that cannot serve does not promise to', async () => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    database.servable = false
    const answer = await served.get('/sumdb/sum.test/supported')
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([404, 'no-store'])
    database.servable = true
    expect((await served.get('/sumdb/sum.test/supported')).status).toBe(200)
  })

  test('is not behind cached-only, where no answer may need the network', async () => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    for (const path of ['supported', 'latest', 'lookup/example.com/m@v1.0.0']) {
      expect((await served.get(`/cached-only/sumdb/sum.test/${path}`)).status).toBe(404)
    }
    expect(database.asked).toEqual([])
  })
})

test('a database that cannot say whether it can serve does not hold go up', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const database: SumdbAnswers = { ...fakeDatabase(), canServe: () => new Promise(() => {}) }
  const { signal } = new AbortController()
  const answer = answerSumdb(
    { source: fakeSource(), databases: [database] },
    { kind: 'sumdb-supported', database: 'sum.test', cachedOnly: false },
    { signal },
  )
  await vi.advanceTimersByTimeAsync(supportedMs)
  expect((await answer).status).toBe(404)
})

test.for(['supported', 'latest', 'tile/8/0/000', 'lookup/example.com/m@v1.0.0'])(
  'another database is never asked: %s',
  async (path) => {
    const database = fakeDatabase()
    await using served = await serve({ databases: [database] })
    for (const name of ['sum.golang.org', 'sum.test/x', 'SUM.test', '127.0.0.1:80']) {
      expect((await served.get(`/sumdb/${name}/${path}`)).status).toBe(404)
    }
    expect([database.asked, served.source.asked]).toEqual([[], []])
  },
)
