import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { constants } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import { HttpFetcher, HttpSumdb, type HttpUpstream, parseProxyList } from '../../src/index.ts'
import {
  h2Incidents,
  h2StreamWindowBytes,
  h2TroubleMs,
  maxBusy,
  protocolMemoryMs,
} from '../../src/limits.ts'
import { FetchError } from '../../src/upstream/fetch-error.ts'
import { NoH2Error } from '../../src/upstream/no-h2-error.ts'
import { fileKind, OriginProtocols } from '../../src/upstream/origin-protocols.ts'
import {
  answerWell,
  bodyOf,
  type H2Server,
  type Misbehaviour,
  startH2,
  zipBytes,
} from '../support/h2-server.ts'
import { tlsFile } from '../support/tls-server.ts'
import { tunnel } from '../support/tunnel.ts'
import { type AskInit, fetchZip, module, UpstreamKit } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())
afterEach(() => {
  vi.useRealTimers()
})

type ServerInit = Parameters<typeof startH2>[0]

async function start(init?: ServerInit): Promise<H2Server> {
  const server = await startH2(init)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

/** What it offers is what it chooses. */
const h1Only: ServerInit = { ALPNCallback: () => 'http/1.1' }

const caFile = tlsFile('ca.pem')
const ask = (list: string, init: AskInit = {}): HttpUpstream => kit.ask(list, { caFile, ...init })
const mod = async (upstream: HttpUpstream): Promise<string> =>
  Buffer.from((await upstream.fetchMod(module, { signal })).bytes).toString()
const mods = (upstream: HttpUpstream, count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, () => mod(upstream)))
const modText = bodyOf('.mod').toString()

describe('an upstream that offers HTTP/2', () => {
  test('is asked over one connection of it for all that is small, and over HTTP/1.1 for zips', async () => {
    const server = await start()
    const upstream = ask(server.url)
    await Promise.all([
      mods(upstream, 20),
      upstream.fetchInfo(module, { signal }),
      upstream.fetchList(module.path, { signal }),
      upstream.fetchLatest(module.path, { signal }),
      upstream.fetchQuery(module.path, 'master', { signal }),
    ])
    expect(new Set(server.protocols())).toEqual(new Set(['2.0']))
    expect([server.sessions.size, server.connections()]).toEqual([1, 1])
    const [session] = server.sessions
    expect(session?.remoteSettings.initialWindowSize).toBe(h2StreamWindowBytes)
    expect(session?.state.remoteWindowSize).toBeGreaterThan(h2StreamWindowBytes)
    const zip = await fetchZip(upstream, { signal })
    expect(zip.bytes.equals(zipBytes)).toBe(true)
    expect(server.protocols('.zip')).toEqual(['1.1'])
    await mod(upstream)
    expect(server.protocols('.mod').at(-1)).toBe('2.0')
    expect(server.connections()).toBe(2)
  })

  test('is asked so for files of a checksum database, too', async () => {
    const server = await start()
    const http = new HttpFetcher({}, { caFile, backoffMs: 1 })
    onTestFinished(() => http[Symbol.asyncDispose]())
    const init = { name: 'sum.test', list: parseProxyList('off'), offline: false }
    const sumdb = new HttpSumdb({ http }, { ...init, url: server.url })
    for (const path of ['/latest', '/lookup/example.com/m@v1.0.0', '/tile/8/0/001']) {
      await sumdb.read(path, { signal })
    }
    expect(server.protocols()).toEqual(['2.0', '2.0', '2.0'])
  })

  test('behind the choice of HTTP/1.1 first gets HTTP/2, because we name that first', async () => {
    const ALPNCallback: NonNullable<ServerInit>['ALPNCallback'] = ({ protocols }) => protocols[0]
    const server = await start({ ALPNCallback })
    await mod(ask(server.url))
    expect(server.protocols()).toEqual(['2.0'])
  })

  test('names its errors with the words of HTTP/1.1', async () => {
    const server = await start()
    server.break((response) => response.writeHead(404).end())
    await expect(mod(ask(server.url))).rejects.toThrow('404 Not Found')
  })

  test('sends credentials to no other host that it redirects to', async () => {
    const [front, files] = [await start(), await start()]
    front.break((response) => {
      response.writeHead(302, { location: `${files.url}/x.mod` }).end()
    })
    await mod(ask(front.url.replace('https://', 'https://me:secret@')))
    const seen = [...front.seen, ...files.seen]
    expect(seen.map(({ protocol }) => protocol)).toEqual(['2.0', '2.0'])
    const password = `Basic ${Buffer.from('me:secret').toString('base64')}`
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([password, undefined])
  })
})

