import { createHash } from 'node:crypto'
import {
  HashChangedError,
  HashMismatchError,
  ModuleNotFoundError,
  NoProofError,
  OfflineError,
  type Source,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import { hashMod, parseModuleVersion, ZipRulesError } from '@modmesh/module'
import { SumdbForkError, SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import { describe, expect, test } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import { ListenError, ProxyServer } from '../../src/index.ts'
import { errorText } from '../../src/server/status.ts'
import {
  fakeSource,
  infoText,
  modText,
  notFound,
  zipDigest,
  zipText,
} from '../support/fake-source.ts'
import { open, sendRaw, serve } from '../support/serve.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const base = '/example.com/m'
const zip = `${base}/@v/v1.0.0.zip`
const week = 'public, max-age=604800'
const minute = 'public, max-age=60'
const plain = 'text/plain; charset=utf-8'

/** Weak, of the content: lists may change while they are read. */
function tagOf(text: string): string {
  return `W/"${createHash('sha256').update(text).digest('base64url')}"`
}
const listTag = tagOf('v1.0.0\n')
const infoTag = tagOf(infoText)

describe('an answer', () => {
  test.for<[string, string, string, string, string | null, string]>([
    [zip, 'zip example.com/m@v1.0.0', 'application/zip', week, `"${zipDigest}"`, zipText],
    [
      `${base}/@v/v1.0.0.mod`,
      'mod example.com/m@v1.0.0',
      plain,
      week,
      `"${hashMod(Buffer.from(modText))}"`,
      modText,
    ],
    [
      `${base}/@v/v1.0.0.info`,
      'info example.com/m@v1.0.0',
      'application/json',
      week,
      null,
      infoText,
    ],
    [`${base}/@v/list`, 'list example.com/m', plain, minute, listTag, 'v1.0.0\n'],
    [`${base}/@latest`, 'latest example.com/m', 'application/json', minute, infoTag, infoText],
    [
      `${base}/@v/main.info`,
      'query example.com/m@main',
      'application/json',
      minute,
      infoTag,
      infoText,
    ],
  ])('to %s', async ([path, asked, type, cache, etag, body]) => {
    await using served = await serve()
    const answer = await served.get(path)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('cache-control')).toBe(cache)
    expect(answer.headers.get('etag')).toBe(etag)
    expect(answer.headers.get('cache-status')).toBe('modmesh; hit')
    expect(answer.headers.get('content-length')).toBe(String(body.length))
    expect(await answer.text()).toBe(body)
    expect(served.source.asked).toEqual([asked])

    const head = await served.get(path, {}, 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
    for (const name of [
      'content-type',
      'cache-control',
      'etag',
      'cache-status',
      'content-length',
    ]) {
      expect(head.headers.get(name)).toBe(answer.headers.get(name))
    }
  })

  test.for<[Source, string]>([
    [{ kind: 'store' }, 'modmesh; hit'],
    [{ kind: 'peer', peer: 'p' }, 'modmesh; fwd=miss; fwd-status=200; detail=peer'],
    [{ kind: 'peer', peer: 'p', isFar: true }, 'modmesh; fwd=miss; fwd-status=200; detail=wan'],
    [{ kind: 'upstream', from: 'u' }, 'modmesh; fwd=miss; fwd-status=200; detail=upstream'],
  ])('says where it came from: %s', async ([source, expected]) => {
    await using served = await serve()
    served.source.from = source
    for (const path of [zip, `${base}/@v/v1.0.0.mod`, `${base}/@v/list`]) {
      expect((await served.get(path)).headers.get('cache-status')).toBe(expected)
    }
  })

  test('a list of what is held is marked and not to be kept', async () => {
    await using served = await serve()
    served.source.from = { kind: 'held' }
    const { headers } = await served.get(`${base}/@v/list`)
    expect(headers.get('cache-status')).toBe('modmesh; hit; detail=held')
    expect(headers.get('warning')).toContain('Disconnected')
    expect(headers.get('cache-control')).toBe('no-cache')
  })

  test.for<[string, Record<string, string>]>([
    [`/cached-only${zip}`, {}],
    [zip, { 'disable-module-fetch': 'true' }],
    [zip, { 'disable-module-fetch': 'True' }],
    [zip, { 'disable-module-fetch': '1' }],
  ])('from the store alone: %s %o', async ([path, headers]) => {
    await using served = await serve()
    await served.get(path, headers)
    expect(served.source.asked).toEqual(['zip example.com/m@v1.0.0 (cached only)'])
  })

  test.for(['false', '0', '', 'yes'])(
    'from anywhere with Disable-Module-Fetch: %s',
    async (value) => {
      await using served = await serve()
      await served.get(zip, { 'disable-module-fetch': value })
      expect(served.source.asked).toEqual(['zip example.com/m@v1.0.0'])
    },
  )

  test.for<[string, Record<string, string>]>([
    [`/cached-only${zip}`, {}],
    [zip, { 'disable-module-fetch': 'true' }],
    ['/cached-only/sumdb/sum.test/supported', {}],
    ['/sumdb/sum.test/supported', { 'disable-module-fetch': 'true' }],
  ])('that the store alone has nothing is not to be remembered: %s %o', async ([path, headers]) => {
    await using served = await serve()
    served.source.error = notFound()
    const answer = await served.get(path, headers)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([404, 'no-store'])
  })

  test('a large body arrives whole', async () => {
    await using served = await serve()
    const bytes = Buffer.alloc(5_000_001, 'modmesh')
    served.source.zipBytes = bytes
    const body = Buffer.from(await (await served.get(zip)).arrayBuffer())
    expect(body.equals(bytes)).toBe(true)
  })
})

describe('ranges and conditions', () => {
  const etag = `"${zipDigest}"`
  test.for<[string, Record<string, string>, number, string, string?]>([
    ['first bytes', { range: 'bytes=0-2' }, 206, 'abc', 'bytes 0-2/26'],
    ['to the end', { range: 'bytes=20-' }, 206, 'uvwxyz', 'bytes 20-25/26'],
    ['the last', { range: 'bytes=-3' }, 206, 'xyz', 'bytes 23-25/26'],
    ['more than there is', { range: 'bytes=24-99' }, 206, 'yz', 'bytes 24-25/26'],
    ['more than all', { range: 'bytes=-99' }, 206, zipText, 'bytes 0-25/26'],
    ['behind the end', { range: 'bytes=26-' }, 416, '', 'bytes */26'],
    ['no last bytes', { range: 'bytes=-0' }, 416, '', 'bytes */26'],
    ['two ranges', { range: 'bytes=0-1,3-4' }, 200, zipText],
    ['backwards', { range: 'bytes=5-2' }, 200, zipText],
    ['another unit', { range: 'lines=0-1' }, 200, zipText],
    ['no number', { range: 'bytes=a-b' }, 200, zipText],
    ['a sign', { range: 'bytes=+1-2' }, 200, zipText],
    ['nothing', { range: 'bytes=-' }, 200, zipText],
    ['a huge number', { range: 'bytes=99999999999999999999-' }, 200, zipText],
    ['If-Range equal', { range: 'bytes=20-', 'if-range': etag }, 206, 'uvwxyz', 'bytes 20-25/26'],
    ['If-Range other', { range: 'bytes=20-', 'if-range': '"other"' }, 200, zipText],
    ['If-Range weak', { range: 'bytes=20-', 'if-range': `W/${etag}` }, 200, zipText],
    [
      'If-Range time',
      { range: 'bytes=20-', 'if-range': 'Sat, 21 Nov 2026 10:00:00 GMT' },
      200,
      zipText,
    ],
    ['If-None-Match equal', { 'if-none-match': etag }, 304, ''],
    ['If-None-Match weak', { 'if-none-match': `W/${etag}` }, 304, ''],
    ['If-None-Match among others', { 'if-none-match': `"x", ${etag}` }, 304, ''],
    ['If-None-Match any', { 'if-none-match': '*' }, 304, ''],
    ['If-None-Match other', { 'if-none-match': '"x"' }, 200, zipText],
    ['If-None-Match before Range', { 'if-none-match': etag, range: 'bytes=0-1' }, 304, ''],
    ['If-Match equal', { 'if-match': etag }, 200, zipText],
    ['If-Match weak', { 'if-match': `W/${etag}` }, 412, ''],
    ['If-Match other', { 'if-match': '"x"' }, 412, ''],
    [
      'If-Modified-Since means nothing',
      { 'if-modified-since': new Date().toUTCString() },
      200,
      zipText,
    ],
  ])('%s', async ([, headers, status, body, contentRange]) => {
    await using served = await serve()
    const answer = await served.get(zip, headers)
    expect([answer.status, await answer.text()]).toEqual([status, body])
    expect(answer.headers.get('content-range')).toBe(contentRange ?? null)
    if (status === 206 || status === 200 || status === 304) {
      expect(answer.headers.get('etag')).toBe(etag)
      expect(answer.headers.get('cache-status')).toBe('modmesh; hit')
    }
    if (status === 206 || status === 200) {
      expect(answer.headers.get('accept-ranges')).toBe('bytes')
      expect(answer.headers.get('content-length')).toBe(String(body.length))
    }
  })

  test.for<[string, Record<string, string>, number]>([
    ['a range', { range: 'bytes=0-1' }, 200],
    ['a range if the same', { range: 'bytes=0-1', 'if-range': listTag }, 200],
    ['a range if strongly the same', { range: 'bytes=0-1', 'if-range': listTag.slice(2) }, 200],
    ['if changed, and it did not', { 'if-none-match': listTag }, 304],
    ['if changed, strong', { 'if-none-match': listTag.slice(2) }, 304],
    ['if changed, and it did', { 'if-none-match': 'W/"other"' }, 200],
    ['if the same, which a weak tag cannot say', { 'if-match': listTag }, 200],
  ])('a list that may change, asked with %s', async ([, headers, status]) => {
    await using served = await serve()
    const answer = await served.get(`${base}/@v/list`, headers)
    expect([answer.status, await answer.text()]).toEqual([status, status === 304 ? '' : 'v1.0.0\n'])
    expect(answer.headers.get('etag')).toBe(listTag)
    expect(answer.headers.get('content-range')).toBeNull()
  })
})

describe('an answer that upstream did not just give', () => {
  const stale = '110 modmesh "Response is Stale"'
  const offline = '112 modmesh "Disconnected Operation"'
  test.for<[Source, number | undefined, string | null, string | null]>([
    [{ kind: 'store', level: 'memory' }, 59_999, '59', null],
    [{ kind: 'upstream', from: 'u' }, 0, '0', null],
    [{ kind: 'stale', why: 'slow' }, 61_000, '61', stale],
    [{ kind: 'stale', why: 'not-asked' }, 61_000, '61', stale],
    [
      { kind: 'stale', why: 'failed' },
      86_400_000,
      '86400',
      `${stale}, 111 modmesh "Revalidation Failed"`,
    ],
    [{ kind: 'stale', why: 'offline' }, 5_000, '5', `${stale}, ${offline}`],
    [{ kind: 'held' }, 7_000, '7', offline],
    [{ kind: 'held' }, undefined, null, offline],
  ])('says so: %o of %s ms', async ([source, ageMs, age, warning]) => {
    await using served = await serve()
    served.source.from = source
    served.source.ageMs = ageMs
    for (const path of [`${base}/@v/list`, `${base}/@latest`, `${base}/@v/main.info`]) {
      const { headers } = await served.get(path)
      expect(headers.get('age')).toBe(age)
      expect(headers.get('warning')).toBe(warning)
      expect(headers.get('cache-control')).toBe(warning === null ? minute : 'no-cache')
      const etag = headers.get('etag') ?? ''
      const same = await served.get(path, { 'if-none-match': etag })
      expect([same.status, same.headers.get('age')]).toEqual([304, age])
    }
  })
})

describe('an error', () => {
  const cause = new SumdbUnavailableError('checksum database sum.test cannot be asked')
  const refused = { expected: 'h1:aa', actual: 'h1:bb', from: 'https://proxy.test' }
  test.for<[string, Error, number, string, string[]]>([
    [
      'not found',
      notFound(),
      404,
      minute,
      ['example.com/m@v1.0.0', 'https://proxy.test: 404 Not Found'],
    ],
    [
      'held by nobody, and nobody asked',
      new ModuleNotFoundError('example.com/m: not held here', { wasAsked: false }),
      404,
      'no-store',
      ['not held here'],
    ],
    [
      'offline',
      new OfflineError('example.com/m: not held here'),
      404,
      'no-store',
      ['not held here'],
    ],
    [
      'upstream down',
      new UpstreamUnavailableError('https://proxy.test: connection refused'),
      502,
      'no-store',
      ['connection refused'],
    ],
    [
      'upstream late',
      new UpstreamUnavailableError('no answer', { timedOut: true }),
      504,
      'no-store',
      ['no answer'],
    ],
    [
      'a refused zip',
      new UpstreamRefusedError(module, refused),
      502,
      'no-store',
      ['refused what https://proxy.test sent', 'expected h1:aa', 'got h1:bb'],
    ],
    [
      'a hash mismatch',
      new HashMismatchError(module, { expected: 'h1:aa', actual: 'h1:bb' }),
      502,
      'no-store',
      ['expected h1:aa, got h1:bb'],
    ],
    [
      'a changed hash',
      new HashChangedError(module, { part: 'zip', first: 'h1:aa', seen: 'h1:bb', from: 'direct' }),
      502,
      'no-store',
      ['changed since', 'first h1:aa', 'now   h1:bb from direct', 'modmesh accept example.com/'],
    ],
    ['a bad zip', new ZipRulesError('overlap'), 502, 'no-store', ['zip refused: overlap']],
    [
      'no proof, and why',
      new NoProofError(module, { cause }),
      503,
      'no-store',
      ['no verified checksum', 'sum.test cannot be asked'],
    ],
    ['database down', cause, 502, 'no-store', ['cannot be asked']],
    ['database knows nothing', new SumdbNotFoundError('no record'), 404, minute, ['no record']],
    [
      'a deadline',
      new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
      504,
      'no-store',
      ['timeout'],
    ],
    [
      'a full disk',
      Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }),
      503,
      'no-store',
      ['no space left'],
    ],
    ['our bug', new TypeError('secret detail'), 500, 'no-store', ['internal error']],
  ])('%s', async ([name, error, status, cache, texts]) => {
    await using served = await serve()
    served.source.error = error
    const answer = await served.get(zip)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, cache])
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const body = await answer.text()
    for (const text of texts) expect(body).toContain(text)
    expect(body).not.toContain('secret detail')
    const { code } = error as { code?: string }
    const ofFill = answer.headers.get('cache-status') === `modmesh; fwd=miss; detail=${code}`
    expect(ofFill).toBe(!/database|deadline|disk|bug/.test(name))
    expect(served.errors).toEqual(status >= 500 ? [error] : [])
    const head = await served.get(zip, {}, 'HEAD')
    expect([head.status, await head.text()]).toEqual([status, ''])
  })

  test.for<[string, number, string]>([
    ['/golang.org/x/text/@v/v1.zip', 404, 'public, max-age=86400'],
    ['/golang.org/x/text/@v/latest.info', 404, 'public, max-age=86400'],
    ['/no/such', 404, 'public, max-age=86400'],
    ['/-/nothing', 404, 'public, max-age=86400'],
    ['/sumdb/unknown.test/supported', 404, minute],
  ])('%s is %i', async ([path, status, cache]) => {
    await using served = await serve()
    const answer = await served.get(path)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, cache])
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(served.source.asked).toEqual([])
  })

  test('a text is what go shows: eight printable lines, none blank', () => {
    const many = Array.from({ length: 20 }, (_, index) => `line ${index}`).join('\n\n')
    const text = errorText(
      new UpstreamUnavailableError(`\x1b[31m\u202eü\t${'x'.repeat(200)}\n${many}`),
    )
    const lines = text.trimEnd().split('\n')
    expect(lines).toHaveLength(8)
    expect(lines.every((line) => /^[ -~]{1,300}$/.test(line))).toBe(true)
    expect(lines[0]).toContain('x'.repeat(200))
  })

  test('a text is no longer than what go shows, a long line is cut', () => {
    for (const length of [70, 100, 299, 301, 630, 640, 10_000]) {
      const long = Array.from({ length: 9 }, (_, index) => `${index}${'x'.repeat(length)}`)
      const lines = errorText(new UpstreamUnavailableError(long.join('\n')))
        .trimEnd()
        .split('\n')
      // As go counts: a line feed and a tab between two lines.
      expect(lines.join('\n\t').length).toBeLessThanOrEqual(8 * 81)
      expect(lines.length).toBeGreaterThan(1)
      expect(lines.every((line) => line.length > 19)).toBe(true)
    }
  })

  test('a fork shows no notes', () => {
    const fork = new SumdbForkError('sum.test forked', { ours: 'note A\n', theirs: 'note B\n' })
    expect(errorText(fork)).toBe('sum.test forked\n')
  })

  test('a chain of causes that never ends is cut', () => {
    const first = new SumdbNotFoundError('a')
    const second = new SumdbNotFoundError('b', { cause: first })
    first.cause = second
    expect(errorText(first)).toBe('a\nb\n')
  })
})

