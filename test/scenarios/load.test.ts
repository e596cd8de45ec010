import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  crowdedConnections,
  maxHeaderBytes,
  maxHeaderCount,
} from '../../packages/goproxy/src/limits.ts'
import { type Fetched, fetchAndDrop, HeldSockets } from '../support/clients.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const mib = 1 << 20
/** What a node may take while it serves large zips, bytes. */
const maxMemory = 400_000_000
/**
 * Longest answer while others misbehave, ms. Whoever waits for a stalled upstream, a silent client or a slow reader
 * waits for 20 s or more; two busy cores alone cost seconds.
 */
const patienceMs = 12_000

function moduleOf(name: string, bytes = 0): FakeModule {
  const path = `example.com/${name}`
  const files = {
    'go.mod': `module ${path}\n\ngo 1.20\n`,
    ...(bytes > 0 ? { 'noise.bin': randomBytes(bytes) } : {}),
  }
  return {
    path,
    version: 'v1.0.0',
    files,
    zip: { all: { method: 'store', dataDescriptor: false } },
  }
}

/** Asked over and over, while others misbehave. */
const small = moduleOf('small')
const large = moduleOf('large', 24 * mib)
const slow = Array.from({ length: 40 }, (_, i) => moduleOf(`slow${i}`))
const others = Array.from({ length: 30 }, (_, i) => moduleOf(`other${i}`))

let upstream: FakeUpstream
let node: StartedNode

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [small, large, ...slow, ...others] })
  node = await startNode({ args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb] })
  await fetchAndDrop(node.url + filePath(small, 'zip'))
  await fetchAndDrop(node.url + filePath(large, 'zip'))
})
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
  await upstream?.[Symbol.asyncDispose]()
})

/** A held file and a new one, each over a connection of its own. */
async function expectServed(fresh: FakeModule | undefined): Promise<void> {
  const asked = [small, ...(fresh === undefined ? [] : [fresh])]
  for (const module of asked) {
    for (const suffix of ['info', 'mod', 'zip'] as const) {
      const { status, tookMs } = await fetchAndDrop(node.url + filePath(module, suffix))
      expect(status, `${module.path} ${suffix}`).toBe(200)
      expect(tookMs, `${module.path} ${suffix}`).toBeLessThan(patienceMs)
    }
  }
}

describe('a burst of equal requests', () => {
  test.for(['info', 'mod', 'zip', 'list', 'latest', 'query'] as const)(
    '50 of %s are one request to upstream',
    async (what) => {
      const module = moduleOf(`burst-${what}`)
      upstream.add(module)
      upstream.addQuery(module.path, 'main', module.version)
      const base = `/${module.path}/@v/`
      const paths = {
        list: `${base}list`,
        latest: `/${module.path}/@latest`,
        query: `${base}main.info`,
        info: `${base}v1.0.0.info`,
        mod: `${base}v1.0.0.mod`,
        zip: `${base}v1.0.0.zip`,
      }
      const stop = upstream.break((path) => path === paths[what], { kind: 'delay', ms: 300 })
      const all = Array.from({ length: 50 }, () => fetchAndDrop(node.url + paths[what]))
      const statuses = (await Promise.all(all)).map(({ status }) => status)
      stop()
      expect(new Set(statuses)).toEqual(new Set([200]))
      expect(upstream.count(paths[what])).toBe(1)
    },
  )
})

