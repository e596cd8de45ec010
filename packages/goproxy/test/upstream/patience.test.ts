import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import {
  maxBusy,
  maxQuietMs,
  maxRetryAfterMs,
  retriesPerSecond,
  retryBurst,
} from '../../src/limits.ts'
import { FetchError } from '../../src/upstream/fetch-error.ts'
import { QuietOrigins } from '../../src/upstream/quiet-origins.ts'
import { RetryBudget } from '../../src/upstream/retry-budget.ts'
import { fetchZip, modPath, module, UpstreamKit, zipPath } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())
afterEach(() => {
  vi.useRealTimers()
})

const origin = 'https://proxy.example'

async function startServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('further attempts', () => {
  test('at one origin are bounded in all, and earned again by time', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const budget = new RetryBudget()
    const take = (count: number, at = origin) =>
      Array.from({ length: count }, () => budget.take(at)).filter(Boolean).length
    expect(take(3 * retryBurst)).toBe(retryBurst)
    expect(take(1, 'https://other.example')).toBe(1)
    vi.advanceTimersByTime(3_000)
    expect(take(3 * retryBurst)).toBe(3 * retriesPerSecond)
    vi.advanceTimersByTime(3_600_000)
    expect(take(3 * retryBurst)).toBe(retryBurst)
  })

  test('at an upstream that answers everything with 500 do not triple its load', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'status', status: 500 })
    const upstream = kit.ask(fake.url)
    const requests = 60
    for (let n = 0; n < requests; n++) {
      await expect(upstream.fetchMod(module, { signal })).rejects.toThrow('500')
    }
    expect(fake.count()).toBeGreaterThanOrEqual(requests + retryBurst)
    expect(fake.count()).toBeLessThan(2 * requests)
  })

  test('wait as long as a Retry-After says, in seconds or as a date', async () => {
    const waitedFor = async (when: 'seconds' | 'date'): Promise<number> => {
      const asked: number[] = []
      const url = await startServer((_, response) => {
        asked.push(performance.now())
        if (asked.length > 1) return response.end('module m\n')
        // A date has whole seconds.
        const date = new Date(Date.now() + 2_000).toUTCString()
        const after = when === 'date' ? date : '1'
        return response.writeHead(429, { 'retry-after': after }).end()
      })
      await kit.ask(url).fetchMod(module, { signal })
      return (asked[1] ?? 0) - (asked[0] ?? 0)
    }
    const waited = await Promise.all([waitedFor('seconds'), waitedFor('date')])
    expect(Math.min(...waited)).toBeGreaterThanOrEqual(950)
  })

  test('never come in step: the pauses of many differ', async () => {
    const url = await startServer((_, response) => response.writeHead(503).end())
    const upstream = kit.ask(url, { backoffMs: 40 })
    const took = async () => {
      const startedMs = performance.now()
      await upstream.fetchMod(module, { signal }).catch(() => undefined)
      return Math.round((performance.now() - startedMs) * 10)
    }
    const times = await Promise.all(Array.from({ length: 8 }, took))
    expect(new Set(times).size).toBeGreaterThan(1)
  })
})

describe('an origin that said 429', () => {
  const said = (retryAfterMs?: number) =>
    new FetchError('status', 'slow', {
      status: 429,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })

  test('is left alone by all requests until it wants them again', async () => {
    const quiet = new QuietOrigins()
    quiet.saw(origin, said(300))
    const startedMs = performance.now()
    const wait = async (each: string) => {
      await quiet.wait(each, signal)
      return performance.now() - startedMs
    }
    const [other = 300, ...waited] = await Promise.all(
      ['https://other.example', origin, origin].map(wait),
    )
    expect(other).toBeLessThan(Math.min(...waited))
    expect(Math.min(...waited)).toBeGreaterThanOrEqual(295)
  })

  test('for longer than anybody waits is an error at once, and never for more than a while', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const quiet = new QuietOrigins()
    quiet.saw(origin, said(3_600_000))
    await expect(quiet.wait(origin, signal)).rejects.toMatchObject({ status: 429 })
    vi.advanceTimersByTime(maxQuietMs - maxRetryAfterMs - 1)
    await expect(quiet.wait(origin, signal)).rejects.toMatchObject({ status: 429 })
    vi.advanceTimersByTime(maxRetryAfterMs + 1)
    await quiet.wait(origin, signal)
  })

  test('without a time, or said something else, is asked on', async () => {
    const quiet = new QuietOrigins()
    quiet.saw(origin, said())
    quiet.saw(origin, new FetchError('status', 'x', { status: 503, retryAfterMs: 60_000 }))
    quiet.saw(origin, new Error('x'))
    await quiet.wait(origin, signal)
  })
})