describe('a body that fails', () => {
  test('before its first byte is an error answer', async () => {
    await using served = await serve()
    served.source.zipFailsAfter = 0
    const answer = await served.get(zip)
    expect([answer.status, answer.headers.get('etag')]).toEqual([500, null])
    expect(served.errors).toHaveLength(1)
  })

  test('in the middle never looks complete', async () => {
    await using served = await serve()
    served.source.zipFailsAfter = 5
    const answer = await served.get(zip)
    await expect(answer.arrayBuffer()).rejects.toThrow(/terminated/)
    expect(served.errors).toHaveLength(1)
  })

  test('by ending too early never looks complete', async () => {
    await using served = await serve()
    served.source.zipSize = 100
    const answer = await served.get(zip)
    expect(answer.headers.get('content-length')).toBe('100')
    await expect(answer.arrayBuffer()).rejects.toThrow(/terminated/)
    expect(served.errors).toHaveLength(1)
  })
})

describe('pages', () => {
  test('are what the node makes', async () => {
    const pages = {
      get: (path: string) =>
        path === '/-/healthz' ? { status: 503, type: 'application/json', body: '{}' } : undefined,
    }
    await using served = await serve({ pages })
    const answer = await served.get('/-/healthz')
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      503,
      'application/json',
      '{}',
    ])
  })

  test('are told what follows the question mark, also behind a path secret', async () => {
    const pages = {
      get: (path: string, query: URLSearchParams) => ({
        status: 200,
        type: 'text/plain',
        body: JSON.stringify([path, ...query]),
      }),
    }
    for (const pathSecret of [undefined, 'geheim']) {
      await using served = await serve({ pages, pathSecret })
      const asked = await served.get('/-/index?since=a%20b%2Bc&limit=&x')
      const told = ['/-/index', ['since', 'a b+c'], ['limit', ''], ['x', '']]
      expect(await asked.json()).toEqual(told)
      expect(await (await served.get('/-/index')).json()).toEqual(['/-/index'])
      const head = await served.get('/-/index?a=1', {}, 'HEAD')
      expect(head.headers.get('content-length')).toBe('22')
    }
  })

  test.for([
    ['a foreign name', { host: 'evil.example' }],
    ['a foreign page', { origin: 'http://evil.example' }],
    ['a foreign site', { 'sec-fetch-site': 'cross-site' }],
  ] as const)('are not for %s: they may name what is private', async ([, headers]) => {
    const pages = { get: () => ({ status: 200, type: 'text/plain', body: 'corp.example/secret' }) }
    await using served = await serve({ pages })
    const fields = Object.entries({ host: 'localhost', connection: 'close', ...headers })
    const lines = fields.map(([name, value]) => `${name}: ${value}\n`).join('')
    const answer = await sendRaw(served.port, `GET /-/catalog HTTP/1.1\n${lines}\n`)
    expect(answer.status).toBe(403)
    expect(answer.body).not.toContain('corp.example')
  })

  test('the root says in six lines how to use it', async () => {
    await using served = await serve()
    const text = await (await served.get('/')).text()
    expect(text.trimEnd().split('\n')).toHaveLength(6)
    expect(text).toContain(`go env -w GOPROXY=${served.server.url}\n`)
  })
})

