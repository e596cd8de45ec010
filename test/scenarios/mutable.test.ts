import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

/** One answer of the upstream, or what it does instead of one. */
type Answer =
  | {
      readonly status?: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
      /** Before the first byte. */
      readonly delayMs?: number
    }
  /** Answers 304 when the request's conditions name these validators. */
  | { readonly body: string; readonly validators: Readonly<Record<string, string>> }

/** An upstream of lists and the like, which answers what a test says and notes what it is asked. */
class ChangingUpstream implements AsyncDisposable {
  readonly answers = new Map<string, Answer>()
  readonly asked: { readonly path: string; readonly headers: IncomingMessage['headers'] }[] = []
  readonly #server = createServer((request, response) => void this.#answer(request, response))
  #port = 0

  static async start(): Promise<ChangingUpstream> {
    const upstream = new ChangingUpstream()
    await upstream.up()
    return upstream
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  count(path: string): number {
    return this.asked.filter((each) => each.path === path).length
  }

  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async down(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    const { headers, method } = request
    if (method === 'GET') this.asked.push({ path, headers })
    const answer = this.answers.get(path) ?? { status: 404, body: 'not found\n' }
    if ('validators' in answer) {
      const { etag, 'last-modified': date } = answer.validators
      const isKnown =
        etag === undefined
          ? headers['if-modified-since'] === date
          : headers['if-none-match'] === etag
      response.writeHead(isKnown ? 304 : 200, answer.validators)
      response.end(isKnown ? undefined : answer.body)
      return
    }
    await sleep(answer.delayMs ?? 0)
    response.writeHead(answer.status ?? 200, { 'content-type': 'text/plain', ...answer.headers })
    response.end(answer.body)
  }
}

const ttlMs = 1_000
const isStale = '110 modmesh "Response is Stale"'
const isFailed = '111 modmesh "Revalidation Failed"'
const isOffline = '112 modmesh "Disconnected Operation"'

/** What a client sees. */
interface Seen {
  readonly status: number
  readonly body: string
  readonly warning: string | null
  /** Seconds. */
  readonly age: number | undefined
  readonly cache: string | null
}

async function ask(node: StartedNode, path: string): Promise<Seen> {
  const answer = await fetch(node.url + path)
  const age = answer.headers.get('age')
  return {
    status: answer.status,
    body: await answer.text(),
    warning: answer.headers.get('warning'),
    age: age === null ? undefined : Number(age),
    cache: answer.headers.get('cache-control'),
  }
}

/** Asks until the node has heard of upstream again: on a busy machine it gives the older answer first. */
function patiently(node: StartedNode, path: string): ReturnType<typeof expect.poll<Promise<Seen>>> {
  return expect.poll(() => ask(node, path), { interval: 100 })
}

/** Waits until an answer is not fresh any more: a node in a process of its own has no clock but the real one. */
async function untilOld(node: StartedNode, path: string): Promise<void> {
  const { age = 0 } = await ask(node, path)
  await sleep(ttlMs - age * 1_000 + 50)
}

async function tempFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-mutable-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

function start(upstream: string, dir?: string, more: readonly string[] = []): Promise<StartedNode> {
  const ttls = ['--ttl', '1', '--negative-ttl', '1']
  const args = ['--upstream', upstream, '--sumdb', 'off', ...ttls, ...more]
  return startNode(dir === undefined ? { args } : { args, dir })
}

async function answerFiles(dir: string): Promise<string[]> {
  const folder = join(dir, 'store/v1/answers')
  const names = await readdir(folder, { recursive: true }).catch(() => []) // none yet
  return names.filter((name) => name.length > 10).map((name) => join(folder, name))
}

/** The three kinds, and a body for each. */
const kinds = [
  ['list', '/example.com/m/@v/list', 'v1.0.0\n', 'v1.1.0\n'],
  ['@latest', '/example.com/m/@latest', '{"Version":"v1.0.0"}', '{"Version":"v1.1.0"}'],
  ['a query', '/example.com/m/@v/main.info', '{"Version":"v1.0.0"}', '{"Version":"v1.1.0"}'],
] as const

describe('over a restart', () => {
  test('what upstream said is kept with its age, after SIGTERM and after SIGKILL', async () => {
    await using upstream = await ChangingUpstream.start()
    const dir = await tempFolder()
    for (const [, path, body] of kinds) upstream.answers.set(path, { body })
    const startedMs = Date.now()
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await using node = await start(upstream.url, dir)
      for (const [, path, body] of kinds) expect(await ask(node, path)).toMatchObject({ body })
      await expect.poll(() => answerFiles(dir)).toHaveLength(kinds.length)
      await node.end(signal)
    }
    await upstream.down()
    const heardMs = Date.now()
    await sleep(1_100)
    for (const [more, warning] of [
      [[], `${isStale}, ${isFailed}`],
      [['--offline'], `${isStale}, ${isOffline}`],
    ] as const) {
      await using node = await start(upstream.url, dir, more)
      for (const [name, path, body] of kinds) {
        const seen = await ask(node, path)
        expect(seen, name).toMatchObject({ status: 200, body, warning, cache: 'no-cache' })
        expect(seen.age, name).toBeGreaterThanOrEqual(
          Math.floor((Date.now() - heardMs) / 1_000) - 1,
        )
        expect(seen.age, name).toBeGreaterThanOrEqual(1)
        expect(seen.age, name).toBeLessThanOrEqual(Math.ceil((Date.now() - startedMs) / 1_000))
      }
    }
  })

  test.for([
    ['ETag', { etag: '"one"' }, { 'if-none-match': '"one"' }],
    ['weak ETag', { etag: 'W/"one"' }, { 'if-none-match': 'W/"one"' }],
    [
      'Last-Modified',
      { 'last-modified': 'Tue, 02 Jan 2024 03:04:05 GMT' },
      { 'if-modified-since': 'Tue, 02 Jan 2024 03:04:05 GMT' },
    ],
  ] as const)('upstream is asked whether it changed, by %s', async ([, validators, condition]) => {
    await using upstream = await ChangingUpstream.start()
    const dir = await tempFolder()
    for (const [, path, body] of kinds) upstream.answers.set(path, { body, validators })
    {
      await using node = await start(upstream.url, dir)
      for (const [, path] of kinds) await ask(node, path)
      await expect.poll(() => answerFiles(dir)).toHaveLength(kinds.length)
    }
    upstream.asked.length = 0
    await using node = await start(upstream.url, dir)
    const startedMs = performance.now()
    for (const [, path, body] of kinds) {
      await patiently(node, path).toMatchObject({ status: 200, body, warning: null })
      await ask(node, path)
    }
    // Once each, and again when what it said is old.
    const lives = Math.floor((performance.now() - startedMs) / ttlMs)
    expect(upstream.asked.length).toBeGreaterThanOrEqual(kinds.length)
    expect(upstream.asked.length).toBeLessThanOrEqual(kinds.length * (1 + lives))
    for (const { headers } of upstream.asked) expect(headers).toMatchObject(condition)
  })

  test('damaged files are as none: upstream is asked, and offline there is nothing', async () => {
    await using upstream = await ChangingUpstream.start()
    const dir = await tempFolder()
    for (const [, path, body] of kinds)
      upstream.answers.set(path, { body, validators: { etag: '"e"' } })
    {
      await using node = await start(upstream.url, dir)
      for (const [, path] of kinds) await ask(node, path)
      await expect.poll(() => answerFiles(dir)).toHaveLength(kinds.length)
    }
    const files = await answerFiles(dir)
    for (const [i, file] of files.entries()) {
      const bytes = await readFile(file)
      const last = bytes.length - 1
      bytes[last] = (bytes[last] ?? 0) ^ 1
      const damaged = [bytes, Buffer.alloc(0), Buffer.from('v9.9.9\n')][i] ?? bytes
      await writeFile(file, damaged)
    }
    {
      await using node = await start(upstream.url, dir, ['--offline'])
      for (const [name, path] of kinds) expect((await ask(node, path)).status, name).toBe(404)
    }
    upstream.asked.length = 0
    await using node = await start(upstream.url, dir)
    for (const [name, path, body] of kinds) {
      expect(await ask(node, path), name).toMatchObject({ status: 200, body })
    }
    for (const { headers } of upstream.asked) expect(headers['if-none-match']).toBeUndefined()
  })
})

