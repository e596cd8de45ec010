import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DialLoop } from '../../src/network/dial-loop.ts'
import type { DialPace } from '../../src/network/dial-target.ts'
import { maxNameAddresses } from '../../src/network/limits.ts'
import { type NamePace, NameWatch } from '../../src/network/name-watch.ts'
import type { NetworkEvent } from '../../src/network/network-event.ts'
import { parsePeerAddress } from '../../src/network/peer-address.ts'
import { addressesOf, namedHostOf, type ResolveName } from '../../src/network/resolve-name.ts'
import type { TestNetwork, TestNetworkInit } from '../../testing/index.ts'
import { startTestNetwork } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

const pace: DialPace = { firstMs: 5, maxMs: 40, idleMs: 60_000, steadyMs: 0 }
const namePace: NamePace = { everyMs: 20, firstRetryMs: 5, maxRetryMs: 20, minMs: 5, timeoutMs: 50 }

/** A resolver whose answers a test sets. */
class FakeResolver {
  ips: readonly string[] | Error | 'hangs' = []
  asked = 0

  readonly resolve: ResolveName = async () => {
    this.asked += 1
    if (this.ips === 'hangs') return await new Promise(() => {})
    if (this.ips instanceof Error) throw this.ips
    return this.ips
  }
}

let cleanups: AsyncDisposableStack
beforeEach(() => {
  cleanups = new AsyncDisposableStack()
})
afterEach(() => cleanups.disposeAsync())

async function start(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return cleanups.use(await startTestNetwork({ dht: false, ...init }))
}

function named(text: string) {
  const name = namedHostOf(parsePeerAddress(text))
  if (name === undefined) throw new Error(`${text} has no name`)
  return name
}

function watching(dns: FakeResolver) {
  const seen: string[][] = []
  const failures: string[] = []
  const watch = new NameWatch(
    {
      resolve: dns.resolve,
      changed: (addresses) => seen.push(addresses.map(String)),
      failed: (message) => failures.push(message),
    },
    { name: named('mesh.test:4771'), pace: namePace },
  )
  cleanups.defer(() => watch.stop())
  watch.start()
  return { watch, seen, failures }
}

