import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FakeUpstream, type FakeUpstreamInit } from '../../../../test/support/fake-upstream.ts'
import { HttpFetcher, HttpSumdb, type HttpSumdbInit, parseProxyList } from '../../src/index.ts'

const { signal } = new AbortController()
const supported = '/sumdb/sum.test/supported'
const lookup = '/lookup/example.com/!upper@v1.0.0'

async function startFake(init: FakeUpstreamInit = {}): Promise<FakeUpstream> {
  const modules = [{ path: 'example.com/Upper', version: 'v1.0.0' }]
  const fake = await FakeUpstream.start({ modules, ...init })
  onTestFinished(() => fake[Symbol.asyncDispose]())
  return fake
}

/** As HttpSumdbInit, with the list as people write it. */
type OpenInit = Partial<Omit<HttpSumdbInit, 'list'>> & { readonly list?: string }

function open(init: OpenInit): HttpSumdb {
  const http = new HttpFetcher({}, { backoffMs: 1 })
  onTestFinished(() => http[Symbol.asyncDispose]())
  const list = parseProxyList(init.list ?? 'off')
  const defaults = { name: 'sum.test', url: undefined, offline: false }
  return new HttpSumdb({ http }, { ...defaults, ...init, list })
}

const urlOf = (fake: FakeUpstream): string => `${fake.url}/sumdb/sum.test`
const text = async (bytes: Promise<Uint8Array>): Promise<string> =>
  Buffer.from(await bytes).toString()

describe('who is asked', () => {
  test('a URL, and nobody else', async () => {
    const [fake, proxy] = [await startFake(), await startFake()]
    const sumdb = open({ url: urlOf(fake), list: proxy.url })
    expect(await text(sumdb.read('/latest', { signal }))).toContain('go.sum database tree')
    expect(await text(sumdb.read(lookup, { signal }))).toContain('example.com/Upper v1.0.0 h1:')
    expect(fake.requests.map(({ target }) => target)).toEqual([
      '/sumdb/sum.test/latest',
      // With a raw bang, as go sends it.
      '/sumdb/sum.test/lookup/example.com/!upper@v1.0.0',
    ])
    expect(proxy.count()).toBe(0)
  })

  test('a URL also when upstream is off, and through nothing when it fails', async () => {
    const [fake, proxy] = [await startFake(), await startFake()]
    const sumdb = open({ url: urlOf(fake), list: 'off' })
    expect(sumdb.isEnabled()).toBe(true)
    await sumdb.read('/latest', { signal })
    await fake.down()
    const withProxy = open({ url: urlOf(fake), list: proxy.url })
    await expect(withProxy.read('/latest', { signal })).rejects.toThrow(SumdbUnavailableError)
    expect(proxy.count()).toBe(0)
  })

  test('the first upstream that says supported, once', async () => {
    const [no, yes] = [await startFake({ proxiesSumdb: false }), await startFake()]
    const sumdb = open({ list: `${no.url},${yes.url},direct` })
    await Promise.all([sumdb.read('/latest', { signal }), sumdb.read(lookup, { signal })])
    await sumdb.read('/tile/8/0/000.p/1', { signal })
    expect([no.count(), no.count(supported), yes.count(supported)]).toEqual([1, 1, 1])
    expect(yes.count()).toBe(4)
  })

  test('the next one before the time is over when the first never answers', async () => {
    const [silent, good] = [await startFake(), await startFake()]
    silent.break(() => true, { kind: 'stall' })
    const sumdb = open({ list: `${silent.url}|${good.url}`, fetchTimeoutMs: 2_000 })
    expect(await text(sumdb.read('/latest', { signal }))).toContain('go.sum database tree')
    expect(silent.count()).toBe(1)
  })

  test.for<[',' | '|', boolean]>([
    [',', false],
    ['|', true],
  ])('after an error of the first and %s the next one: %s', async ([separator, next]) => {
    const [broken, good] = [await startFake(), await startFake()]
    broken.break(() => true, { kind: 'status', status: 403 })
    const read = open({ list: `${broken.url}${separator}${good.url}` }).read('/latest', { signal })
    if (next) expect(await text(read)).toContain('go.sum database tree')
    else await expect(read).rejects.toThrow(SumdbUnavailableError)
    expect(good.count() > 0).toBe(next)
  })

  test('the database itself when no upstream wants to', async () => {
    const fake = await startFake({ proxiesSumdb: false })
    // Nothing listens on port 1, and the name says where it was tried.
    const sumdb = open({ name: '127.0.0.1:1', list: `${fake.url},direct` })
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(/https:\/\/127\.0\.0\.1:1/)
    expect(fake.count('/sumdb/127.0.0.1:1/supported')).toBe(1)
  })

  test('the database itself when the list is direct', async () => {
    const sumdb = open({ name: '127.0.0.1:1', list: 'direct' })
    expect(sumdb.isEnabled()).toBe(true)
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(/https:\/\/127\.0\.0\.1:1/)
  })

  test.for<[string, OpenInit]>([
    ['upstream off and no URL', { list: 'off' }],
    ['offline with a list', { list: '{url}', offline: true }],
    ['offline with a URL', { url: '{url}', offline: true }],
  ])('nobody: %s', async ([, init]) => {
    const fake = await startFake()
    const fill = (value: string | undefined): string | undefined =>
      value?.replace('{url}', fake.url)
    const sumdb = open({ ...init, list: fill(init.list) ?? 'off', url: fill(init.url) })
    expect(sumdb.isEnabled()).toBe(false)
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(SumdbUnavailableError)
    expect(fake.count()).toBe(0)
  })
})