describe('a body that comes to a stop', () => {
  test('goes on where it was, when the validator is strong', async () => {
    const fake = await kit.startFake()
    fake.break((path) => path === zipPath, { kind: 'stall', afterBytes: 100_000 }, 1)
    const zip = await fetchZip(kit.ask(fake.url, { limits: { stallMs: 500 } }), { signal })
    expect(zip.resets).toBe(0)
    expect(zip.bytes.equals(Buffer.from(fake.bytesOf(zipPath) ?? []))).toBe(true)
    expect(fake.requests.at(-1)?.headers.range).toBe('bytes=100000-')
  })

  test('or only trickles is given up', async () => {
    const url = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': '1000000' })
      response.write('PK')
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    const took = startStopwatch()
    const asked = fetchZip(kit.ask(url, { limits: { stallMs: 300 } }), { signal })
    await expect(asked).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
    await expect(asked).rejects.toThrow('stalled')
    expect(took()).toBeLessThan(5_000)
  })

  test.for([
    ['old enough to be as good as a tag', 120_000, 'bytes=4-'],
    ['as new as the answer: it may name other bytes', 0, undefined],
  ] as const)('goes on by a Last-Modified %s', async ([, ageMs, range]) => {
    const modified = new Date(Date.now() - ageMs).toUTCString()
    const asked: (string | undefined)[] = []
    const url = await startServer((request, response) => {
      asked.push(request.headers.range)
      const isPart = request.headers['if-range'] === modified
      const place = isPart ? { 'content-range': 'bytes 4-9/10' } : {}
      const body = isPart ? '345678' : 'PK12345678'
      response.writeHead(isPart ? 206 : 200, {
        'last-modified': modified,
        'content-length': body.length,
        ...place,
      })
      if (asked.length > 1) response.end(body)
      else response.write('PK12', () => setTimeout(() => response.destroy(), 20))
    })
    const zip = await fetchZip(kit.ask(url), { signal })
    expect([zip.bytes.toString(), zip.resets]).toEqual(['PK12345678', range === undefined ? 1 : 0])
    expect(asked).toEqual([undefined, range])
  })
})

describe('a dead origin', () => {
  test('before a living one costs its requests nothing', async () => {
    const [dead, alive] = [await kit.startFake(), await kit.startFake()]
    dead.break(() => true, { kind: 'stall' })
    const upstream = kit.ask(`${dead.url}|${alive.url}`, { limits: { firstByteMs: 1_000 } })
    await upstream.fetchMod(module, { signal })
    const took = startStopwatch()
    const rounds = 10
    for (let n = 0; n < rounds; n++) {
      expect((await upstream.fetchMod(module, { signal })).from).toBe(alive.url)
    }
    // One by one they would wait a second each.
    expect(took()).toBeLessThan((rounds * 1_000) / 2)
    expect(dead.count()).toBe(1)
    expect(alive.count(modPath)).toBe(rounds + 1)
  })

  test('that a living one redirects to costs nothing either', async () => {
    const [files, front] = [await kit.startFake(), await kit.startFake()]
    files.break(() => true, { kind: 'stall' })
    front.break((path) => path === modPath, { kind: 'redirect', to: files.url + modPath })
    const upstream = kit.ask(front.url, { limits: { firstByteMs: 1_000 } })
    await expect(upstream.fetchMod(module, { signal })).rejects.toMatchObject({ timedOut: true })
    for (let n = 0; n < 10; n++) {
      await expect(upstream.fetchMod(module, { signal })).rejects.toThrow('a moment ago')
    }
    expect(files.count()).toBe(1)
    // The front itself is as well as ever.
    expect((await fetchZip(upstream, { signal })).from).toBe(front.url)
  })
})

test('one upstream has a bounded number of requests at a time, however many are asked', async () => {
  // On a busy machine no request may count as one that waits for a slow answer.
  vi.useFakeTimers({ toFake: ['performance'] })
  let [now, most] = [0, 0]
  const url = await startServer((_, response) => {
    now++
    most = Math.max(most, now)
    setTimeout(() => {
      now--
      response.end('module m\n')
    }, 50)
  })
  const upstream = kit.ask(url)
  const asked = Array.from({ length: 4 * maxBusy }, () => upstream.fetchMod(module, { signal }))
  await Promise.all(asked)
  expect(most).toBeGreaterThan(maxBusy / 2)
  expect(most).toBeLessThanOrEqual(maxBusy)
})
