import { networkInterfaces } from 'node:os'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectionMonitor, dhtProtocol, streamOptions } from '../../src/network/settings.ts'
import type { TestNetwork, TestNetworkInit } from '../../testing/index.ts'
import { newTestIdentity, startTestMesh, startTestNetwork } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

let cleanups: AsyncDisposableStack

beforeEach(() => {
  cleanups = new AsyncDisposableStack()
})

afterEach(() => cleanups.disposeAsync())

async function start(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return cleanups.use(await startTestNetwork(init))
}

describe('the port', () => {
  test('in use is one clear error, and nothing stays open', async () => {
    const first = await start({ dht: false })
    const listen = first.address.split('/p2p/')[0] ?? ''
    await expect(start({ listen })).rejects.toThrow(
      `cannot listen for peers on ${listen}: the port is in use`,
    )
    await expect(start({ listen, datastoreDir: `${first.dir}/second` })).rejects.toThrow(
      expect.objectContaining({ code: 'PEER_LISTEN', address: listen }),
    )
    await start({ datastoreDir: `${first.dir}/second`, dht: false })
  })

  test('of an address that this host does not have is a clear error', async () => {
    await expect(start({ listen: '192.0.2.1:0' })).rejects.toThrow('does not have that address')
  })

  test('that is none is refused', async () => {
    await expect(start({ listen: 'nowhere' })).rejects.toThrow(
      expect.objectContaining({ code: 'INVALID_PEER_ADDRESS' }),
    )
  })
})

describe('addresses', () => {
  test('of a node on loopback are loopback, with peer id', async () => {
    const { network } = await start({ dht: false })
    expect(network.addresses()).toEqual([
      expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3/),
    ])
    expect(network.addresses()[0]).toContain(network.peerId)
  })

  test('of a node on all interfaces are those of other interfaces, if there are any', async () => {
    const { network } = await start({ dht: false, listen: '0.0.0.0:0' })
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(
        (one) => one.family === 'IPv4' && !one.internal && !one.address.startsWith('169.254.'),
      )
    const hosts = network.addresses().map((address) => address.split('/')[2])
    expect(hosts).not.toContain('0.0.0.0')
    expect(new Set(hosts)).toEqual(
      new Set(others.length > 0 ? others.map((one) => one.address) : ['127.0.0.1']),
    )
  })
})

test('the identity stays over a restart', async () => {
  const identity = await newTestIdentity()
  const first = await start({ identity, dht: false })
  await first.stop()
  const second = await start({ identity, datastoreDir: first.dir, dht: false })
  expect(second.network.peerId).toBe(identity.peerId)
  expect(first.network.peerId).toBe(identity.peerId)
})

describe('fences', () => {
  test('the read buffer holds at least two windows, else pausing cuts a stream', () => {
    expect(streamOptions.maxReadBufferLength).toBeGreaterThanOrEqual(
      2 * streamOptions.maxStreamWindowSize,
    )
  })

  test('a late ping does not cut a busy connection', () => {
    expect(connectionMonitor.abortConnectionOnPingFailure).toBe(false)
  })

  test('options that reach libp2p are those of the reference', async () => {
    const seen = Promise.withResolvers<object>()
    const adjust: NonNullable<TestNetworkInit['adjust']> = (options) => {
      seen.resolve(options)
      return options
    }
    await start({ maxConnections: 77, adjust })
    expect(await seen.promise).toMatchObject({
      connectionMonitor: { abortConnectionOnPingFailure: false },
      connectionManager: {
        maxConnections: 77,
        inboundConnectionThreshold: 200,
        maxIncomingPendingConnections: 100,
        reconnectRetries: 1e6,
        reconnectBackoffFactor: 1,
      },
      peerStore: { maxAddressAge: Infinity, maxPeerAge: Infinity },
    })
  })

  test('connections beyond the limit are refused', async () => {
    const hub = await start({ dht: false, maxConnections: 2 })
    const ticket = await hub.invite()
    const spokes = await Promise.all([1, 2, 3].map(() => start({ dht: false, ticket })))
    const [first, second, third] = spokes as [TestNetwork, TestNetwork, TestNetwork]
    await first.network.libp2p.dial(multiaddr(hub.address))
    await second.network.libp2p.dial(multiaddr(hub.address))
    await expect(third.network.libp2p.dial(multiaddr(hub.address))).rejects.toThrow()
    expect(hub.network.libp2p.getConnections()).toHaveLength(2)
  })
})

describe('the DHT', () => {
  test('provides and finds over loopback, soon after start', async () => {
    const mesh = await startTestMesh(3)
    for (const node of mesh) cleanups.use(node)
    const [a, b, c] = mesh as [TestNetwork, TestNetwork, TestNetwork]
    await b.network.libp2p.dial(multiaddr(a.address))
    await c.network.libp2p.dial(multiaddr(a.address))
    const cid = CID.create(1, raw.code, await sha256.digest(Uint8Array.of(1)))
    const signal = AbortSignal.timeout(60_000)
    // A connection is not in the table before identify is done; until then nobody takes a record.
    await patiently(() => provided(b, cid, signal)).toBeGreaterThan(0)
    let found = ''
    for await (const provider of c.network.libp2p.contentRouting.findProviders(cid, { signal })) {
      found = provider.id.toString()
      break
    }
    expect(found).toBe(b.network.peerId)
    expect(a.network.libp2p.getProtocols()).toContain(dhtProtocol)
  })

  test('remembers over a restart what it announced, until it is withdrawn', async () => {
    const node = await start()
    const { identity, store, dir } = node
    const cid = CID.create(1, raw.code, await sha256.digest(Uint8Array.of(3)))
    const { bytes } = cid.multihash
    expect(await node.network.announcedMs(bytes)).toBeUndefined()
    const before = Date.now()
    await provided(node, cid, AbortSignal.timeout(60_000))
    await node.stop()
    const again = await start({ identity, store, datastoreDir: dir })
    const atMs = await again.network.announcedMs(bytes)
    expect(atMs).toBeGreaterThanOrEqual(before)
    expect(atMs).toBeLessThanOrEqual(Date.now())
    await again.network.dht?.cancelReprovide(cid)
    expect(await again.network.announcedMs(bytes)).toBeUndefined()
  })

  test('on a lone node answers at once that it knows nobody', async () => {
    const { network } = await start()
    const cid = CID.create(1, raw.code, await sha256.digest(Uint8Array.of(2)))
    const found: unknown[] = []
    const signal = AbortSignal.timeout(20_000)
    for await (const provider of network.libp2p.contentRouting.findProviders(cid, { signal })) {
      found.push(provider)
    }
    expect(found).toEqual([])
  })
})

async function provided(node: TestNetwork, cid: CID, signal: AbortSignal): Promise<number> {
  let taken = 0
  for await (const event of node.network.dht?.provide(cid, { signal }) ?? []) {
    if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') taken += 1
  }
  return taken
}

test('stopping twice is stopping once', async () => {
  const node = await start()
  await Promise.all([node.stop(), node.stop()])
  await node.stop()
  expect(node.network.libp2p.status).toBe('stopped')
})