describe('the way found', () => {
  test('is looked for anew after it failed', async () => {
    const [first, second] = [await startFake(), await startFake()]
    const sumdb = open({ list: `${first.url}|${second.url}` })
    await sumdb.read('/latest', { signal })
    await first.down()
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(SumdbUnavailableError)
    expect(await text(sumdb.read('/latest', { signal }))).toContain('go.sum database tree')
    expect(second.count(supported)).toBe(1)
  })

  test('is kept after a 404', async () => {
    const fake = await startFake()
    const sumdb = open({ list: fake.url })
    for (let round = 0; round < 3; round++) {
      const read = sumdb.read('/lookup/example.com/none@v1.0.0', { signal })
      await expect(read).rejects.toThrow(SumdbNotFoundError)
    }
    expect(fake.count(supported)).toBe(1)
  })

  test('is looked for again when nobody was there at first', async () => {
    const fake = await startFake()
    await fake.down()
    const sumdb = open({ list: fake.url })
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(SumdbUnavailableError)
    await fake.up()
    await expect.poll(() => sumdb.read('/latest', { signal }).then(Boolean, () => false)).toBe(true)
  })

  test('is found for others when one of the askers goes away', async () => {
    const fake = await startFake()
    fake.break((path) => path === supported, { kind: 'delay', ms: 100 }, 1)
    const sumdb = open({ list: fake.url })
    const caller = new AbortController()
    const reason = new Error('gone')
    const gone = sumdb.read('/latest', { signal: caller.signal })
    const stays = sumdb.read('/latest', { signal })
    await expect.poll(() => fake.count(supported)).toBe(1)
    caller.abort(reason)
    await expect(gone).rejects.toBe(reason)
    expect(await text(stays)).toContain('go.sum database tree')
    expect(fake.count(supported)).toBe(1)
  })
})

describe('what is answered', () => {
  test.for<[string, number, string, typeof SumdbNotFoundError | typeof SumdbUnavailableError]>([
    ['404', 404, '/latest', SumdbNotFoundError],
    ['410', 410, '/latest', SumdbNotFoundError],
    ['500', 500, '/latest', SumdbUnavailableError],
    ['403', 403, lookup, SumdbUnavailableError],
  ])('%s', async ([, code, path, expected]) => {
    const fake = await startFake()
    fake.break(() => true, { kind: 'status', status: code, text: 'because' })
    const read = open({ url: urlOf(fake) }).read(path, { signal })
    await expect(read).rejects.toThrow(expected)
    await expect(read).rejects.toThrow(/because/)
  })

  test.for<[string, number]>([
    ['/tile/8/0/000', 8_192],
    ['/latest', 65_536],
    [lookup, 65_536],
  ])('%s of at most %i bytes', async ([path, max]) => {
    const fake = await startFake()
    const sumdb = open({ url: urlOf(fake) })
    fake.break(() => true, { kind: 'bytes', bytes: new Uint8Array(max) }, 1)
    expect(await sumdb.read(path, { signal })).toHaveLength(max)
    fake.break(() => true, { kind: 'bytes', bytes: new Uint8Array(max + 1) })
    await expect(sumdb.read(path, { signal })).rejects.toThrow(SumdbUnavailableError)
  })

  test('a database that stays silent is unavailable in time', async () => {
    const fake = await startFake()
    fake.break(() => true, { kind: 'stall' })
    const sumdb = open({ url: urlOf(fake), fetchTimeoutMs: 50 })
    await expect(sumdb.read('/latest', { signal })).rejects.toThrow(SumdbUnavailableError)
  })

  test('a folder, with supported and all', async () => {
    const root = await mkdtemp(join(tmpdir(), 'modmesh-sumdb-'))
    onTestFinished(() => rm(root, { recursive: true, force: true }))
    const base = join(root, 'sumdb/sum.test')
    await mkdir(join(base, 'lookup/example.com'), { recursive: true })
    await writeFile(join(base, 'supported'), '')
    await writeFile(join(base, lookup), 'a record')
    const list = pathToFileURL(root).href
    for (const sumdb of [open({ list }), open({ url: `${list}/sumdb/sum.test` })]) {
      expect(await text(sumdb.read(lookup, { signal }))).toBe('a record')
      await expect(sumdb.read('/latest', { signal })).rejects.toThrow(SumdbNotFoundError)
    }
  })
})