describe('a running node', () => {
  let upstream: ChangingUpstream
  let node: StartedNode
  let modules = 0

  beforeAll(async () => {
    upstream = await ChangingUpstream.start()
    node = await start(upstream.url)
  })
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]()
    await upstream?.[Symbol.asyncDispose]()
  })

  /** A list that nobody asked for yet. */
  function newList(answer: Answer): string {
    const path = `/example.com/list${modules++}/@v/list`
    upstream.answers.set(path, answer)
    return path
  }

  test('gives an older list at once while upstream is slow, and the newer one when it is there', async () => {
    const path = newList({ body: 'v1.0.0\n' })
    await ask(node, path)
    await untilOld(node, path)
    upstream.answers.set(path, { body: 'v1.1.0\n', delayMs: 6_000 })
    const startedMs = performance.now()
    const older = await ask(node, path)
    // Generous: others use the machine, too. Whoever waits for upstream waits longer.
    expect(performance.now() - startedMs).toBeLessThan(4_000)
    expect(older).toMatchObject({ body: 'v1.0.0\n', warning: isStale, cache: 'no-cache' })
    expect(older.age).toBeGreaterThanOrEqual(1)
    const body = async (): Promise<string> => (await ask(node, path)).body
    await expect.poll(body, { interval: 100 }).toBe('v1.1.0\n')
    expect(upstream.count(path)).toBe(2)
  })

  test.for([
    ['500', { status: 500, body: 'oops' }],
    ['403', { status: 403, body: 'no' }],
    ['a login page', { headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' }],
    ['no HTTP that we read', { headers: { 'content-encoding': 'br' }, body: 'v9.9.9\n' }],
    ['a header of a megabyte', { headers: { etag: `"${'x'.repeat(1 << 20)}"` }, body: 'v9.9.9\n' }],
    ['a list of 5 MB', { body: 'v9.9.9\n'.repeat(750_000) }],
  ] as const)('gives an older list for %s, and 502 where there is none', async ([, wrong]) => {
    const fresh = newList(wrong)
    const none = await ask(node, fresh)
    expect([none.status, none.cache]).toEqual([502, 'no-store'])
    const path = newList({ body: 'v1.0.0\n' })
    await ask(node, path)
    await untilOld(node, path)
    upstream.answers.set(path, wrong)
    const older = await ask(node, path)
    expect(older).toMatchObject({ status: 200, body: 'v1.0.0\n', cache: 'no-cache' })
    // Alone where asking once more, as after a 500, takes longer than a client is kept waiting.
    expect([isStale, `${isStale}, ${isFailed}`]).toContain(older.warning)
    upstream.answers.set(path, { body: 'v1.1.0\n' })
    const body = async (): Promise<string> => (await ask(node, path)).body
    await expect.poll(body, { interval: 200 }).toBe('v1.1.0\n')
  })

  test('takes 304 from nobody whom it did not ask, and the same bytes from one that always says it', async () => {
    const unasked = newList({ status: 304 })
    expect((await ask(node, unasked)).status).toBe(502)
    const path = newList({ body: 'v1.0.0\n', headers: { etag: '"one"' } })
    await ask(node, path)
    upstream.answers.set(path, { status: 304 })
    for (let turn = 0; turn < 2; turn++) {
      await untilOld(node, path)
      await patiently(node, path).toMatchObject({ status: 200, body: 'v1.0.0\n', warning: null })
    }
    expect(upstream.asked.filter((each) => each.path === path).at(-1)?.headers).toMatchObject({
      'if-none-match': '"one"',
    })
  })

  test('keeps no ETag of kilobytes, nor one with odd bytes', async () => {
    for (const etag of [`"${'x'.repeat(4 << 10)}"`, '"\u00e9\u0080"']) {
      const path = newList({ body: 'v1.0.0\n', headers: { etag } })
      expect(await ask(node, path)).toMatchObject({ status: 200, body: 'v1.0.0\n' })
      await untilOld(node, path)
      expect(await ask(node, path)).toMatchObject({ status: 200, body: 'v1.0.0\n' })
      await expect.poll(() => upstream.count(path)).toBeGreaterThan(1)
      const last = upstream.asked.filter((each) => each.path === path).at(-1)
      expect(last?.headers['if-none-match']).toBeUndefined()
    }
  })

  test('follows an upstream that flips between two answers', async () => {
    const path = newList({ body: 'v1.0.0\n', validators: { etag: '"0"' } })
    for (let turn = 0; turn < 3; turn++) {
      const body = `v1.${turn % 2}.0\n`
      upstream.answers.set(path, { body, validators: { etag: `"${turn % 2}"` } })
      await patiently(node, path).toMatchObject({ body })
      await untilOld(node, path)
    }
  })

  test('believes "not found" for a moment', async () => {
    const path = `/example.com/none${modules++}/@v/list`
    const startedMs = performance.now()
    for (let i = 0; i < 5; i++) expect((await ask(node, path)).status).toBe(404)
    const lives = Math.floor((performance.now() - startedMs) / ttlMs)
    const asked = upstream.count(path)
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThanOrEqual(1 + lives)
    upstream.answers.set(path, { body: 'v1.0.0\n' })
    const status = async (): Promise<number> => (await ask(node, path)).status
    await expect.poll(status, { interval: 100 }).toBe(200)
    expect((await statusOf(node)).answers.levels.negative).toBeGreaterThanOrEqual(5 - asked)
  })

  test('asks once for a burst, also when who asked first goes away', async () => {
    const path = newList({ body: 'v1.0.0\n', delayMs: 1_000 })
    const first = get(node.url + path, { agent: false })
    first.on('error', () => undefined) // it is we who hang up
    const gone = new Promise((resolve) => first.once('close', resolve))
    await expect.poll(() => upstream.count(path)).toBe(1)
    const others = Array.from({ length: 40 }, () => ask(node, path))
    first.destroy()
    await gone
    for (const { status, body } of await Promise.all(others)) {
      expect([status, body]).toEqual([200, 'v1.0.0\n'])
    }
    expect(upstream.count(path)).toBe(1)
  })

  test('says whether its own answer changed', async () => {
    const path = newList({ body: 'v1.0.0\n' })
    const etag = (await fetch(node.url + path)).headers.get('etag') ?? ''
    const same = await fetch(node.url + path, { headers: { 'if-none-match': etag } })
    expect([same.status, await same.text()]).toEqual([304, ''])
    await untilOld(node, path)
    upstream.answers.set(path, { body: 'v1.1.0\n' })
    const other = async () => {
      const answer = await fetch(node.url + path, { headers: { 'if-none-match': etag } })
      return [answer.status, await answer.text()]
    }
    await expect.poll(other, { interval: 100 }).toEqual([200, 'v1.1.0\n'])
  })
})