describe('an upstream that offers HTTP/1.1 alone', () => {
  test('is asked over few kept connections, that zips use as well', async () => {
    const server = await start(h1Only)
    const upstream = ask(server.url)
    for (let n = 0; n < 10; n++) await mod(upstream)
    await fetchZip(upstream, { signal })
    expect(new Set(server.protocols())).toEqual(new Set(['1.1']))
    // One found out; a second one may open while an answer is still being put away.
    expect(server.connections()).toBeLessThanOrEqual(3)
  })

  test('gets a burst over hardly more connections than it has requests at a time', async () => {
    // On a busy machine no request may count as one that waits for a slow answer.
    vi.useFakeTimers({ toFake: ['performance'] })
    const server = await start(h1Only)
    await mods(ask(server.url), 3 * maxBusy)
    expect(new Set(server.protocols())).toEqual(new Set(['1.1']))
    expect(server.connections()).toBeGreaterThan(maxBusy / 2)
    // A further one may open while an answer is still being put away.
    expect(server.connections()).toBeLessThan(1.5 * maxBusy)
  })

  test('without TLS is never asked for anything else', async () => {
    const server = createHttpServer((request, response) => response.end(request.httpVersion))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    const { port } = server.address() as AddressInfo
    expect(await mod(ask(`http://127.0.0.1:${port}`))).toBe('1.1')
  })
})

describe('an upstream of HTTP/2 alone', () => {
  const hangUp: Misbehaviour = (response) => void response.socket.destroy()

  test.for([
    ['says so in TLS', { allowHTTP1: false }, 1],
    ['hangs up on all else', {}, 0],
  ] as const)('that %s gives zips over it, and is not tried anew', async ([, init, refused]) => {
    const server = await start(init)
    if (refused === 0) server.break(hangUp, Number.POSITIVE_INFINITY, '1.1')
    const upstream = ask(server.url)
    if (refused === 0) await mod(upstream)
    for (let n = 0; n < 3; n++) {
      expect((await fetchZip(upstream, { signal })).bytes.equals(zipBytes)).toBe(true)
    }
    await mod(upstream)
    expect(server.protocols('.zip').filter((protocol) => protocol === '2.0')).toHaveLength(3)
    expect(server.refused()).toBe(refused)
    expect(server.protocols().filter((protocol) => protocol === '1.1')).toHaveLength(1 - refused)
  })

  test('that cuts a zip is asked for the rest alone', async () => {
    const server = await start({ allowHTTP1: false })
    server.break((response, stream) => {
      response.writeHead(200, { etag: '"1"', 'content-length': zipBytes.length })
      response.write(zipBytes.subarray(0, 100_000), () => {
        setTimeout(() => stream?.close(constants.NGHTTP2_INTERNAL_ERROR), 20)
      })
    }, 1)
    const zip = await fetchZip(ask(server.url), { signal })
    expect([zip.bytes.equals(zipBytes), zip.resets]).toEqual([true, 0])
    expect(server.seen.at(-1)?.headers.range).toBe('bytes=100000-')
  })

  test('gives small files while eight zips wait for a slow disk', async () => {
    const large = Buffer.concat([Buffer.from('PK'), Buffer.alloc(4 << 20)])
    const answer: NonNullable<ServerInit>['answer'] = (path, response, range) => {
      if (path.endsWith('.zip'))
        response.writeHead(200, { 'content-length': large.length }).end(large)
      else answerWell(path, response, range)
    }
    const server = await start({ allowHTTP1: false, answer })
    const upstream = ask(server.url)
    const blocked = Promise.withResolvers<void>()
    let got = 0
    const write = async (chunk: Uint8Array): Promise<void> => {
      got += chunk.length
      await blocked.promise
    }
    const onReset = async (): Promise<void> => {}
    const zips = Array.from({ length: 8 }, () =>
      upstream.fetchZip(module, { write }, { signal, onReset }),
    )
    await expect.poll(() => got).toBeGreaterThan(0)
    expect(await mods(upstream, 50)).toEqual(Array.from({ length: 50 }, () => modText))
    expect(got).toBeLessThan(8 * (64 << 10))
    blocked.resolve()
    await Promise.all(zips)
    expect(got).toBe(8 * large.length)
  })
})

const rst =
  (code: number): Misbehaviour =>
  (_, stream) =>
    stream?.close(code)
