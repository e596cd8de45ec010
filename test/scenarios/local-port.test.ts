import { readdir, readFile } from 'node:fs/promises'
import { get as httpGet, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const held: FakeModule = { path: 'example.com/held', version: 'v1.0.0' }
const fresh: FakeModule = { path: 'example.com/fresh', version: 'v1.0.0' }
const secret = 'correct-horse-battery'

let upstream: FakeUpstream
let node: StartedNode

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [held, fresh] })
  node = await startNode({ args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb] })
  for (const suffix of ['info', 'mod', 'zip'] as const) {
    expect((await ask(node.url + filePath(held, suffix))).status).toBe(200)
  }
})
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
  await upstream?.[Symbol.asyncDispose]()
})

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** One request over a connection of its own, with headers that `fetch` would not let us set. */
function ask(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        body += chunk
      })
      const { date: _, ...rest } = answer.headers
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: rest, body }))
    })
    request.on('error', reject)
    request.end()
  })
}

/** Everything that can be asked for; what is held is in memory by now. */
const targets = [
  filePath(held, 'info'),
  filePath(held, 'mod'),
  filePath(held, 'zip'),
  `/cached-only${filePath(held, 'zip')}`,
  filePath(fresh, 'zip'),
  '/example.com/fresh/@v/list',
  '/example.com/fresh/@latest',
  '/example.com/fresh/@v/main.info',
  '/sumdb/sum.test/supported',
  '/sumdb/sum.test/lookup/example.com/fresh@v1.0.0',
  '/',
  '/-/',
  '/-/status',
  '/-/healthz',
  '/-/index',
]

/** What a browser sends for a page that is not ours. */
const pages = [
  { name: 'a name rebound to us', headers: { host: 'rebound.example' } },
  { name: 'a name rebound to us, with a port', headers: { host: 'rebound.example:4770' } },
  { name: 'a name that only looks like us', headers: { host: 'localhost.evil.example' } },
  { name: 'an address that is not ours', headers: { host: '192.0.2.1' } },
  { name: 'a page that reads', headers: { origin: 'https://evil.example' } },
  { name: 'a sandboxed page', headers: { origin: 'null' } },
  { name: 'another port of this machine', headers: { origin: 'http://localhost:3000' } },
  { name: 'an image of a page', headers: { 'sec-fetch-site': 'cross-site' } },
  { name: 'an image of a page of this machine', headers: { 'sec-fetch-site': 'same-site' } },
  { name: 'an image in an older browser', headers: { referer: 'https://evil.example/page' } },
]

describe('a web page', () => {
  test.for(pages)('cannot ask: $name', async ({ headers }) => {
    const before = upstream.count()
    for (const target of targets) {
      const { status, headers: given, body } = await ask(node.url + target, headers)
      expect(status, target).toBe(403)
      expect(Object.keys(given), target).not.toContain('access-control-allow-origin')
      expect(body.length, target).toBeLessThan(200)
    }
    expect(upstream.count()).toBe(before)
  })

  test('cannot read an answer, whoever asked for it', async () => {
    for (const target of targets) {
      const { headers } = await ask(node.url + target, { 'sec-fetch-site': 'same-origin' })
      expect(Object.keys(headers), target).not.toContain('access-control-allow-origin')
      expect(headers['x-content-type-options'], target).toBe('nosniff')
    }
  })

  test('never starts version control, and go does', async () => {
    await using direct = await startNode({
      args: ['--upstream', 'direct', '--sumdb', 'off', '--fetch-timeout', '20'],
      // Nothing outside is asked.
      env: { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' },
    })
    const target = '/git.example.com/team/thing/@v/v1.0.0.info'
    for (const { headers } of pages) {
      expect((await ask(direct.url + target, headers)).status).toBe(403)
    }
    expect(await readdir(direct.dir)).not.toContain('direct')
    const { status } = await ask(direct.url + target)
    expect(status).not.toBe(403)
    expect(await readdir(direct.dir)).toContain('direct')
  })
})

describe('nothing that changes state', () => {
  test.for(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])(
    'is done over HTTP: %s is refused',
    async (method) => {
      for (const target of [...targets, '/-/gc', '/-/invite', '/-/token', '/-/pin']) {
        expect((await ask(node.url + target, {}, method)).status, target).toBe(405)
      }
      expect((await ask(node.url + filePath(held, 'zip'))).status).toBe(200)
    },
  )

  test('and no secret is to be had by asking', async () => {
    for (const target of ['/-/token', '/-/ticket', '/-/invite', '/-/config', '/-/env']) {
      expect((await ask(node.url + target)).status, target).toBe(404)
    }
  })
})

describe('a secret path', () => {
  const guesses = [
    '/',
    '//',
    '/-/status',
    '/-/healthz',
    filePath(held, 'zip'),
    ...[
      secret.slice(0, 1),
      secret.slice(0, -1),
      `${secret}x`,
      `x${secret}`,
      `${secret}.`,
      `${secret};`,
      `${secret}%20`,
      `/${secret}`,
      `./${secret}`,
      `x/../${secret}`,
      secret.toUpperCase(),
    ].flatMap((guess) => [`/${guess}`, `/${guess}${filePath(held, 'zip')}`]),
  ]

  test('that is guessed wrong is answered like any other wrong one', async () => {
    await using closed = await startNode({
      args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb],
      env: { MODMESH_PATH_SECRET: secret },
    })
    expect((await ask(`${closed.url}/${secret}${filePath(held, 'zip')}`)).status).toBe(200)
    const before = upstream.count()
    const answers = new Map<string, string>()
    for (const guess of guesses) {
      const answer = await askRaw(closed.url, guess)
      expect(answer.status, guess).toBe(404)
      answers.set(JSON.stringify(answer), guess)
    }
    expect([...answers.keys()]).toHaveLength(1)
    expect(upstream.count()).toBe(before)
    // Whoever may ask `ps` sees no more.
    const argv = await readFile(`/proc/${closed.pid}/cmdline`, 'utf8')
    expect(argv).not.toContain(secret)
  })

  test('is not to be seen in the list of processes, even as a flag', async () => {
    const flags = ['--upstream', upstream.url, '--path-secret', secret]
    await using closed = await startNode({ args: flags })
    expect(await readFile(`/proc/${closed.pid}/cmdline`, 'utf8')).not.toContain(secret)
    expect(closed.log()).not.toContain(secret)
    expect(await readdir(join(closed.dir, 'run'))).not.toContain(secret)
  })
})

/** As `ask`, with the path as it is written. */
function askRaw(base: string, path: string): Promise<Answered> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    httpGet({ hostname, port, path, agent: false }, (answer) => {
      let body = ''
      answer.on('data', (chunk) => {
        body += chunk
      })
      const { date: _, ...headers } = answer.headers
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers, body }))
    }).on('error', reject)
  })
}