describe('others are served while', () => {
  test('200 clients read as slowly as they can', async () => {
    using held = new HeldSockets(node.url)
    const sockets = await held.add(
      200,
      `GET ${filePath(large, 'zip')} HTTP/1.1\nHost: localhost\n\n`,
    )
    for (const socket of sockets) {
      socket.pause()
      socket.once('readable', () => socket.read(1))
    }
    await sleep(500) // lets the node fill what buffers there are
    for (const fresh of others.slice(0, 3)) await expectServed(fresh)
    expect(held.open).toBe(200)
    expect(await memoryOf(node, 'VmHWM')).toBeLessThan(maxMemory)
  })

  test('10,000 connections come and say nothing', async () => {
    using held = new HeldSockets(node.url)
    for (let wave = 0; wave < 20; wave++) {
      await held.add(500)
      if (wave % 5 === 0) await expectServed(others[20 + wave / 5])
    }
    // The longest silent ones made room.
    await expect.poll(() => held.open).toBeLessThanOrEqual(crowdedConnections)
    expect(await openFiles(node)).toBeLessThan(crowdedConnections + 200)
  })

  test('headers come that never end, however steadily', async () => {
    using held = new HeldSockets(node.url)
    const trickling = await held.add(
      300,
      `GET ${filePath(small, 'info')} HTTP/1.1\nHost: localhost\n`,
    )
    const timer = setInterval(() => {
      for (const socket of trickling) socket.write('X-More: y\r\n')
    }, 200)
    try {
      for (const fresh of others.slice(4, 7)) await expectServed(fresh)
      await expect.poll(() => trickling.filter((s) => !s.closed).length).toBe(0)
    } finally {
      clearInterval(timer)
    }
    await expectServed(others[7])
  })

  test('headers come that are giant, or many', async () => {
    using held = new HeldSockets(node.url)
    const path = filePath(small, 'info')
    const giant = `GET ${path} HTTP/1.1\nHost: localhost\nX: ${'y'.repeat(2 * maxHeaderBytes)}\n\n`
    const many = `GET ${path} HTTP/1.1\nHost: localhost\n${'X: y\n'.repeat(2 * maxHeaderCount)}\n`
    const answers = [...(await held.add(150, giant)), ...(await held.add(150, many))].map(readAll)
    await expectServed(others[24])
    const statuses = (await Promise.all(answers)).map((text) => text.split(' ')[1])
    // One that is still sending when it is cut may not read why.
    expect(
      statuses.slice(0, 150).filter((status) => status !== undefined && status !== '431'),
    ).toEqual([])
    expect(new Set(statuses.slice(150))).toEqual(new Set(['431']))
  })

  test('clients ask for thousands of zips without waiting for one', async () => {
    const before = await openFiles(node)
    using held = new HeldSockets(node.url)
    const request = `GET ${filePath(large, 'zip')} HTTP/1.1\nHost: localhost\n\n`
    const sockets = await held.add(20, request.repeat(200))
    for (const socket of sockets) socket.pause()
    await expectServed(others[25])
    // One file for each connection, not for each request.
    expect(await openFiles(node)).toBeLessThan(before + 60)
    const patient = held.open
    await held.add(60, request.repeat(200))
    await expect.poll(() => held.open - patient).toBeLessThan(60)
    await expectServed(others[26])
  })

  test('clients go away in the middle', async () => {
    const stop = upstream.break((path) => path.includes('other8'), { kind: 'delay', ms: 400 })
    {
      using held = new HeldSockets(node.url)
      await held.add(100, `GET ${filePath(large, 'zip')} HTTP/1.1\nHost: localhost\n\n`)
      await held.add(
        100,
        `GET ${filePath(moduleOf('other8'), 'zip')} HTTP/1.1\nHost: localhost\n\n`,
      )
      await sleep(150)
    }
    for (const fresh of others.slice(9, 12)) await expectServed(fresh)
    stop()
    // The fill belongs to nobody: it went on, and was one.
    const { status } = await fetchAndDrop(node.url + filePath(moduleOf('other8'), 'zip'))
    expect(status).toBe(200)
    expect(upstream.count(filePath(moduleOf('other8'), 'zip'))).toBe(1)
    await expect.poll(() => openFiles(node)).toBeLessThan(200)
  })

  test('upstream stalls: thirty slow modules do not delay a thirty-first', async () => {
    const stop = upstream.break((path) => path.includes('/slow'), { kind: 'stall' })
    using held = new HeldSockets(node.url)
    for (const module of slow.slice(0, 30)) {
      for (const suffix of ['info', 'mod', 'zip'] as const) {
        await held.add(1, `GET ${filePath(module, suffix)} HTTP/1.1\nHost: localhost\n\n`)
      }
    }
    await expect
      .poll(() => upstream.requests.filter((r) => r.path.includes('/slow')).length)
      .toBeGreaterThanOrEqual(30)
    for (const fresh of others.slice(12, 16)) await expectServed(fresh)
    stop()
  })

  test('upstream stalls in the middle of zips', async () => {
    const late = Array.from({ length: 30 }, (_, i) => moduleOf(`half${i}`, mib))
    for (const module of late) upstream.add(module)
    const stall = { kind: 'stall', afterBytes: 300_000 } as const
    const stop = upstream.break((path) => path.includes('/half'), stall)
    using held = new HeldSockets(node.url)
    for (const module of late) {
      await held.add(1, `GET ${filePath(module, 'zip')} HTTP/1.1\nHost: localhost\n\n`)
    }
    await sleep(300)
    for (const fresh of others.slice(16, 20)) await expectServed(fresh)
    stop()
  })

  test('and after all of that no file is left open, and memory was bounded', async () => {
    await expect.poll(() => openFiles(node)).toBeLessThan(200)
    // Of that, 200 MB are new space and workers, which are as large as the worst moment needed.
    expect(await memoryOf(node, 'VmHWM')).toBeLessThan(1.5 * maxMemory)
    expect((await statusOf(node)).state).toBe('ready')
  })
})

test('a 300 MB zip for 20 clients at once costs less than 400 MB of memory', async () => {
  const huge = moduleOf('huge', 300_000_000)
  upstream.add(huge)
  await using fresh = await startNode({
    args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb],
  })
  const url = fresh.url + filePath(huge, 'zip')
  const all: Fetched[] = await Promise.all(Array.from({ length: 20 }, () => fetchAndDrop(url)))
  const size = upstream.bytesOf(filePath(huge, 'zip'))?.length
  expect(all.map((each) => [each.status, each.size])).toEqual(all.map(() => [200, size]))
  expect(upstream.count(filePath(huge, 'zip'))).toBe(1)
  expect(await memoryOf(fresh, 'VmHWM')).toBeLessThan(maxMemory)
  expect((await statusOf(fresh)).state).toBe('ready')
})

/** A field of /proc/PID/status, bytes. */
async function memoryOf({ pid }: StartedNode, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n')
  const line = lines.find((each) => each.startsWith(`${field}:`)) ?? ''
  return (
    Number(
      line
        .split(' ')
        .filter((word) => word !== '')
        .at(-2),
    ) * 1024
  )
}

/** What a server said until it closed the connection. */
async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  if (!socket.closed) await once(socket, 'close')
  return text
}

async function openFiles({ pid }: StartedNode): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}