describe('when upstream goes down', () => {
  test('older answers stand in for what is known, and upstream is heard as soon as it is back', async () => {
    const upstream = await ChangingUpstream.start()
    onTestFinished(() => upstream[Symbol.asyncDispose]())
    await using node = await start(upstream.url)
    for (const [, path, body] of kinds) {
      upstream.answers.set(path, { body })
      await ask(node, path)
    }
    for (const [, path] of kinds) await untilOld(node, path)
    await upstream.down()
    for (const [name, path, body] of kinds) {
      const warning = `${isStale}, ${isFailed}`
      await patiently(node, path).toMatchObject({ status: 200, body, warning })
      expect((await ask(node, path)).age, name).toBeGreaterThanOrEqual(1)
    }
    const unknown = await ask(node, '/example.com/unknown/@v/list')
    expect([unknown.status, unknown.cache]).toEqual([502, 'no-store'])
    expect((await statusOf(node)).upstream.lastOk).toBe(false)
    await upstream.up()
    for (const [, path, , newer] of kinds) {
      upstream.answers.set(path, { body: newer })
      const body = async (): Promise<string> => (await ask(node, path)).body
      await expect.poll(body).toBe(newer)
    }
    expect((await statusOf(node)).upstream.lastOk).toBe(true)
  })
})
