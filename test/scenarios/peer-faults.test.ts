import type { TestNetwork } from '@modmesh/peers/testing'
import {
  endlessProtocol,
  receiveInto,
  sendChunks,
  startMemberProcess,
  startTestMesh,
  startTestNetwork,
} from '@modmesh/peers/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startSlowLink } from '../support/slow-link.ts'
import { startStopwatch } from '../support/stopwatch.ts'

const MiB = 1024 * 1024
let cleanups: AsyncDisposableStack

beforeEach(() => {
  cleanups = new AsyncDisposableStack()
})

afterEach(() => cleanups.disposeAsync())

test('a sender that is killed is a cut body within a second, never a short one', async () => {
  const node = cleanups.use(await startTestNetwork())
  const sender = cleanups.use(await startMemberProcess(await node.invite()))
  const stream = await node.openStream(sender.address, endlessProtocol)
  let received = 0
  const sink = {
    write: (chunk: Uint8Array) => {
      received += chunk.byteLength
      return Promise.resolve()
    },
  }
  const { signal } = new AbortController()
  const body = receiveInto(stream, sink, { length: 1e12, signal })
  body.catch(() => {})
  await expect.poll(() => received).toBeGreaterThan(8 * MiB)
  await sender.kill()
  const took = startStopwatch()
  await expect(body).rejects.toThrow(expect.objectContaining({ code: 'STREAM_CUT' }))
  expect(took()).toBeLessThan(1000)
})

test('a frozen member of the DHT costs every lookup a bounded time, not a growing one', async () => {
  const mesh = await startTestMesh(4)
  for (const node of mesh) cleanups.use(node)
  const [first, ...rest] = mesh
  const frozen = cleanups.use(await startMemberProcess(await first.invite()))
  for (const node of rest) await node.connect(first.address)
  for (const node of mesh) await node.connect(frozen.address)
  await expect.poll(() => tableSize(first)).toBe(4)
  frozen.freeze()
  const times: number[] = []
  for (let n = 0; n < 6; n++) times.push(await missMs(first, n))
  frozen.thaw()
  expect(Math.max(...times)).toBeLessThan(4000)
})

test('a large body on a 10 Mbit/s link outlives the pings that wait behind it', async () => {
  // Pings every second and late after two, so that the test need not run for minutes.
  const adjust: NonNullable<Parameters<typeof startTestNetwork>[0]>['adjust'] = (options) => ({
    ...options,
    connectionMonitor: {
      ...options.connectionMonitor,
      pingInterval: 1000,
      pingTimeout: { minTimeout: 500, maxTimeout: 500 },
    },
  })
  const server = cleanups.use(await startTestNetwork({ dht: false, adjust }))
  const ticket = await server.invite()
  const client = cleanups.use(await startTestNetwork({ dht: false, adjust, ticket }))
  const toPort = Number(server.address.split('/')[4])
  const link = cleanups.use(await startSlowLink({ toPort, bitsPerSecond: 10_000_000 }))
  const length = 12 * MiB
  const { signal } = new AbortController()
  await server.network.libp2p.handle('/test/large', (stream) => {
    sendChunks(stream, [new Uint8Array(length)], { signal })
      .then(() => stream.close())
      .catch(() => {})
  })
  const address = `/ip4/127.0.0.1/tcp/${link.port}/p2p/${server.network.peerId}`
  const stream = await client.openStream(address, '/test/large')
  let received = 0
  const sink = {
    write: (chunk: Uint8Array) => {
      received += chunk.byteLength
      return Promise.resolve()
    },
  }
  await receiveInto(stream, sink, { length, signal })
  expect(received).toBe(length)
})

function tableSize(node: TestNetwork): number {
  const dht = node.network.dht
  return dht !== undefined && 'routingTable' in dht ? sizeOf(dht.routingTable) : 0
}

function sizeOf(table: unknown): number {
  return typeof table === 'object' && table !== null && 'size' in table ? Number(table.size) : 0
}

/** Looks for a key that nobody has and returns how long that took. */
async function missMs(node: TestNetwork, n: number): Promise<number> {
  const took = startStopwatch()
  const signal = AbortSignal.timeout(60_000)
  const key = new Uint8Array(32).fill(n + 1)
  for await (const event of node.network.dht?.getClosestPeers(key, { signal }) ?? []) {
    expect(event.name).not.toBe('VALUE')
  }
  return took()
}
