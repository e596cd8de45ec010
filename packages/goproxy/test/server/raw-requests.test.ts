import { once } from 'node:events'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crowdedConnections, maxHeaderCount, maxPipelined } from '../../src/limits.ts'
import { open, sendRaw, serve } from '../support/serve.ts'

const list = '/golang.org/x/text/@v/list'
const end = 'Connection: close\n\n'

interface Row {
  readonly name: string
  /** `{port}` stands for ours. */
  readonly request: string
  readonly status: number
}

describe('what the local port lets in', () => {
  const rows: readonly Row[] = [
    { name: 'localhost', request: `GET ${list} HTTP/1.1\nHost: localhost\n${end}`, status: 200 },
    {
      name: 'localhost with port',
      request: `GET ${list} HTTP/1.1\nHost: localhost:{port}\n${end}`,
      status: 200,
    },
    {
      name: 'any loopback literal',
      request: `GET ${list} HTTP/1.1\nHost: 127.3.2.1\n${end}`,
      status: 200,
    },
    {
      name: 'IPv6 loopback',
      request: `GET ${list} HTTP/1.1\nHost: [::1]:{port}\n${end}`,
      status: 200,
    },
    {
      name: 'a name given by --host',
      request: `GET ${list} HTTP/1.1\nHost: Build-Host.test:80\n${end}`,
      status: 200,
    },
    { name: 'HEAD', request: `HEAD ${list} HTTP/1.1\nHost: localhost\n${end}`, status: 200 },
    {
      name: 'HTTP/1.0 with Host',
      request: `GET ${list} HTTP/1.0\nHost: localhost\n\n`,
      status: 200,
    },
    {
      name: 'our own page',
      request: `GET ${list} HTTP/1.1\nHost: localhost:{port}\nOrigin: http://localhost:{port}\nSec-Fetch-Site: same-origin\n${end}`,
      status: 200,
    },
    {
      name: 'a declared empty body',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nContent-Length: 0\n${end}`,
      status: 200,
    },
    {
      name: 'a rebound name',
      request: `GET ${list} HTTP/1.1\nHost: evil.test\n${end}`,
      status: 403,
    },
    {
      name: 'a name that begins as loopback',
      request: `GET ${list} HTTP/1.1\nHost: 127.0.0.1.evil.test\n${end}`,
      status: 403,
    },
    {
      name: 'a name that ends as ours',
      request: `GET ${list} HTTP/1.1\nHost: x.build-host.test\n${end}`,
      status: 403,
    },
    {
      name: 'another address',
      request: `GET ${list} HTTP/1.1\nHost: 10.0.0.1\n${end}`,
      status: 403,
    },
    { name: 'an empty Host', request: `GET ${list} HTTP/1.1\nHost:\n${end}`, status: 403 },
    { name: 'no Host', request: `GET ${list} HTTP/1.1\n${end}`, status: 400 },
    { name: 'HTTP/1.0 without Host', request: `GET ${list} HTTP/1.0\n\n`, status: 400 },
    {
      name: 'two Hosts',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nHost: evil.test\n${end}`,
      status: 400,
    },
    {
      name: 'two equal Hosts',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nhost: localhost\n${end}`,
      status: 400,
    },
    {
      name: 'user info in Host',
      request: `GET ${list} HTTP/1.1\nHost: localhost@evil.test\n${end}`,
      status: 400,
    },
    {
      name: 'a Host list',
      request: `GET ${list} HTTP/1.1\nHost: localhost, evil.test\n${end}`,
      status: 400,
    },
    {
      name: 'a foreign Origin',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nOrigin: http://evil.test\n${end}`,
      status: 403,
    },
    {
      name: 'Origin null',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nOrigin: null\n${end}`,
      status: 403,
    },
    {
      name: 'a link or an image on a foreign page',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nReferer: http://evil.test/x\n${end}`,
      status: 403,
    },
    {
      name: 'a foreign page whose name begins like ours',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nReferer: http://localhost.evil.test/\n${end}`,
      status: 403,
    },
    {
      name: 'a link on a page of ours',
      request: `GET ${list} HTTP/1.1\nHost: localhost:{port}\nReferer: http://localhost:{port}/-/\n${end}`,
      status: 200,
    },
    {
      name: 'an Origin of another port',
      request: `GET ${list} HTTP/1.1\nHost: localhost:{port}\nOrigin: http://localhost:1\n${end}`,
      status: 403,
    },
    {
      name: 'two Origins, one ours',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nOrigin: http://localhost\nOrigin: http://evil.test\n${end}`,
      status: 403,
    },
    {
      name: 'cross-site',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nSec-Fetch-Site: Cross-Site\n${end}`,
      status: 403,
    },
    {
      name: 'a page of another local port, by a plain GET',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-site\n${end}`,
      status: 403,
    },
    {
      name: 'two words on the site, one ours',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site\n${end}`,
      status: 403,
    },
    {
      name: 'an address that was typed into a browser',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nSec-Fetch-Site: none\n${end}`,
      status: 200,
    },
    {
      name: 'a WebSocket of a foreign page',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nOrigin: http://evil.test\nUpgrade: websocket\nConnection: Upgrade, close\n\n`,
      status: 403,
    },
    {
      name: 'a folded Host',
      request: `GET ${list} HTTP/1.1\nHost: localhost\n evil.test\n${end}`,
      status: 400,
    },
    {
      name: 'a name with a trailing dot',
      request: `GET ${list} HTTP/1.1\nHost: localhost.evil.test.\n${end}`,
      status: 403,
    },
    {
      name: 'a loopback address in a form that only some programs read',
      request: `GET ${list} HTTP/1.1\nHost: 0x7f.1\n${end}`,
      status: 403,
    },
    {
      name: 'a Host that only a forwarding proxy would believe',
      request: `GET ${list} HTTP/1.1\nHost: evil.test\nX-Forwarded-Host: localhost\nForwarded: host=localhost\n${end}`,
      status: 403,
    },
    {
      name: 'HTTP/2 without being asked',
      request: 'PRI * HTTP/2.0\n\nSM\n\n',
      status: 400,
    },
    {
      name: 'two lengths',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nContent-Length: 0\nContent-Length: 5\n${end}`,
      status: 400,
    },
    {
      name: 'a length with a sign',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nContent-Length: +0\n${end}`,
      status: 400,
    },
    {
      name: 'a coding that hides chunked',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nTransfer-Encoding: xchunked\n${end}`,
      status: 400,
    },
    {
      name: 'POST',
      request: `POST ${list} HTTP/1.1\nHost: localhost\nContent-Length: 0\n${end}`,
      status: 405,
    },
    { name: 'OPTIONS', request: `OPTIONS ${list} HTTP/1.1\nHost: localhost\n${end}`, status: 405 },
    { name: 'TRACE', request: `TRACE ${list} HTTP/1.1\nHost: localhost\n${end}`, status: 405 },
    {
      name: 'absolute form',
      request: `GET http://localhost${list} HTTP/1.1\nHost: localhost\n${end}`,
      status: 400,
    },
    {
      name: 'absolute form to elsewhere',
      request: `GET http://evil.test/ HTTP/1.1\nHost: localhost\n${end}`,
      status: 400,
    },
    { name: 'asterisk form', request: `GET * HTTP/1.1\nHost: localhost\n${end}`, status: 400 },
    {
      name: 'a body',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nContent-Length: 3\n${end}abc`,
      status: 400,
    },
    {
      name: 'a chunked body',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n${end}0\n\n`,
      status: 400,
    },
    {
      name: 'both lengths',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nContent-Length: 3\nTransfer-Encoding: chunked\n${end}`,
      status: 400,
    },
    {
      name: 'a space before the colon',
      request: `GET ${list} HTTP/1.1\nHost : localhost\n${end}`,
      status: 400,
    },
    {
      name: 'a high byte in the path',
      request: `GET /golang.org/x/t\xfcxt/@v/list HTTP/1.1\nHost: localhost\n${end}`,
      status: 400,
    },
    { name: 'no HTTP at all', request: '\x16\x03\x01\n\n', status: 400 },
    {
      name: 'a huge header',
      request: `GET ${list} HTTP/1.1\nHost: localhost\nX: ${'x'.repeat(20_000)}\n${end}`,
      status: 431,
    },
    {
      name: 'a Host hidden behind many headers',
      request: `GET ${list} HTTP/1.1\nHost: localhost\n${'X: y\n'.repeat(maxHeaderCount)}Host: evil.test\n${end}`,
      status: 431,
    },
    {
      name: 'as many headers as Node may have cut to',
      request: `GET ${list} HTTP/1.1\nHost: localhost\n${'X: y\n'.repeat(maxHeaderCount - 2)}${end}`,
      status: 431,
    },
    {
      name: 'one header less',
      request: `GET ${list} HTTP/1.1\nHost: localhost\n${'X: y\n'.repeat(maxHeaderCount - 3)}${end}`,
      status: 200,
    },
    {
      name: 'CONNECT',
      request: 'CONNECT evil.test:443 HTTP/1.1\nHost: localhost\n\n',
      status: Number.NaN,
    },
  ]

  test.for(rows)('$name: $status', async ({ request, status }) => {
    await using served = await serve({ hosts: ['build-host.test'] })
    const answer = await sendRaw(served.port, request.replaceAll('{port}', String(served.port)))
    expect(answer.status).toBe(status)
    expect(served.source.asked).toHaveLength(status === 200 ? 1 : 0)
    if (answer.body !== '' && status !== 200) {
      expect(answer.head).toMatch(/content-type: text\/plain; charset=utf-8/i)
      expect(answer.head).toMatch(/cache-control: no-store/i)
    }
  })

  test.for(rows)('$name: $status, also for what is in memory', async ({ request, status }) => {
    await using served = await serve({ hosts: ['build-host.test'], memory: true })
    const { port, source } = served
    for (const host of [
      'localhost',
      `localhost:${port}`,
      '127.3.2.1',
      '[::1]',
      'build-host.test',
    ]) {
      await sendRaw(port, `GET ${list} HTTP/1.1\nHost: ${host}\n${end}`)
    }
    source.asked.length = 0
    source.peeked.length = 0
    const answer = await sendRaw(port, request.replaceAll('{port}', String(port)))
    expect(answer.status).toBe(status)
    expect([...source.asked, ...source.peeked]).toHaveLength(status === 200 ? 1 : 0)
  })

  test('405 names the methods that are allowed', async () => {
    await using served = await serve()
    const answer = await served.get(list, {}, 'DELETE')
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test('no answer allows a foreign page to read it', async () => {
    await using served = await serve()
    const answer = await served.get(list)
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('an Upgrade is answered as if it were not there', async () => {
    await using served = await serve()
    const request = `GET ${list} HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade, close\n\n`
    expect((await sendRaw(served.port, request)).status).toBe(200)
  })

  test.for([
    { name: 'a length', header: 'Content-Length: 300' },
    { name: 'chunks', header: 'Transfer-Encoding: chunked' },
  ])('a request hidden in a body with $name is never answered', async ({ header }) => {
    await using served = await serve()
    const hidden = `GET /golang.org/x/text/@latest HTTP/1.1\nHost: localhost\n${end}`
    const outer = `GET ${list} HTTP/1.1\nHost: localhost\n${header}\n\n`
    const { status, body } = await sendRaw(served.port, `${outer}0\n\n${hidden}`)
    expect(status).toBe(400)
    expect(body).not.toContain('HTTP/1.1')
    expect(served.source.asked).toEqual([])
  })

  test('pipelined requests are answered in order', async () => {
    await using served = await serve()
    const one = `GET ${list} HTTP/1.1\nHost: localhost\n\n`
    const two = `GET /golang.org/x/text/@latest HTTP/1.1\nHost: localhost\n${end}`
    const { body } = await sendRaw(served.port, one + two)
    expect(body).toMatch(/^v1\.0\.0\n[^]*200 OK[^]*"Version"/)
  })
})

describe('with a secret base path', () => {
  test('a request without it learns nothing', async () => {
    await using served = await serve({ pathSecret: 's3cret' })
    const port = served.port
    const without = await sendRaw(port, `GET ${list} HTTP/1.1\nHost: localhost\n${end}`)
    const page = await sendRaw(port, `GET / HTTP/1.1\nHost: localhost\n${end}`)
    expect([without.status, without.body, page.status, page.body]).toEqual([
      404,
      'not found\n',
      404,
      'not found\n',
    ])
    expect((await served.get(list)).status).toBe(200)
    expect(await (await served.get('')).text()).toContain(`GOPROXY=${served.server.url}`)
  })
})

test('any bytes are answered or refused, and the next client is served', async () => {
  await using served = await serve()
  const good = `GET ${list} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
  const mutated = fc
    .tuple(fc.nat(good.length - 1), fc.nat(3), fc.string({ unit: 'binary-ascii', maxLength: 6 }))
    .map(([at, cut, text]) => good.slice(0, at) + text + good.slice(at + cut))
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, fc.string({ unit: 'binary-ascii' })), async (bytes) => {
      const socket = await open(served.port)
      socket.on('error', () => {})
      socket.end(bytes, 'latin1')
      let answer = ''
      for await (const chunk of socket) answer += String(chunk)
      // What is asked of the source came through the gate: with a Host that is ours.
      if (answer.includes(' 200 OK') && !answer.includes('modmesh: ')) {
        expect(bytes.toLowerCase()).toMatch(/host *: *(localhost|127\.|\[::1\])/)
      }
    }),
    { numRuns: 300 },
  )
  expect((await served.get(list)).status).toBe(200)
  expect(served.errors).toEqual([])
})