const goAway =
  (code: number): Misbehaviour =>
  (_, stream) => {
    stream?.session?.goaway(code, 0)
    stream?.session?.destroy()
  }

describe('a request that breaks over HTTP/2', () => {
  test.for<[string, Misbehaviour]>([
    ['RST_STREAM INTERNAL_ERROR', rst(constants.NGHTTP2_INTERNAL_ERROR)],
    ['RST_STREAM REFUSED_STREAM', rst(constants.NGHTTP2_REFUSED_STREAM)],
    ['RST_STREAM ENHANCE_YOUR_CALM', rst(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
    ['RST_STREAM CANCEL', rst(constants.NGHTTP2_CANCEL)],
    ['RST_STREAM NO_ERROR', rst(constants.NGHTTP2_NO_ERROR)],
    ['GOAWAY NO_ERROR', goAway(constants.NGHTTP2_NO_ERROR)],
    ['GOAWAY INTERNAL_ERROR', goAway(constants.NGHTTP2_INTERNAL_ERROR)],
    ['GOAWAY ENHANCE_YOUR_CALM', goAway(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
    ['a session that is gone', (_, stream) => stream?.session?.destroy()],
    ['a connection that is gone', (response) => void response.socket.destroy()],
    [
      'half of its body',
      (response, stream) => {
        response.writeHead(200, { 'content-length': modText.length })
        response.write(modText.slice(0, 5), () => stream?.close(constants.NGHTTP2_INTERNAL_ERROR))
      },
    ],
    [
      'an end before its length',
      (response) => {
        response.writeHead(200, { 'content-length': modText.length }).end(modText.slice(0, 5))
      },
    ],
  ])('by %s is asked again over HTTP/2', async ([, how]) => {
    const server = await start()
    server.break(how, 1)
    expect(await mod(ask(server.url))).toBe(modText)
    expect(server.protocols()).toEqual(['2.0', '2.0'])
  })

  test('again and again is asked over HTTP/1.1, and all others are for a time', async () => {
    const server = await start()
    server.break(rst(constants.NGHTTP2_INTERNAL_ERROR), Number.POSITIVE_INFINITY, '2.0')
    const upstream = ask(server.url)
    expect(await mod(upstream)).toBe(modText)
    expect(server.protocols()).toEqual([...Array<string>(h2Incidents).fill('2.0'), '1.1'])
    await mods(upstream, 3)
    expect(server.protocols().slice(-3)).toEqual(['1.1', '1.1', '1.1'])
    const now = performance.now()
    vi.spyOn(performance, 'now').mockImplementation(() => now + h2TroubleMs + 60_000)
    onTestFinished(() => void vi.restoreAllMocks())
    server.break(rst(0), 0)
    await mod(upstream)
    expect(server.protocols().at(-1)).toBe('2.0')
  })

  test('with fifty others on its connection is one incident, and none of them fails', async () => {
    const server = await start()
    const waiting: (() => void)[] = []
    server.break((_, stream) => {
      waiting.push(() => stream?.session?.destroy())
      if (waiting.length === 50) waiting[0]?.()
    }, 50)
    const upstream = ask(server.url)
    expect(new Set(await mods(upstream, 50))).toEqual(new Set([modText]))
    expect(server.protocols()).toEqual(Array<string>(100).fill('2.0'))
  })

  test('and whose end could not be told from a cut is asked over HTTP/1.1', async () => {
    const answer: NonNullable<ServerInit>['answer'] = (path, response) => {
      const isSilent = path.endsWith('/list')
      const body = bodyOf(path)
      response.writeHead(200, isSilent ? {} : { 'content-length': body.length })
      response.write(body)
      response.end()
    }
    const server = await start({ answer })
    // Node ends this body for its reader as if it were whole.
    server.break((response, stream) => {
      response.writeHead(200)
      response.write('v1.0.0\n', () => stream?.close(constants.NGHTTP2_CANCEL))
    }, 1)
    const upstream = ask(server.url)
    for (let n = 0; n < 2; n++) {
      const { bytes } = await upstream.fetchList(module.path, { signal })
      expect(Buffer.from(bytes).toString()).toBe('v1.0.0\nv1.1.0\n')
    }
    expect(server.protocols('/list')).toEqual(['2.0', '1.1', '1.1'])
    await mod(upstream)
    expect(server.protocols('.mod')).toEqual(['2.0'])
  })
})

describe('over HTTP/2', () => {
  const limits = { firstByteMs: 200, stallMs: 200, connectMs: 200 }

  test('a silent stream has its time limit, and holds up no other', async () => {
    const server = await start()
    server.break(() => {}, 1)
    const upstream = ask(server.url, { limits })
    const silent = mod(upstream)
    silent.catch(() => {})
    await expect.poll(() => server.seen.length).toBe(1)
    expect(await mods(upstream, 10)).toHaveLength(10)
    expect(server.sessions.size).toBe(1)
    await expect(silent).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', timedOut: true })
  })

  test('a body that stalls is asked for once more', async () => {
    const server = await start()
    server.break((response) => {
      response.writeHead(200, { 'content-length': modText.length }).write('mod')
    }, 1)
    expect(await mod(ask(server.url, { limits }))).toBe(modText)
    expect(server.protocols()).toHaveLength(2)
  })

  test('an aborted request is ended at the server, and its connection serves the others', async () => {
    const server = await start()
    const gone = Promise.withResolvers<number>()
    server.break((_, stream) => stream?.on('close', () => gone.resolve(stream.rstCode)), 1)
    const upstream = ask(server.url)
    const caller = new AbortController()
    const asked = upstream.fetchMod(module, { signal: caller.signal })
    await expect.poll(() => server.seen.length).toBe(1)
    const reason = new Error('left')
    caller.abort(reason)
    await expect(asked).rejects.toBe(reason)
    expect([constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]).toContain(await gone.promise)
    expect(await mods(upstream, 5)).toHaveLength(5)
    expect(server.sessions.size).toBe(1)
    expect(new Set(server.protocols())).toEqual(new Set(['2.0']))
  })

  test.for([1, 3])('%i streams at a time are enough for all', async (maxConcurrentStreams) => {
    const server = await start({ settings: { maxConcurrentStreams } })
    server.break((response) => {
      setTimeout(() => response.writeHead(200, { 'content-length': 9 }).end('module m\n'), 10)
    })
    expect(await mods(ask(server.url), 30)).toEqual(Array<string>(30).fill('module m\n'))
    expect(new Set(server.protocols())).toEqual(new Set(['2.0']))
  })

  test('no stream at all is a time limit, and HTTP/1.1 after that', async () => {
    const server = await start({ settings: { maxConcurrentStreams: 0 } })
    const upstream = ask(server.url, { limits })
    for (let n = 0; n < 2 * h2Incidents; n++) await mod(upstream).catch(() => undefined)
    await expect.poll(() => mod(upstream).catch(String)).toBe(modText)
    expect(server.protocols().at(-1)).toBe('1.1')
  })

  test('a host that never answers TLS fails all who wait, together', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const upstream = ask(`https://127.0.0.1:${port}`, { limits })
    const took = startStopwatch()
    const asked = await Promise.allSettled(Array.from({ length: 40 }, () => mod(upstream)))
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set(['rejected']))
    // One after another they would take 8 s.
    expect(took()).toBeLessThan(4_000)
  })

  test('a server that dies is known to be dead, and found again when it is back', async () => {
    const server = await start()
    const upstream = ask(server.url)
    await mod(upstream)
    await server.kill()
    await expect(mod(upstream)).rejects.toThrow()
    await expect(mod(upstream)).rejects.toThrow(/refused|a moment ago/)
    const again = await start({ port: server.port })
    await expect.poll(() => mod(upstream).catch(String)).toBe(modText)
    expect(again.seen.length).toBeGreaterThan(0)
  })

  test.for([false, true])('a dead server of it alone (%s) is found again', async (allowHTTP1) => {
    const server = await start({ allowHTTP1 })
    await server.kill()
    const upstream = ask(server.url)
    await expect(mod(upstream)).rejects.toThrow(/refused/)
    await start({ port: server.port, allowHTTP1 })
    await expect.poll(() => mod(upstream).catch(String)).toBe(modText)
  })

  test('a server that ends every connection at once ends every request', async () => {
    const server = await start()
    server.break((response) => void response.socket.destroy())
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => mod(ask(server.url))))
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set(['rejected']))
  })
})

