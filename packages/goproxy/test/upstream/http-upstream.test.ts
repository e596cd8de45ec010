import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import {
  type ByteSink,
  ModuleNotFoundError,
  OfflineError,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import { maxInfoBytes, parseModulePath, parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { FakeUpstream, Fault } from '../../../../test/support/fake-upstream.ts'
import type { HttpUpstream } from '../../src/index.ts'
import { FetchError, type FetchFailure } from '../../src/upstream/fetch-error.ts'
import type { UpstreamReader } from '../../src/upstream/upstream-reader.ts'
import {
  type AskInit,
  fetchZip,
  modPath,
  module,
  UpstreamKit,
  zipPath,
} from '../support/upstream-kit.ts'

const { signal } = new AbortController()
let kit: UpstreamKit
beforeEach(() => {
  kit = new UpstreamKit()
})
afterEach(() => kit[Symbol.asyncDispose]())

const startFake = (): Promise<FakeUpstream> => kit.startFake()
const ask = (list: string, init: AskInit = {}): HttpUpstream => kit.ask(list, init)

const text = (answer: { bytes: Uint8Array }): string => Buffer.from(answer.bytes).toString()

describe('every kind of file', () => {
  test('is asked for as go does, bang percent-encoded', async () => {
    const fake = await startFake()
    fake.addQuery(module.path, 'main', 'v1.0.0')
    const upstream = ask(`${fake.url}/`)
    const zip = await fetchZip(upstream, { signal })
    expect(zip.bytes.equals(Buffer.from(fake.bytesOf(zipPath) ?? []))).toBe(true)
    expect(zip.from).toBe(fake.url)
    expect(text(await upstream.fetchMod(module, { signal }))).toContain('module example.com/Upper')
    expect(text(await upstream.fetchInfo(module, { signal }))).toContain('"v1.0.0"')
    expect(text(await upstream.fetchList(module.path, { signal }))).toBe('v1.0.0\n')
    expect(text(await upstream.fetchLatest(module.path, { signal }))).toContain('"v1.0.0"')
    expect(text(await upstream.fetchQuery(module.path, 'main', { signal }))).toContain('"v1.0.0"')
    expect(fake.requests.map(({ target }) => target)).toEqual([
      '/example.com/%21upper/mod/@v/v1.0.0.zip',
      '/example.com/%21upper/mod/@v/v1.0.0.mod',
      '/example.com/%21upper/mod/@v/v1.0.0.info',
      '/example.com/%21upper/mod/@v/list',
      '/example.com/%21upper/mod/@latest',
      '/example.com/%21upper/mod/@v/main.info',
    ])
  })

  test('is asked for with an exact set of headers', async () => {
    const fake = await startFake()
    await ask(fake.url, { userAgent: 'modmesh/1.2.3' }).fetchMod(module, { signal })
    expect(fake.requests[0]?.headers).toEqual({
      host: new URL(fake.url).host,
      connection: 'keep-alive',
      'user-agent': 'modmesh/1.2.3',
      'accept-encoding': 'identity',
    })
  })

  test('+incompatible stays as it is', async () => {
    const fake = await startFake()
    const incompatible = fake.add({ path: 'example.com/old', version: 'v2.0.0+incompatible' })
    await ask(fake.url).fetchMod(incompatible, { signal })
    expect(fake.requests[0]?.target).toBe('/example.com/old/@v/v2.0.0+incompatible.mod')
  })

  test('comes over kept connections when asked one after the other', async () => {
    const fake = await startFake()
    const upstream = ask(fake.url)
    for (let round = 0; round < 5; round++) {
      await upstream.fetchMod(module, { signal })
      await upstream.fetchInfo(module, { signal })
    }
    expect(fake.count()).toBe(10)
    expect(fake.connections).toBeLessThanOrEqual(2)
  })
})

/** What one upstream answers: a module, or a fault. */
type First = Fault | 'refused'
const status = (code: number): Fault => ({ kind: 'status', status: code })

describe('the next of the list', () => {
  test.for<[string, First, ',' | '|', 'next' | 'unavailable']>([
    ['404', status(404), ',', 'next'],
    ['410', status(410), ',', 'next'],
    ['404', status(404), '|', 'next'],
    ['403', status(403), ',', 'unavailable'],
    ['401', status(401), ',', 'unavailable'],
    ['429', status(429), ',', 'unavailable'],
    ['500', status(500), ',', 'unavailable'],
    ['503', status(503), ',', 'unavailable'],
    ['204', status(204), ',', 'unavailable'],
    ['206', status(206), ',', 'unavailable'],
    ['304', status(304), ',', 'unavailable'],
    ['500', status(500), '|', 'next'],
    ['403', status(403), '|', 'next'],
    ['refused', 'refused', ',', 'unavailable'],
    ['refused', 'refused', '|', 'next'],
    ['cut body', { kind: 'cut', afterBytes: 5 }, ',', 'unavailable'],
    ['cut body', { kind: 'cut', afterBytes: 5 }, '|', 'next'],
    ['too few bytes', { kind: 'wrong-length', by: 7 }, '|', 'next'],
    ['a web page', { kind: 'html' }, ',', 'unavailable'],
    ['a web page', { kind: 'html' }, '|', 'next'],
  ])('after %s %o %s: %s', async ([, fault, separator, expected]) => {
    const [first, second] = [await startFake(), await startFake()]
    if (fault === 'refused') await first.down()
    else first.break(() => true, fault)
    const upstream = ask(`${first.url}${separator}${second.url}`)
    const [mod, zip] = await Promise.allSettled([
      upstream.fetchMod(module, { signal }),
      fetchZip(upstream, { signal }),
    ])
    if (expected === 'next') {
      expect(mod).toMatchObject({ value: { from: second.url } })
      const fetched = zip.status === 'fulfilled' ? zip.value : undefined
      expect(fetched?.from).toBe(second.url)
      expect(fetched?.bytes.equals(Buffer.from(second.bytesOf(zipPath) ?? []))).toBe(true)
    } else {
      expect(mod).toMatchObject({ reason: expect.any(UpstreamUnavailableError) })
      expect(zip).toMatchObject({ reason: expect.any(UpstreamUnavailableError) })
      expect(second.count()).toBe(0)
    }
  })

  test('404 of all is not found, and says who was asked', async () => {
    const [first, second] = [await startFake(), await startFake()]
    const missing = parseModuleVersion('example.com/none', 'v1.0.0')
    const asked = ask(`${first.url},${second.url}`).fetchMod(missing, { signal })
    const error = await asked.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ModuleNotFoundError)
    expect(String(error)).toContain(`${first.url}: 404 Not Found: not found:`)
    expect(String(error)).toContain(second.url)
  })

  test('an error outranks a 404 that comes after it', async () => {
    const [first, second] = [await startFake(), await startFake()]
    first.break(() => true, status(403))
    second.break(() => true, status(404))
    const asked = ask(`${first.url}|${second.url}`).fetchMod(module, { signal })
    await expect(asked).rejects.toBeInstanceOf(UpstreamUnavailableError)
  })

  test('is decided for each request alone', async () => {
    const [first, second] = [await startFake(), await startFake()]
    first.break((path) => path.endsWith('.mod'), status(404))
    const upstream = ask(`${first.url},${second.url}`)
    expect((await upstream.fetchInfo(module, { signal })).from).toBe(first.url)
    expect((await upstream.fetchMod(module, { signal })).from).toBe(second.url)
  })
})

describe('version control', () => {
  /** Has every file, and takes note of what it is asked. */
  class FakeDirect implements UpstreamReader {
    readonly name = 'direct'
    readonly kind = 'direct'
    readonly asked: string[] = []
    error: FetchError | undefined

    async read(path: string): Promise<Uint8Array> {
      this.asked.push(path)
      if (this.error !== undefined) throw this.error
      return Buffer.from(`module example.com/Upper/mod\n`)
    }

    async copy(path: string, sink: ByteSink): Promise<void> {
      this.asked.push(path)
      await sink.write(Buffer.from('PK from a repository'))
    }
  }

  test('is asked in its turn, and named as the source', async () => {
    const fake = await startFake()
    const direct = new FakeDirect()
    const upstream = ask(`${fake.url},direct`, { direct })
    expect(await upstream.fetchMod(module, { signal })).not.toHaveProperty('via')
    expect(direct.asked).toEqual([])
    fake.break(() => true, status(404))
    const answer = await upstream.fetchMod(module, { signal })
    expect(answer).toMatchObject({ from: 'direct', via: 'direct' })
    expect(direct.asked).toEqual([modPath])
    const zip = await fetchZip(upstream, { signal })
    expect(zip.bytes.toString()).toBe('PK from a repository')
  })

  test.for<[FetchFailure, typeof ModuleNotFoundError | typeof UpstreamUnavailableError]>([
    ['absent', ModuleNotFoundError],
    ['unreachable', UpstreamUnavailableError],
  ])('that says %s decides after a 404', async ([failure, expected]) => {
    const fake = await startFake()
    fake.break(() => true, status(404))
    const direct = new FakeDirect()
    direct.error = new FetchError(failure, 'direct: fatal: made up')
    const asked = ask(`${fake.url},direct`, { direct }).fetchMod(module, { signal })
    await expect(asked).rejects.toBeInstanceOf(expected)
    await expect(asked).rejects.toThrow(/404 Not Found[^]*direct: fatal: made up/)
  })

  test('alone is asked for paths that no proxy may see, though the list has none of it', async () => {
    const fake = await startFake()
    const direct = new FakeDirect()
    const noproxy = (path: string): boolean => path.startsWith('example.com/Upper')
    const upstream = ask(fake.url, { direct, noproxy })
    expect(upstream.isEnabled(module.path)).toBe(true)
    expect(await upstream.fetchMod(module, { signal })).toMatchObject({ via: 'direct' })
    direct.error = new FetchError('absent', 'direct: no')
    const list = upstream.fetchList(module.path, { signal })
    await expect(list).rejects.toBeInstanceOf(ModuleNotFoundError)
    expect(fake.count()).toBe(0)
  })

  test.for<[string, boolean]>([
    ['off', false],
    ['{url}', true],
  ])('is not asked with the list %s and offline %s', async ([list, offline]) => {
    const fake = await startFake()
    const direct = new FakeDirect()
    const noproxy = (): boolean => true
    const upstream = ask(list.replace('{url}', fake.url), { direct, noproxy, offline })
    expect(upstream.isEnabled(module.path)).toBe(false)
    await expect(upstream.fetchMod(module, { signal })).rejects.toBeInstanceOf(OfflineError)
    expect([fake.count(), direct.asked.length]).toEqual([0, 0])
  })

  test('that is not there leaves a path that no proxy may see to nobody', async () => {
    const fake = await startFake()
    const upstream = ask(fake.url, { noproxy: () => true })
    expect(upstream.isEnabled(module.path)).toBe(false)
    await expect(upstream.fetchMod(module, { signal })).rejects.toBeInstanceOf(OfflineError)
    expect(fake.count()).toBe(0)
  })
})

describe('nothing is asked', () => {
  test.for<[string, boolean, RegExp]>([
    ['off', false, /no upstream is configured/],
    ['direct', false, /no upstream is configured/],
    ['{url}', true, /offline/],
  ])('%s, offline %s', async ([list, offline, message]) => {
    const fake = await startFake()
    const upstream = ask(list.replace('{url}', fake.url), { offline })
    expect(upstream.isEnabled()).toBe(false)
    const asked = upstream.fetchMod(module, { signal })
    await expect(asked).rejects.toBeInstanceOf(OfflineError)
    await expect(asked).rejects.toThrow(message)
    expect(fake.count()).toBe(0)
  })

  test('of a signal that is aborted already', async () => {
    const fake = await startFake()
    const reason = new Error('gone')
    const asked = ask(fake.url).fetchMod(module, { signal: AbortSignal.abort(reason) })
    await expect(asked).rejects.toBe(reason)
    expect(fake.count()).toBe(0)
  })
})

describe('a cut zip', () => {
  test('is continued where it was cut', async () => {
    const fake = await startFake()
    fake.break((path) => path === zipPath, { kind: 'cut', afterBytes: 100_000 }, 1)
    const zip = await fetchZip(ask(fake.url), { signal })
    expect(zip.resets).toBe(0)
    expect(zip.bytes.equals(Buffer.from(fake.bytesOf(zipPath) ?? []))).toBe(true)
    const { range, 'if-range': ifRange } = fake.requests[1]?.headers ?? {}
    expect(range).toBe('bytes=100000-')
    expect(ifRange).toMatch(/^"[0-9a-f]{64}"$/)
  })

  test('is continued twice and no more', async () => {
    const fake = await startFake()
    const stop = fake.break((path) => path === zipPath, { kind: 'cut', afterBytes: 1_000 }, 2)
    expect((await fetchZip(ask(fake.url), { signal })).resets).toBe(0)
    expect(fake.count(zipPath)).toBe(3)
    stop()
    fake.forget()
    fake.break((path) => path === zipPath, { kind: 'cut', afterBytes: 1_000 })
    await expect(fetchZip(ask(fake.url), { signal })).rejects.toBeInstanceOf(
      UpstreamUnavailableError,
    )
    expect(fake.count(zipPath)).toBe(3)
  })

  test('whose file changed meanwhile starts over', async () => {
    const fake = await startFake()
    fake.break((path) => path === zipPath, { kind: 'cut', afterBytes: 100_000 }, 1)
    let fetched = 0
    const chunks: Uint8Array[] = []
    const sink = {
      write: async (chunk: Uint8Array) => {
        fetched += chunk.length
        chunks.push(chunk)
        if (fetched === 100_000) fake.add({ ...module, files: { 'go.mod': 'module x\n' } })
      },
    }
    let resets = 0
    const onReset = async (): Promise<void> => {
      resets++
      chunks.length = 0
    }
    await ask(fake.url).fetchZip(module, sink, { signal, onReset })
    expect(resets).toBe(1)
    expect(Buffer.concat(chunks).equals(Buffer.from(fake.bytesOf(zipPath) ?? []))).toBe(true)
  })

  test('is reset before the next of the list begins', async () => {
    const [first, second] = [await startFake(), await startFake()]
    first.break((path) => path === zipPath, { kind: 'cut', afterBytes: 100_000 })
    const zip = await fetchZip(ask(`${first.url}|${second.url}`), { signal })
    expect([zip.resets, zip.from]).toEqual([1, second.url])
    expect(zip.bytes.equals(Buffer.from(second.bytesOf(zipPath) ?? []))).toBe(true)
  })

  test.for<[string, Record<string, string>]>([
    ['another start', { 'content-range': 'bytes 0-9/10', etag: '"e"' }],
    ['another length', { 'content-range': 'bytes 4-9/99', etag: '"e"' }],
    ['another tag', { 'content-range': 'bytes 4-9/10', etag: '"f"' }],
    ['no place', { etag: '"e"' }],
  ])('is never joined with %s', async ([, headers]) => {
    let requests = 0
    const url = await startServer((request, response) => {
      requests++
      if (request.headers.range !== undefined) {
        response.writeHead(206, headers).end('EVILLY')
        return
      }
      response.writeHead(200, { etag: '"e"', 'content-length': '10' })
      if (requests === 1) response.write('PK12', () => setTimeout(() => response.destroy(), 20))
      else response.end('PK12345678')
    })
    const zip = await fetchZip(ask(url), { signal })
    expect([zip.bytes.toString(), zip.resets]).toEqual(['PK12345678', 1])
  })

  test('without a strong tag starts over', async () => {
    let requests = 0
    const url = await startServer((request, response) => {
      requests++
      expect(request.headers.range).toBeUndefined()
      response.writeHead(200, { etag: 'W/"e"', 'content-length': '10' })
      if (requests === 1) response.write('PK12', () => setTimeout(() => response.destroy(), 20))
      else response.end('PK12345678')
    })
    const zip = await fetchZip(ask(url), { signal })
    expect([zip.bytes.toString(), zip.resets]).toEqual(['PK12345678', 1])
  })
})

describe('a busy upstream', () => {
  test.for([429, 500, 502, 503])('that says %i is asked again', async (code) => {
    const fake = await startFake()
    fake.break(() => true, status(code), 2)
    expect((await ask(fake.url).fetchMod(module, { signal })).from).toBe(fake.url)
    expect(fake.count(modPath)).toBe(3)
  })

  test.for([400, 401, 403, 404, 501, 504])('that says %i is not', async (code) => {
    const fake = await startFake()
    fake.break(() => true, status(code))
    await expect(ask(fake.url).fetchMod(module, { signal })).rejects.toThrow(String(code))
    expect(fake.count(modPath)).toBe(1)
  })

  test('that wants a long wait is not waited for', async () => {
    let requests = 0
    const url = await startServer((_, response) => {
      requests++
      response.writeHead(429, { 'retry-after': '30' }).end()
    })
    await expect(ask(url).fetchMod(module, { signal })).rejects.toThrow('429')
    expect(requests).toBe(1)
  })
})

describe('limits', () => {
  test('a declared length over the limit is refused before its body', async () => {
    const url = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': String(maxInfoBytes + 1) })
      response.write('{')
    })
    await expect(ask(url).fetchInfo(module, { signal })).rejects.toThrow(/more than 65536 bytes/)
  })

  test.for<[number, boolean]>([
    [maxInfoBytes, true],
    [maxInfoBytes + 1, false],
    [4 * maxInfoBytes, false],
  ])('an .info of %i bytes without a length is taken: %s', async ([size, taken]) => {
    const url = await startServer((_, response) => {
      response.write('{')
      response.end(Buffer.alloc(size - 1, ' '))
    })
    const asked = ask(url).fetchInfo(module, { signal })
    if (taken) expect((await asked).bytes).toHaveLength(size)
    else await expect(asked).rejects.toThrow(/more than/)
  })

  test('an encoding that was not asked for is refused', async () => {
    const url = await startServer((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
    })
    await expect(ask(url).fetchMod(module, { signal })).rejects.toThrow(/content-encoding gzip/)
  })
})