describe('clients that waste our memory', () => {
  test('a client that never reads is cut', async () => {
    await using served = await serve({ writeStallMs: 100 })
    served.source.zipBytes = new Uint8Array(32 << 20)
    const socket = await open(served.port)
    socket.pause()
    socket.on('error', () => {})
    socket.write('GET /example.com/m/@v/v1.0.0.zip HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await expect.poll(() => served.source.signals[0]?.aborted).toBe(true)
    socket.destroy()
    expect(served.errors).toEqual([])
  })

  test('a client that reads slowly is not', async () => {
    await using served = await serve({ writeStallMs: 1_000 })
    const size = 12 << 20
    served.source.zipBytes = new Uint8Array(size)
    const socket = await open(served.port)
    socket.write(
      'GET /example.com/m/@v/v1.0.0.zip HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    )
    let received = 0
    const started = performance.now()
    socket.on('data', (chunk) => {
      received += chunk.length
      socket.pause()
      setTimeout(() => socket.resume(), 8)
    })
    await once(socket, 'close')
    expect(received).toBeGreaterThan(size)
    expect(performance.now() - started).toBeGreaterThan(1_000)
  })

  test('an answer that takes long to make is not a stalled client', async () => {
    await using served = await serve({ writeStallMs: 200 })
    const { promise, resolve } = Promise.withResolvers<void>()
    served.source.gate = promise
    const answer = served.get(list)
    setTimeout(resolve, 500)
    expect((await answer).status).toBe(200)
  })

  test('a client that goes away aborts its own question', async () => {
    await using served = await serve()
    served.source.gate = new Promise(() => {})
    const socket = await open(served.port)
    socket.write(`GET ${list} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await expect.poll(() => served.source.asked.length).toBe(1)
    socket.destroy()
    await expect.poll(() => served.source.signals[0]?.aborted).toBe(true)
    expect(served.errors).toEqual([])
  })

  test('requests of a pipeline are begun one after another', async () => {
    await using served = await serve()
    const gates = Array.from({ length: 10 }, () => Promise.withResolvers<void>())
    served.source.gate = gates[0]?.promise ?? Promise.resolve()
    const one = `GET ${list} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const socket = await open(served.port)
    socket.write(one.repeat(10))
    for (let begun = 1; begun <= 10; begun++) {
      await expect.poll(() => served.source.asked.length).toBe(begun)
      await served.get('/')
      expect(served.source.asked.length).toBe(begun)
      served.source.gate = gates[begun]?.promise ?? Promise.resolve()
      gates[begun - 1]?.resolve()
    }
    socket.destroy()
  })

  test('a client that asks on and on without waiting is cut, and others are served', async () => {
    await using served = await serve()
    served.source.gate = new Promise(() => {})
    const one = `GET ${list} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const [patient, greedy] = [await open(served.port), await open(served.port)]
    patient.write(one.repeat(100))
    await expect.poll(() => served.source.asked.length).toBe(1)
    greedy.on('error', () => {})
    greedy.write(one.repeat(maxPipelined))
    await once(greedy, 'close')
    expect(served.source.asked).toHaveLength(2)
    served.source.gate = Promise.resolve()
    expect((await served.get(list)).status).toBe(200)
    expect(patient.closed).toBe(false)
    patient.destroy()
    expect(served.errors).toEqual([])
  })

  test('silent connections do not keep others out', async () => {
    await using served = await serve()
    const silent: Socket[] = []
    for (let count = 0; count < crowdedConnections + 50; count++)
      silent.push(await open(served.port))
    expect((await served.get(list)).status).toBe(200)
    const [first] = silent
    await expect.poll(() => first?.destroyed || first?.readableEnded || first?.closed).toBe(true)
    for (const socket of silent) socket.destroy()
  })

  test('busy connections are not closed for new ones', async () => {
    await using served = await serve()
    const { promise, resolve } = Promise.withResolvers<void>()
    served.source.gate = promise
    const answer = served.get(list)
    await expect.poll(() => served.source.asked.length).toBe(1)
    const silent: Socket[] = []
    for (let count = 0; count < crowdedConnections + 50; count++)
      silent.push(await open(served.port))
    resolve()
    expect((await answer).status).toBe(200)
    for (const socket of silent) socket.destroy()
  })
})