describe('through a proxy', () => {
  async function startProxy(to: number): Promise<{ url: string; seen: string[] }> {
    const seen: string[] = []
    const server = createHttpServer()
    server.on('connect', ({ url = '' }, client) => {
      seen.push(url)
      tunnel(client, to)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
  }

  test.for([
    ['that speaks both is asked over both', {}, ['2.0', '2.0', '1.1']],
    ['of HTTP/2 alone is asked over it', { allowHTTP1: false }, ['2.0', '2.0', '2.0']],
    ['of HTTP/1.1 alone is asked over it', h1Only, ['1.1', '1.1', '1.1']],
  ] as const)('an upstream %s, in tunnels', async ([, init, protocols]) => {
    const server = await start(init)
    const proxy = await startProxy(server.port)
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: 'b.modmesh.test' }
    const upstream = ask('https://a.modmesh.test', { env })
    await mods(upstream, 2)
    expect((await fetchZip(upstream, { signal })).bytes.equals(zipBytes)).toBe(true)
    expect(server.protocols()).toEqual(protocols)
    expect(new Set(proxy.seen)).toEqual(new Set(['a.modmesh.test:443']))
  })

  test('that is dead all who wait fail together', async () => {
    const env = { HTTPS_PROXY: 'http://127.0.0.1:1' }
    const upstream = ask('https://a.modmesh.test', { env })
    const asked = await Promise.allSettled(Array.from({ length: 40 }, () => mod(upstream)))
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set(['rejected']))
  })
})