describe('redirects', () => {
  test('lead to another origin, without our password', async () => {
    const target = await startFake()
    const fake = await startFake()
    fake.break(() => true, { kind: 'redirect', to: `${target.url}${encodeURI(modPath)}` })
    const withPassword = fake.url.replace('http://', 'http://user:hunter2@')
    const answer = await ask(withPassword).fetchMod(module, { signal })
    expect(text(answer)).toContain('module ')
    expect(answer.from).toBe(fake.url)
    const sent = `Basic ${Buffer.from('user:hunter2').toString('base64')}`
    expect(fake.requests[0]?.headers['authorization']).toBe(sent)
    expect(target.requests[0]?.headers['authorization']).toBeUndefined()
  })

  test('are relative to where they come from', async () => {
    const fake = await startFake()
    const to = `${'../'.repeat(5)}${encodeURI(modPath).slice(1)}`
    fake.break((path) => path.startsWith('/old/'), { kind: 'redirect', to })
    const answer = await ask(`${fake.url}/old`).fetchMod(module, { signal })
    expect(text(answer)).toContain('module ')
  })

  test.for<[string, RegExp]>([
    ['{self}', /more than 10 redirects/],
    ['file:///etc/passwd', /refused redirect to file:/],
    ['http://169.254.169.254/latest/meta-data', /inwards/],
    ['http://user:pw@127.0.0.1:{port}/x', /refused redirect/],
    ['http://[bad', /redirect to nowhere/],
    ['', /redirect to nowhere/],
  ])('to %s are refused', async ([to, message]) => {
    const fake = await startFake()
    const location = to
      .replace('{self}', `${fake.url}${encodeURI(modPath)}`)
      .replace('{port}', new URL(fake.url).port)
    fake.break(() => true, { kind: 'redirect', to: location })
    const asked = ask(fake.url).fetchMod(module, { signal })
    await expect(asked).rejects.toBeInstanceOf(UpstreamUnavailableError)
    await expect(asked).rejects.toThrow(message)
    expect(fake.count()).toBe(to === '{self}' ? 11 : 1)
  })
})

