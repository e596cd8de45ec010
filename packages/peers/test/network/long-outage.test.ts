import { afterEach, beforeEach, expect, test } from 'vitest'
import { DialLoop } from '../../src/network/dial-loop.ts'
import type { DialPace } from '../../src/network/dial-target.ts'
import { failuresUntilIdle } from '../../src/network/limits.ts'
import { startTestNetwork, type TestNetwork, type TestNetworkInit } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

/** So that hours of dials are over in a moment. */
const pace: DialPace = { firstMs: 1, maxMs: 2, idleMs: 2, steadyMs: 0 }
let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function start(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return stack.use(await startTestNetwork({ dht: false, ...init }))
}

const peers = (node: TestNetwork) => node.network.libp2p.getPeers().map(String)

test.for(['configured', 'learned'] as const)(
  'a %s peer that was connected is dialled through the longest outage, until it is back',
  async (origin) => {
    const hub = await start()
    const node = await start({ ticket: await hub.membership.invite({}, []) })
    const { network, membership } = node
    const { identity, store, dir, address } = hub
    const listen = address.split('/p2p/')[0] ?? ''
    const configured = origin === 'configured' ? [address] : []
    const loop = new DialLoop({ network, membership }, { configured, connect: 'all', pace })
    stack.defer(() => loop.stop())
    await loop.start()
    if (origin === 'learned') await node.connect(address)
    await patiently(() => peers(node)).toEqual([hub.network.peerId])
    await hub.stop()
    // libp2p itself gives up after five dials.
    const isLong = () => loop.status().every(({ failures }) => failures > failuresUntilIdle)
    await patiently(isLong).toBe(true)
    expect(loop.status().map(({ connected }) => connected)).not.toContain(true)
    await start({ identity, store, datastoreDir: dir, listen })
    await patiently(() => peers(node)).toEqual([hub.network.peerId])
  },
)
