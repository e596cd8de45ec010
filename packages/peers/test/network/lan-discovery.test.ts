import type { PeerDiscoveryEvents, PeerInfo } from '@libp2p/interface'
import { peerDiscoverySymbol } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DialLoop } from '../../src/network/dial-loop.ts'
import type { LanService } from '../../src/network/lan-discovery.ts'
import { LanDiscovery, lanServiceTag } from '../../src/network/lan-discovery.ts'
import type { NetworkEvent } from '../../src/network/network-event.ts'
import type { TestNetwork } from '../../testing/index.ts'
import { startTestNetwork } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

/** The multicast of one test: what is on the air, by service name. */
class FakeAir {
  readonly services = new Map<string, EventTarget>()
  isBroken = false

  newService(tag: string): LanService {
    const target = new EventTarget() as EventTarget & LanService
    return Object.assign(target, {
      start: () => {
        if (this.isBroken) return Promise.reject(new Error('no multicast here'))
        this.services.set(tag, target)
        return Promise.resolve()
      },
      stop: () => {
        this.services.delete(tag)
        return Promise.resolve()
      },
      [peerDiscoverySymbol]: target,
    })
  }

  say(tag: string, peer: PeerInfo): void {
    const event: PeerDiscoveryEvents['peer'] = new CustomEvent('peer', { detail: peer })
    this.services.get(tag)?.dispatchEvent(event)
  }
}

let cleanups: AsyncDisposableStack
let air: FakeAir
let events: NetworkEvent[]

beforeEach(() => {
  cleanups = new AsyncDisposableStack()
  air = new FakeAir()
  events = []
})

afterEach(() => cleanups.disposeAsync())

async function start(): Promise<TestNetwork> {
  return cleanups.use(await startTestNetwork({ dht: false }))
}

async function discover(node: TestNetwork): Promise<LanDiscovery> {
  const { network, membership } = node
  const dialLoop = new DialLoop({ network, membership }, { configured: [], connect: 'all' })
  cleanups.defer(() => dialLoop.stop())
  await dialLoop.start()
  const log = (event: NetworkEvent): void => void events.push(event)
  const newService = (tag: string): LanService => air.newService(tag)
  return cleanups.use(new LanDiscovery({ network, membership, dialLoop, log, newService }))
}

function tagOf(node: TestNetwork): string {
  return lanServiceTag(node.membership.meshId() ?? '')
}

test('a lone node says nothing on the LAN; it begins when it belongs to a mesh', async () => {
  const node = await start()
  await discover(node)
  expect([...air.services.keys()]).toEqual([])
  await node.invite()
  await patiently(() => [...air.services.keys()]).toEqual([tagOf(node)])
  await node.invite()
  expect([...air.services.keys()]).toEqual([tagOf(node)])
})

test('two meshes use two names', async () => {
  const [a, b] = [await start(), await start()]
  await a.invite()
  await b.invite()
  expect(tagOf(a)).toMatch(/^_modmesh-[a-z2-7]{16}\._udp\.local$/)
  expect(tagOf(a)).not.toBe(tagOf(b))
})

test('a member that is heard is connected', async () => {
  const [a, b] = [await start(), await start()]
  await b.membership.join(await a.membership.invite({}, []))
  await discover(a)
  await patiently(() => air.services.size).toBe(1)
  const id = peerIdFromString(b.network.peerId)
  air.say(tagOf(a), { id, multiaddrs: b.network.libp2p.getMultiaddrs() })
  await patiently(() => a.network.libp2p.getPeers().map(String)).toEqual([b.network.peerId])
  expect(events).toEqual([{ kind: 'lan-peer-found', peer: b.network.peerId }])
})

test('a stranger that is heard does not get in', async () => {
  const [a, stranger] = [await start(), await start()]
  await a.invite()
  await stranger.invite()
  await discover(a)
  await patiently(() => air.services.size).toBe(1)
  const id = peerIdFromString(stranger.network.peerId)
  air.say(tagOf(a), { id, multiaddrs: stranger.network.libp2p.getMultiaddrs() })
  await patiently(() => stranger.events.length).toBeGreaterThan(0)
  expect(a.network.libp2p.getPeers()).toEqual([])
})

test('without multicast the node runs on and says so', async () => {
  air.isBroken = true
  const node = await start()
  await node.invite()
  await discover(node)
  const message = 'no multicast here'
  await patiently(() => events).toEqual([{ kind: 'lan-discovery-failed', message }])
})

test('a disposed discovery is silent and stays so', async () => {
  const node = await start()
  await node.invite()
  const lan = await discover(node)
  await patiently(() => air.services.size).toBe(1)
  await lan[Symbol.asyncDispose]()
  expect(air.services.size).toBe(0)
  await node.invite()
  expect(air.services.size).toBe(0)
})