test('a password is in no error', async () => {
  const fake = await startFake()
  await fake.down()
  const list = fake.url.replace('http://', 'http://user:hunter2@')
  const error = await ask(list)
    .fetchList(parseModulePath('example.com/x'), { signal })
    .catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(UpstreamUnavailableError)
  for (let at = error; at instanceof Error; at = at.cause) {
    expect(String(at)).not.toMatch(/hunter2|user:/)
  }
})

test('proxies of the environment are never asked for this machine', async () => {
  const fake = await startFake()
  const { env } = process
  const before = { ...env }
  Object.assign(env, { http_proxy: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' })
  onTestFinished(() => {
    process.env = before
  })
  expect((await ask(fake.url).fetchMod(module, { signal })).from).toBe(fake.url)
})

describe('an upstream that speaks no HTTP', () => {
  test.for<[string, string]>([
    ['garbage', '\x16\x03\x01\x02\x00garbage\r\n\r\n'],
    ['nothing', ''],
    ['half a status line', 'HTTP/1.1 2'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(5_000)}`],
    ['one endless header', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc'],
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc',
    ],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n'],
    ['a cut chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc'],
    ['informational answers only', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(50)],
  ])('%s', async ([, bytes]) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.end(bytes, 'latin1')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const upstream = ask(url, { limits: { firstByteMs: 500, stallMs: 500 } })
    await expect(upstream.fetchMod(module, { signal })).rejects.toThrow(UpstreamUnavailableError)
    await expect(fetchZip(upstream, { signal })).rejects.toThrow(UpstreamUnavailableError)
  })
})

async function startServer(listener: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('asking again whether an answer changed', () => {
  /** An upstream that answers lists with validators, and counts what it was asked. */
  async function startList(validators: Record<string, string>, status304 = true) {
    const asked: IncomingHttpHeaders[] = []
    const state = { body: 'v1.0.0\n', validators }
    const server = createServer(({ headers }, response) => {
      asked.push(headers)
      const { etag, 'last-modified': date } = state.validators
      const same =
        headers['if-none-match'] === undefined
          ? date !== undefined && headers['if-modified-since'] === date
          : headers['if-none-match'] === etag
      if (same && status304) response.writeHead(304, state.validators).end()
      else response.writeHead(200, state.validators).end(state.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, state }
  }

  const etag = 'W/"abc"'
  const date = 'Tue, 01 Apr 2025 00:00:00 GMT'

  test.for<[string, Record<string, string>, Record<string, string>]>([
    ['an ETag', { etag }, { 'if-none-match': etag }],
    ['a date', { 'last-modified': date }, { 'if-modified-since': date }],
    ['both', { etag, 'last-modified': date }, { 'if-none-match': etag, 'if-modified-since': date }],
  ])('sends %s, and a 304 gives the very bytes back', async ([, validators, sent]) => {
    const { url, asked, state } = await startList(validators)
    const upstream = ask(url)
    const { bytes, validator = '' } = await upstream.fetchList(module.path, { signal })
    const known = { bytes, validator }
    const again = await upstream.fetchList(module.path, { signal, known })
    expect(again).toEqual({ bytes, validator, from: url })
    expect(again.bytes).toBe(bytes)
    expect(asked[1]).toMatchObject(sent)
    state.validators = { etag: '"new"' }
    state.body = 'v1.1.0\n'
    const changed = await upstream.fetchList(module.path, { signal, known })
    expect(text(changed)).toBe('v1.1.0\n')
    expect(changed.validator).not.toBe(validator)
  })

  test.for<[string, Record<string, string>]>([
    ['nothing', {}],
    ['an ETag with a byte that no header may have', { etag: '"\u00e4"' }],
    ['an endless ETag', { etag: `"${'x'.repeat(1000)}"` }],
  ])('an upstream that gave %s is asked the plain way', async ([, validators]) => {
    const { url } = await startList(validators)
    expect(await ask(url).fetchList(module.path, { signal })).not.toHaveProperty('validator')
  })

  test("another upstream of the list never sees the first one's validator", async () => {
    const first = await startList({ etag })
    const second = await startList({ etag })
    const { bytes, validator = '' } = await ask(first.url).fetchList(module.path, { signal })
    const known = { bytes: Buffer.from('other bytes'), validator }
    const answer = await ask(second.url).fetchList(module.path, { signal, known })
    expect(Buffer.compare(answer.bytes, bytes)).toBe(0)
    expect(second.asked[0]).not.toHaveProperty('if-none-match')
    const below = await ask(`${first.url}/below`).fetchList(module.path, { signal, known })
    expect(Buffer.compare(below.bytes, bytes)).toBe(0)
  })

  test.for(['', 'x', '{}', '[1,2]', '["a",{}]', '[null,"x",null]'])(
    'what is no validator (%s) asks the plain way',
    async (validator) => {
      const { url, asked } = await startList({ etag })
      const known = { bytes: new Uint8Array(), validator }
      expect(text(await ask(url).fetchList(module.path, { signal, known }))).toBe('v1.0.0\n')
      expect(asked[0]).not.toHaveProperty('if-none-match')
    },
  )

  test('a 304 that nobody asked for is a failure', async () => {
    const server = createServer((_, response) => response.writeHead(304).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await expect(ask(url).fetchList(module.path, { signal })).rejects.toBeInstanceOf(
      UpstreamUnavailableError,
    )
  })
})