describe('the addresses of a name', () => {
  test('are of both families, keep port and peer id, and are bounded', () => {
    const peer = '12D3KooWGRUVh8dRdfXPLCzGEx4Z8ZQ4P8mT9oRiYz3vE9zV5h9z'
    const name = { host: 'mesh.test', family: 0, rest: `/tcp/4771/p2p/${peer}` } as const
    const odd = ['10.0.0.2', 'fd00::1', '10.0.0.2', 'fe80::1%eth0', 'nonsense', '']
    const found = addressesOf({ ...name, rest: '/tcp/4771' }, odd).map(String)
    expect(found).toEqual(['/ip4/10.0.0.2/tcp/4771', '/ip6/fd00::1/tcp/4771'])
    const many = Array.from({ length: 1_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
    expect(addressesOf({ ...name, rest: '/tcp/1' }, many)).toHaveLength(maxNameAddresses)
  })

  test.for([
    ['mesh.test:4771', { host: 'mesh.test', family: 0, rest: '/tcp/4771' }],
    ['/dns4/mesh.test/tcp/1', { host: 'mesh.test', family: 4, rest: '/tcp/1' }],
    ['/dns6/mesh.test/tcp/1', { host: 'mesh.test', family: 6, rest: '/tcp/1' }],
    ['10.0.0.1:4771', undefined],
  ] as const)('of %s are asked for', ([text, name]) => {
    expect(namedHostOf(parsePeerAddress(text))).toEqual(name)
  })

  test('are looked at again and told when they changed, in whatever order they come', async () => {
    const dns = new FakeResolver()
    dns.ips = ['10.0.0.2', '10.0.0.1']
    const { seen } = watching(dns)
    await patiently(() => dns.asked).toBeGreaterThan(2)
    dns.ips = ['10.0.0.1', '10.0.0.2']
    const before = dns.asked
    await patiently(() => dns.asked).toBeGreaterThan(before + 1)
    expect(seen).toHaveLength(1)
    dns.ips = ['10.0.0.3']
    await patiently(() => seen).toHaveLength(2)
    expect(seen[1]).toEqual(['/ip4/10.0.0.3/tcp/4771'])
  })

  const troubles: readonly [string, FakeResolver['ips']][] = [
    ['refuses', new Error('queryA ENOTFOUND mesh.test')],
    ['never answers', 'hangs'],
    ['knows none', []],
  ]
  test.for(troubles)('stay when the resolver %s, which is asked for ever', async ([, trouble]) => {
    const dns = new FakeResolver()
    dns.ips = ['10.0.0.1']
    const { watch, seen, failures } = watching(dns)
    await patiently(() => seen).toHaveLength(1)
    dns.ips = trouble
    await patiently(() => watch.failures).toBeGreaterThan(8)
    expect(seen).toHaveLength(1)
    expect(failures).toHaveLength(1)
    expect(watch.lastError).toContain('mesh.test')
    dns.ips = ['10.0.0.9']
    await patiently(() => seen).toHaveLength(2)
    expect(watch.lastError).toBeUndefined()
  })
})

describe('a configured name', () => {
  async function dialling(node: TestNetwork, port: string, dns: FakeResolver) {
    const { network, membership } = node
    const events: NetworkEvent[] = []
    const log = (event: NetworkEvent): void => void events.push(event)
    const configured = [`mesh.test:${port}`]
    const loop = new DialLoop(
      { network, membership, log, resolve: dns.resolve },
      { configured, connect: 'configured', pace, namePace },
    )
    cleanups.defer(() => loop.stop())
    await loop.start()
    const peers = () => network.libp2p.getPeers().map(String).toSorted()
    return { loop, peers, events }
  }

  /** Members on one port of three loopback addresses, as pods of a headless service are. */
  async function pods() {
    const first = await start()
    const port = first.address.split('/')[4] ?? ''
    const ticket = await first.membership.invite({}, [])
    const second = await start({ ticket, listen: `127.0.0.2:${port}` })
    const client = await start({ ticket, listen: '127.0.0.3:0' })
    return { first, second, client, port, ticket }
  }
  const idOf = (node: TestNetwork) => node.network.peerId

  test('leads to all hosts behind it, at once', async () => {
    const { first, second, client, port } = await pods()
    const dns = new FakeResolver()
    dns.ips = ['127.0.0.1', '127.0.0.2']
    const { peers, loop } = await dialling(client, port, dns)
    await patiently(peers).toEqual([idOf(first), idOf(second)].toSorted())
    await patiently(() => loop.status().every(({ connected }) => connected)).toBe(true)
    expect(loop.isConfigured(idOf(second))).toBe(true)
  })

  test('is followed: who comes is dialled, who went is dialled no more', async () => {
    const { first, second, client, port } = await pods()
    const dns = new FakeResolver()
    dns.ips = ['127.0.0.1']
    const { peers, loop } = await dialling(client, port, dns)
    await patiently(peers).toEqual([idOf(first)])
    dns.ips = ['127.0.0.2']
    await patiently(peers).toContain(idOf(second))
    await first[Symbol.asyncDispose]()
    await patiently(peers).toEqual([idOf(second)])
    const targets = loop.status().map(({ target }) => target)
    expect(targets).toEqual([`mesh.test:${port} (127.0.0.2)`])
  })

  test('that cannot be resolved yet says so, and connects when it can', async () => {
    const { first, client, port } = await pods()
    const dns = new FakeResolver()
    dns.ips = new Error('getaddrinfo EAI_AGAIN mesh.test')
    const { peers, loop } = await dialling(client, port, dns)
    await patiently(() => loop.status()).toMatchObject([
      {
        target: `mesh.test:${port}`,
        connected: false,
        lastError: expect.stringContaining('EAI_AGAIN') as string,
      },
    ])
    dns.ips = ['127.0.0.1']
    await patiently(peers).toEqual([idOf(first)])
  })

  test('with an address that is our own dials the others, and does not complain', async () => {
    const { first, client } = await pods()
    const port = client.address.split('/')[4] ?? ''
    const other = await start({
      ticket: await first.membership.invite({}, []),
      listen: `127.0.0.2:${port}`,
    })
    const dns = new FakeResolver()
    dns.ips = ['127.0.0.3', '127.0.0.2']
    const { peers, loop } = await dialling(client, port, dns)
    await patiently(peers).toEqual([idOf(other)])
    await patiently(() => loop.status()).toHaveLength(1)
  })

  test('whose address does not answer is looked at again at once', async () => {
    const { first, client, port } = await pods()
    const dns = new FakeResolver()
    dns.ips = ['127.0.0.9']
    const { network, membership } = client
    const slow = { ...namePace, everyMs: 3_600_000 }
    const loop = new DialLoop(
      { network, membership, resolve: dns.resolve },
      { configured: [`mesh.test:${port}`], connect: 'configured', pace, namePace: slow },
    )
    cleanups.defer(() => loop.stop())
    await loop.start()
    await patiently(() => dns.asked).toBeGreaterThan(1)
    dns.ips = ['127.0.0.1']
    await patiently(() => network.libp2p.getPeers().map(String)).toEqual([idOf(first)])
  })
})
