import { once } from 'node:events'
import type { Source } from '@modmesh/fill'
import { describe, expect, test } from 'vitest'
import { infoText, modText } from '../support/fake-source.ts'
import { open, sendRaw, serve } from '../support/serve.ts'

const base = '/example.com/m'
const paths = [
  [`${base}/@v/v1.0.0.info`, 'info example.com/m@v1.0.0', infoText],
  [`${base}/@v/v1.0.0.mod`, 'mod example.com/m@v1.0.0', modText],
  [`${base}/@v/list`, 'list example.com/m', 'v1.0.0\n'],
  [`${base}/@latest`, 'latest example.com/m', infoText],
  [`${base}/@v/main.info`, 'query example.com/m@main', infoText],
] as const

function ask(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\nHost: localhost\nConnection: close\n${fields}\n`
}

/** Without what differs from moment to moment. */
function headOf(head: string): string[] {
  const lines = head.split('\r\n').filter((line) => !line.startsWith('Date:'))
  return lines.map((line) => line.toLowerCase()).sort()
}

describe('what is in memory', () => {
  test.for(paths)('%s is answered without a wait, and word for word the same', async (row) => {
    const [path, asked, body] = row
    await using served = await serve({ memory: true })
    const { port, source } = served
    source.ageMs = 5_000
    const first = await sendRaw(port, ask(path))
    expect([source.asked, source.peeked]).toEqual([[asked], []])
    const second = await sendRaw(port, ask(path))
    expect([source.asked, source.peeked]).toEqual([[asked], [asked]])
    expect([first.body, second.body]).toEqual([body, body])
    expect(headOf(second.head)).toEqual(headOf(first.head))

    const head = await sendRaw(port, ask(path).replace('GET', 'HEAD'))
    expect([head.body, headOf(head.head)]).toEqual(['', headOf(first.head)])
    expect(source.asked).toHaveLength(1)
  })

  test('gets older with each second, and says when it is renewed', async () => {
    await using served = await serve({ memory: true })
    const { source } = served
    const seen: (string | null)[][] = []
    const states: readonly [Source, number][] = [
      [{ kind: 'store', level: 'memory' }, 999],
      [{ kind: 'store', level: 'memory' }, 1_000],
      [{ kind: 'stale', why: 'failed' }, 1_000],
      [{ kind: 'store', level: 'memory' }, 0],
    ]
    await sendRaw(served.port, ask(`${base}/@v/list`))
    for (const [from, ageMs] of states) {
      source.from = from
      source.ageMs = ageMs
      const { head } = await sendRaw(served.port, ask(`${base}/@v/list`))
      const field = (name: string) => new RegExp(`${name}: ([^\r]*)`, 'i').exec(head)?.[1] ?? null
      seen.push([field('age'), field('cache-status'), field('cache-control')])
    }
    expect(source.peeked).toHaveLength(4)
    expect(seen).toEqual([
      ['0', 'modmesh; hit', 'public, max-age=60'],
      ['1', 'modmesh; hit', 'public, max-age=60'],
      ['1', 'modmesh; hit; detail=stale-failed', 'no-cache'],
      ['0', 'modmesh; hit', 'public, max-age=60'],
    ])
  })

  test.for<[string, string, number]>([
    ['a range', 'Range: bytes=0-3\n', 206],
    ['a condition', 'If-None-Match: *\n', 304],
    ['a condition that fails', 'If-Match: "x"\n', 412],
    ['a foreign Origin', 'Origin: http://evil.test\n', 403],
    ['a body', 'Content-Length: 3\n', 400],
    ['a second Host', 'Host: localhost\n', 400],
    ['many fields', 'Accept: x\n'.repeat(70), 431],
  ])('is answered the usual way when asked with %s', async ([, fields, status]) => {
    await using served = await serve({ memory: true })
    const path = `${base}/@v/v1.0.0.mod`
    await sendRaw(served.port, ask(path))
    expect((await sendRaw(served.port, ask(path, fields))).status).toBe(status)
    expect(served.source.peeked).toEqual([])
  })

  test('is not given where only the store may be asked', async () => {
    await using served = await serve({ memory: true })
    const path = `${base}/@v/list`
    await sendRaw(served.port, ask(path))
    await sendRaw(served.port, ask(path, 'Disable-Module-Fetch: true\n'))
    for (let i = 0; i < 2; i++) await sendRaw(served.port, ask(`/cached-only${path}`))
    const cachedOnly = 'list example.com/m (cached only)'
    expect(served.source.asked.slice(1)).toEqual([cachedOnly, cachedOnly, cachedOnly])
    expect(served.source.peeked).toEqual([])
  })

  test('with a path secret it is answered the usual way', async () => {
    await using served = await serve({ memory: true, pathSecret: 'long-enough' })
    for (let i = 0; i < 3; i++) {
      await sendRaw(served.port, ask(`/long-enough${base}/@v/list`))
    }
    expect(served.source.asked).toHaveLength(3)
    expect((await sendRaw(served.port, ask(`${base}/@v/list`))).status).toBe(404)
  })

  test('what memory lost is asked for again', async () => {
    await using served = await serve({ memory: true })
    const path = `${base}/@v/list`
    for (let i = 0; i < 2; i++) await sendRaw(served.port, ask(path))
    served.source.error = new Error('gone')
    expect((await sendRaw(served.port, ask(path))).status).toBe(500)
  })

  test('many requests in one write are answered in order', async () => {
    await using served = await serve({ memory: true })
    await sendRaw(served.port, ask(`${base}/@v/list`))
    const request = `GET ${base}/@v/list HTTP/1.1\nHost: localhost\n\n`
    const slow = `GET ${base}/@v/v1.0.0.zip HTTP/1.1\nHost: localhost\n\n`
    const all = request + slow + request.repeat(50) + ask(`${base}/@latest`)
    const { head, body } = await sendRaw(served.port, all)
    expect(head).toContain('text/plain')
    expect(body.match(/HTTP\/1\.1 200/g)).toHaveLength(52)
    expect(body.indexOf('application/zip')).toBeLessThan(body.lastIndexOf('text/plain'))
    expect(body.endsWith(infoText)).toBe(true)
  })

  test('a client that asks and asks, and never reads, is cut', async () => {
    await using served = await serve({ memory: true, writeStallMs: 100 })
    await sendRaw(served.port, ask(`${base}/@v/list`))
    const socket = await open(served.port)
    socket.pause()
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const requests = `GET ${base}/@v/list HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(1_000)
    const flood = setInterval(() => socket.write(requests), 5)
    await closed
    clearInterval(flood)
    expect(served.errors).toEqual([])
    expect((await served.get(`${base}/@v/list`)).status).toBe(200)
  })

  test('a flood of targets and names costs bounded memory, and nothing else', async () => {
    await using served = await serve({ memory: true })
    const socket = await open(served.port)
    socket.resume()
    const count = 9_000
    for (let i = 0; i < count; i++) {
      const host = `127.0.${i >> 8}.${i & 255}`
      socket.write(`GET /example.com/m${i}/@latest HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      if (i % 1_000 > 0) continue
      await expect.poll(() => served.source.asked.length).toBe(i + 1)
    }
    await expect.poll(() => served.source.asked.length).toBe(count)
    socket.destroy()
    await sendRaw(served.port, ask(`/example.com/m${count - 1}/@latest`))
    expect((await sendRaw(served.port, ask(`${base}/@latest`))).status).toBe(200)
  })

  test('a server that stops lets an answer end and keeps no connection', async () => {
    const served = await serve({ memory: true })
    const socket = await open(served.port)
    socket.resume()
    const request = `GET ${base}/@v/list HTTP/1.1\r\nHost: localhost\r\n\r\n`
    socket.write(request)
    await expect.poll(() => served.source.asked.length).toBe(1)
    socket.write(request)
    await expect.poll(() => served.source.peeked.length).toBe(1)
    const closed = once(socket, 'close')
    await served.server.close({ drainMs: 5_000 })
    await closed
  })
})
