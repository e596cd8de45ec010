import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DialLoopInit } from '../../src/network/dial-loop.ts'
import { DialLoop } from '../../src/network/dial-loop.ts'
import type { DialPace } from '../../src/network/dial-target.ts'
import { maxLearnedAddresses } from '../../src/network/limits.ts'
import type { NetworkEvent } from '../../src/network/network-event.ts'
import type { TestNetwork, TestNetworkInit } from '../../testing/index.ts'
import { newTestIdentity, startTestNetwork } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

const pace: DialPace = { firstMs: 5, maxMs: 40, idleMs: 60_000, steadyMs: 0 }
let cleanups: AsyncDisposableStack
let founder: TestNetwork
let ticket: string

beforeEach(async () => {
  cleanups = new AsyncDisposableStack()
  founder = await start()
  ticket = await founder.membership.invite({}, [])
})

afterEach(async () => {
  vi.useRealTimers()
  await cleanups.disposeAsync()
})

async function start(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return cleanups.use(await startTestNetwork({ dht: false, ...init }))
}

async function dialFrom(
  node: TestNetwork,
  init: Partial<DialLoopInit> = {},
): Promise<{ loop: DialLoop; events: NetworkEvent[] }> {
  const { network, membership } = node
  const events: NetworkEvent[] = []
  const log = (event: NetworkEvent): void => void events.push(event)
  const loop = new DialLoop(
    { network, membership, log },
    { configured: [], connect: 'all', pace, ...init },
  )
  cleanups.defer(() => loop.stop())
  await loop.start()
  return { loop, events }
}

function peers(node: TestNetwork): string[] {
  return node.network.libp2p.getPeers().map(String)
}

function listenOf(node: TestNetwork): string {
  return node.address.split('/p2p/')[0] ?? ''
}

describe('a configured address', () => {
  test('is connected, written as host:port too', async () => {
    const node = await start({ ticket })
    const [, , host, , port] = founder.address.split('/')
    const { loop } = await dialFrom(node, { configured: [`${host}:${port}`] })
    await patiently(() => loop.status()[0]).toMatchObject({
      connected: true,
      peer: founder.network.peerId,
      failures: 0,
    })
  })

  test('that is no address is refused at once', async () => {
    const { network, membership } = founder
    const init = { configured: ['nonsense'], connect: 'all' } as const
    expect(() => new DialLoop({ network, membership }, init)).toThrow(
      expect.objectContaining({ code: 'INVALID_PEER_ADDRESS' }),
    )
  })

  test('is dialled until it answers, and logged once while nothing changes', async () => {
    const node = await start({ ticket })
    const { identity, store, dir } = founder
    const listen = listenOf(founder)
    await founder.stop()
    const { loop, events } = await dialFrom(node, { configured: [listen] })
    await patiently(() => loop.status()[0]?.failures).toBeGreaterThan(5)
    expect(loop.status()[0]?.lastError).toContain('ECONNREFUSED')
    expect(events.filter((event) => event.kind === 'dial-failed')).toHaveLength(1)
    await start({ identity, store, datastoreDir: dir, listen })
    await patiently(() => loop.status()[0]).toMatchObject({
      connected: true,
      failures: 0,
      lastError: undefined,
    })
  })

  test('is redialled at once when the connection ends', async () => {
    const node = await start({ ticket })
    await dialFrom(node, { configured: [founder.address] })
    for (const _ of [1, 2, 3]) {
      await patiently(() => peers(node)).toEqual([founder.network.peerId])
      await Promise.all(founder.network.libp2p.getConnections().map((one) => one.close()))
      await patiently(() => peers(founder)).toEqual([node.network.peerId])
    }
  })

  test('behind which another host answers now is connected all the same', async () => {
    const node = await start({ ticket })
    const listen = listenOf(founder)
    const { loop } = await dialFrom(node, { configured: [listen] })
    await patiently(() => loop.status()[0]?.peer).toBe(founder.network.peerId)
    await founder.stop()
    const heir = await start({ ticket, listen })
    await patiently(() => loop.status()[0]).toMatchObject({
      peer: heir.network.peerId,
      connected: true,
    })
  })

  test('that is our own is left alone', async () => {
    const { loop } = await dialFrom(founder, { configured: [listenOf(founder), founder.address] })
    await patiently(() => loop.status()).toMatchObject([{ failures: 1, connected: false }])
    expect(loop.status()[0]?.lastError).toBe('the address is our own')
  })

  test('of another mesh says why it does not connect', async () => {
    const other = await start()
    await other.invite()
    const { loop, events } = await dialFrom(other, { configured: [founder.address] })
    await patiently(() => loop.status()[0]?.failures).toBeGreaterThan(2)
    const message = 'the peer refused our membership: other-mesh'
    expect(loop.status()[0]).toMatchObject({ lastError: message, connected: false })
    expect(events).toEqual([{ kind: 'dial-failed', target: founder.address, message }])
  })
})

describe('a lone node', () => {
  test('dials nobody before it joins, then at once', async () => {
    const lone = await start()
    const { loop } = await dialFrom(lone, { configured: [founder.address] })
    expect(loop.status()[0]).toMatchObject({ failures: 0, connected: false })
    await lone.membership.join(ticket)
    await patiently(() => peers(lone)).toEqual([founder.network.peerId])
    expect(lone.events).toEqual([])
  })
})