describe('starting and stopping', () => {
  test('a running answer is finished, new connections are refused', async () => {
    await using served = await serve()
    const { promise, resolve } = Promise.withResolvers<void>()
    served.source.gate = promise
    const answer = served.get(zip)
    await expect.poll(() => served.source.asked.length).toBe(1)
    const closed = served.server.close({ drainMs: 10_000 })
    await expect(open(served.port)).rejects.toThrow(/ECONNREFUSED/)
    resolve()
    expect(await (await answer).text()).toBe(zipText)
    expect((await answer).headers.get('connection')).toBe('close')
    await closed
  })

  test('an answer that takes too long is cut', async () => {
    await using served = await serve()
    served.source.gate = new Promise(() => {})
    const answer = served.get(zip).catch((error: unknown) => error)
    await expect.poll(() => served.source.asked.length).toBe(1)
    await served.server.close({ drainMs: 20 })
    expect(await answer).toBeInstanceOf(TypeError)
  })

  test('a connection kept alive does not hold the end up', async () => {
    await using served = await serve()
    await (await served.get(zip)).text()
    const took = startStopwatch()
    await served.server.close({ drainMs: 10_000 })
    expect(took()).toBeLessThan(2_000)
  })

  test('a half-sent request does not hold the end up beyond the drain', async () => {
    await using served = await serve()
    const socket = await open(served.port)
    socket.on('error', () => {})
    socket.write('GET /example.com/m/@v/list HTTP/1.1\r\nHost: loc')
    const took = startStopwatch()
    await served.server.close({ drainMs: 20 })
    // Sooner than its headers would be given up.
    expect(took()).toBeLessThan(2_000)
    socket.destroy()
  })

  test.for(['localhost', '127.0.0.1', '127.0.0.1:x', '[::1', '127.0.0.1:99999', '192.0.2.1:0'])(
    'cannot listen on %s',
    async (listen) => {
      const components = { source: fakeSource(), databases: [], pages: { get: () => undefined } }
      await expect(async () => {
        await (await ProxyServer.listen(components, { listen })).close()
      }).rejects.toThrow(ListenError)
    },
  )

  test('a port in use is said to be', async () => {
    await using served = await serve()
    await expect(serve({ listen: `127.0.0.1:${served.port}` })).rejects.toThrow(
      /the address is in use/,
    )
  })

  test('a wildcard listener is reached under the address of the connection', async () => {
    await using served = await serve({ listen: '0.0.0.0:0' })
    expect(served.server.url).toBe(`http://127.0.0.1:${served.port}`)
    const request = `GET /example.com/m/@v/list HTTP/1.1\nHost: 192.0.2.7\nConnection: close\n\n`
    expect((await sendRaw(served.port, request)).status).toBe(403)
  })
})