describe('the choice of a protocol', () => {
  const url = new URL('https://proxy.example')
  const { origin } = url
  const at = (protocol: 'h1' | 'h2', kind = fileKind('/m/@v/list')) => ({
    origin,
    protocol,
    kind,
    startedMs: performance.now(),
  })
  const cut = new FetchError('reset', 'cut')

  test.for([
    ['/m/@v/v1.0.0.zip', 'zip'],
    ['/m/@v/v1.0.0.mod', 'mod'],
    ['/m/@v/v1.0.0.info', 'info'],
    ['/m/@v/list', 'list'],
    ['/m/@latest', '@latest'],
    ['/lookup/m@v1.0.0', 'other'],
    ['', 'other'],
  ] as const)('for %s is that for %s', ([path, kind]) => {
    expect(fileKind(path)).toBe(kind)
  })

  test('forgets incidents that are far apart, and those of one moment count once', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const protocols = new OriginProtocols()
    const early = at('h2')
    vi.advanceTimersByTime(1)
    for (let n = 0; n < 5; n++) protocols.sawFailure(early, cut)
    expect(protocols.choose(url, 'mod')).toBe('h2')
    vi.advanceTimersByTime(h2TroubleMs + 1)
    protocols.sawFailure(at('h2'), cut)
    expect(protocols.choose(url, 'mod')).toBe('h2')
    vi.advanceTimersByTime(1)
    protocols.sawFailure(at('h2'), cut)
    expect(protocols.choose(url, 'mod')).toBe('h1')
    expect(protocols.choose(new URL('https://other.example'), 'mod')).toBe('h2')
    vi.advanceTimersByTime(h2TroubleMs)
    expect(protocols.choose(url, 'mod')).toBe('h2')
  })

  test.for(['absent', 'status', 'unreachable', 'malformed', 'timeout'] as const)(
    'does not change for a failure that is %s',
    (failure) => {
      const protocols = new OriginProtocols()
      for (let n = 0; n < 5; n++) protocols.sawFailure(at('h2'), new FetchError(failure, 'x'))
      expect(protocols.choose(url, 'mod')).toBe('h2')
    },
  )

  test('takes a cut over HTTP/1.1 for refusal only where HTTP/2 is offered and that never answered', () => {
    const fresh = new OriginProtocols()
    expect(fresh.sawFailure(at('h1'), cut)).toBe(false)
    fresh.sawAnswer(at('h2'), true)
    expect(fresh.sawFailure(at('h1'), cut)).toBe(true)
    expect(fresh.choose(url, 'zip')).toBe('h2')
    const known = new OriginProtocols()
    known.sawAnswer(at('h2'), true)
    known.sawAnswer(at('h1'), true)
    expect(known.sawFailure(at('h1'), cut)).toBe(false)
    expect(known.choose(url, 'zip')).toBe('h1')
  })

  test('believes in HTTP/1.1 alone for a while, and never over plain http in anything else', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const protocols = new OriginProtocols()
    const failure = new FetchError('malformed', 'x', { cause: new NoH2Error() })
    expect(protocols.sawFailure(at('h2'), failure)).toBe(true)
    expect(protocols.choose(url, 'mod')).toBe('h1')
    vi.advanceTimersByTime(protocolMemoryMs)
    expect(protocols.choose(url, 'mod')).toBe('h2')
    expect(protocols.choose(new URL('http://proxy.example'), 'mod')).toBe('h1')
  })
})