describe('the addresses in a ticket', () => {
  test('are dialled', async () => {
    const node = await start({ ticket: await founder.invite() })
    await dialFrom(node)
    await patiently(() => peers(node)).toEqual([founder.network.peerId])
  })

  test('are dialled with connect configured when nothing is configured, else not', async () => {
    const full = await founder.invite()
    const third = await start({ ticket: full })
    const [plain, strict] = [await start({ ticket: full }), await start({ ticket: full })]
    await dialFrom(plain, { connect: 'configured' })
    await patiently(() => peers(plain)).toEqual([founder.network.peerId])
    const { loop } = await dialFrom(strict, { connect: 'configured', configured: [third.address] })
    await patiently(() => peers(strict)).toEqual([third.network.peerId])
    expect(loop.status()).toHaveLength(1)
  })
})

describe('a learned member', () => {
  const info = (node: TestNetwork) => ({
    id: peerIdFromString(node.network.peerId),
    multiaddrs: node.network.libp2p.getMultiaddrs(),
  })

  test('is dialled and kept', async () => {
    const [x, y] = [await start({ ticket }), await start({ ticket })]
    const { loop } = await dialFrom(x)
    await loop.learn(info(y), 'lan')
    await patiently(() => peers(x)).toEqual([y.network.peerId])
    await Promise.all(y.network.libp2p.getConnections().map((one) => one.close()))
    await patiently(() => peers(y)).toEqual([x.network.peerId])
  })

  test('keeps the newest of its addresses, and not more than a few', async () => {
    const { loop } = await dialFrom(founder, { pace: { ...pace, firstMs: 60_000, maxMs: 60_000 } })
    const id = peerIdFromString((await newTestIdentity()).peerId)
    for (let n = 1; n <= 40; n++) {
      await loop.learn({ id, multiaddrs: [multiaddr(`/ip4/127.0.0.1/tcp/${n}`)] }, 'mesh')
    }
    const { addresses } = await founder.network.libp2p.peerStore.get(id)
    expect(addresses).toHaveLength(maxLearnedAddresses)
    expect(addresses.map((one) => one.multiaddr.toString())).toContain('/ip4/127.0.0.1/tcp/40')
  })

  test('is not dialled with connect configured', async () => {
    const [x, y] = [await start({ ticket }), await start({ ticket })]
    const { loop } = await dialFrom(x, { connect: 'configured' })
    await loop.learn(info(y), 'lan')
    await x.network.libp2p.peerStore.merge(info(y).id, { multiaddrs: info(y).multiaddrs })
    expect(loop.status()).toEqual([])
  })

  test('that never answers is forgotten', async () => {
    const { loop } = await dialFrom(founder)
    const { peerId } = await newTestIdentity()
    await loop.learn(
      { id: peerIdFromString(peerId), multiaddrs: [multiaddr('/ip4/127.0.0.1/tcp/1')] },
      'lan',
    )
    expect(loop.status()).toMatchObject([{ target: peerId, origin: 'lan' }])
    await patiently(() => loop.status()).toEqual([])
  })

  test('whose address is another host’s now is tried once', async () => {
    const other = await start({ ticket })
    const { loop } = await dialFrom(founder, { pace: { ...pace, firstMs: 60_000, maxMs: 60_000 } })
    const gone = peerIdFromString((await newTestIdentity()).peerId)
    await loop.learn({ id: gone, multiaddrs: [multiaddr(listenOf(other))] }, 'mesh')
    await patiently(() => loop.status().map(({ target }) => target)).not.toContain(String(gone))
  })

  test('is found again after a restart, without configuration', async () => {
    const node = await start({ ticket })
    await node.network.libp2p.dial(multiaddr(founder.address))
    const { libp2p } = node.network
    await patiently(
      async () =>
        (await libp2p.peerStore.get(peerIdFromString(founder.network.peerId))).addresses.length,
    ).toBeGreaterThan(0)
    await node.stop()
    const { identity, store, dir } = node
    const again = await start({ identity, store, datastoreDir: dir })
    await dialFrom(again)
    await patiently(() => peers(again)).toEqual([founder.network.peerId])
  })

  test('can be dialled by its id two hours after its address was learned', async () => {
    const node = await start({ ticket })
    const id = peerIdFromString(founder.network.peerId)
    await node.network.libp2p.peerStore.merge(id, { multiaddrs: [multiaddr(founder.address)] })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 3_600_000 })
    await node.network.libp2p.dial(id)
    expect(peers(node)).toEqual([founder.network.peerId])
  })
})

test('a stopped loop dials no more', async () => {
  const node = await start({ ticket })
  const { loop, events } = await dialFrom(node, { configured: [founder.address] })
  await patiently(() => events.map((event) => event.kind)).toContain('dial-succeeded')
  loop.stop()
  expect(peers(node)).toEqual([founder.network.peerId])
  await Promise.all(node.network.libp2p.getConnections().map((one) => one.close()))
  await node.membership.join(
    await founder.membership.invite({ expiresMs: 1e12 / 10 }, [founder.address]),
  )
  await loop.learn({ id: peerIdFromString(founder.network.peerId), multiaddrs: [] }, 'lan')
  expect(peers(node)).toEqual([])
})
