import type { MessageStream } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import type { RefusalCause } from '../../src/gate/refusal.ts'
import { maxChainBytes } from '../../src/membership/limits.ts'
import type { Stranger, StrangerSpeech, TestNetworkInit } from '../../testing/index.ts'
import {
  newTestIdentity,
  startStranger,
  startTestNetwork,
  TestNetwork,
} from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

/** As long as a busy machine may need; who is cut after it is cut after a shorter one. */
const gateTimeoutMs = 20_000
const shortMs = 300
let cleanups: AsyncDisposableStack
let member: TestNetwork
let ticket: string
let opened: number

beforeEach(async () => {
  cleanups = new AsyncDisposableStack()
  member = await start({ gateTimeoutMs })
  ticket = await member.invite()
  opened = 0
  member.network.libp2p.addEventListener('connection:open', () => opened++)
})

afterEach(() => cleanups.disposeAsync())

async function start(init: TestNetworkInit = {}): Promise<TestNetwork> {
  return cleanups.use(await startTestNetwork({ dht: false, ...init }))
}

async function stranger(init: Parameters<typeof startStranger>[0] = {}): Promise<Stranger> {
  return cleanups.use(await startStranger(init))
}

function dial(from: { dial(to: ReturnType<typeof multiaddr>): Promise<unknown> }, to: string) {
  return from.dial(multiaddr(to))
}

/** Lets a stranger dial us. Its own view does not matter: with an early muxer it even sees success. */
async function attempt(stranger: Stranger): Promise<void> {
  await dial(stranger.libp2p, member.address).catch(() => {})
}

function causes(of: TestNetwork = member): RefusalCause[] {
  return of.events.flatMap((event) => (event.kind === 'refused' ? [event.refusal.cause] : []))
}

/** Waits for the refusal, then checks that libp2p saw no connection. */
async function expectRefused(cause: object): Promise<void> {
  await patiently(() => causes()).toContainEqual(expect.objectContaining(cause))
  expect(opened).toBe(0)
  expect(member.network.libp2p.getConnections()).toEqual([])
}

function framed(bytes: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(2 + bytes.byteLength)
  frame.writeUInt16BE(bytes.byteLength)
  frame.set(bytes, 2)
  return frame
}

describe('members', () => {
  test('connect, over TLS, and know who is there on both sides', async () => {
    const other = await start({ ticket, name: 'other', site: 'north' })
    await dial(other.network.libp2p, member.address)
    expect(opened).toBe(1)
    expect(member.network.member(other.network.peerId)).toMatchObject({
      name: 'other',
      site: 'north',
    })
    expect(other.network.member(member.network.peerId)).toMatchObject({ roles: ['admin', 'admit'] })
    expect(member.network.libp2p.getConnections()[0]?.encryption).toBe('/modmesh/gate/1/tls')
    expect(causes()).toEqual([])
  })

  test('connect over noise when TLS is not offered', async () => {
    const other = await start({
      ticket,
      adjust: (options) => ({
        ...options,
        connectionEncrypters: options.connectionEncrypters?.slice(1) ?? [],
      }),
    })
    await dial(other.network.libp2p, member.address)
    expect(member.network.libp2p.getConnections()[0]?.encryption).toBe('/modmesh/gate/1/noise')
    expect(member.network.member(other.network.peerId)?.peerId).toBe(other.network.peerId)
  })

  test('that joined before their inviter heard of them are let in at once', async () => {
    const [x, y] = await Promise.all([start({ ticket }), start({ ticket })])
    await dial(x.network.libp2p, y.address)
    expect(x.network.member(y.network.peerId)?.peerId).toBe(y.network.peerId)
  })
})

describe('a libp2p node of the world', () => {
  test('that dials us is never seen by libp2p', async () => {
    const plain = await stranger()
    await expect(dial(plain.libp2p, member.address)).rejects.toThrow()
    expect(opened).toBe(0)
    expect(await member.network.libp2p.peerStore.all()).toEqual([])
  })

  test('that we dial is never seen by libp2p', async () => {
    const plain = await stranger()
    await expect(dial(member.network.libp2p, plain.address)).rejects.toThrow()
    expect(opened).toBe(0)
    expect(plain.libp2p.getConnections()).toEqual([])
  })

  test('that knows our protocol names is refused, with early muxer negotiation too', async () => {
    const sly = await stranger({ speech: () => {} })
    await attempt(sly)
    await expectRefused({ kind: 'not-a-member' })
  })
})

describe('a lone node', () => {
  test('accepts nobody and dials nobody', async () => {
    const lone = await start()
    let seen = 0
    lone.network.libp2p.addEventListener('connection:open', () => seen++)
    await expect(dial(member.network.libp2p, lone.address)).rejects.toThrow()
    await expect(dial(lone.network.libp2p, member.address)).rejects.toThrow('belongs to no mesh')
    expect(seen).toBe(0)
    expect(opened).toBe(0)
    expect(causes(lone)).toEqual([
      { kind: 'not-a-member', reason: 'no-mesh' },
      { kind: 'not-a-member', reason: 'no-mesh' },
    ])
  })

  test('becomes reachable by its first invite, without a restart', async () => {
    const lone = await start()
    const guest = await start({ ticket: await lone.invite() })
    await dial(guest.network.libp2p, lone.address)
    expect(lone.network.member(guest.network.peerId)?.peerId).toBe(guest.network.peerId)
  })
})

describe('a member of another mesh', () => {
  test('is refused on both sides, in both directions, and hears why', async () => {
    const other = await start({ gateTimeoutMs })
    await other.invite()
    await expect(dial(other.network.libp2p, member.address)).rejects.toThrow('other-mesh')
    await patiently(() => causes()).toEqual([{ kind: 'not-a-member', reason: 'other-mesh' }])
    await expect(dial(member.network.libp2p, other.address)).rejects.toThrow('other-mesh')
    await patiently(() => causes(other)).toEqual([
      { kind: 'refused-by-peer', reason: 'other-mesh' },
      { kind: 'not-a-member', reason: 'other-mesh' },
    ])
    expect(opened).toBe(0)
  })
})

describe('a membership that has expired', () => {
  test('is refused by the listener, who says so', async () => {
    const clock = { ms: Date.now() }
    const inviter = await start({ nowMs: () => clock.ms })
    const slow = await start({ ticket: await inviter.invite({ expiresMs: 60_000 }) })
    clock.ms += 60_000
    await expect(dial(slow.network.libp2p, inviter.address)).rejects.toThrow('expired')
    expect(causes(slow)).toEqual([{ kind: 'refused-by-peer', reason: 'expired' }])
    expect(inviter.network.libp2p.getConnections()).toEqual([])
  })

  test('is refused by the dialler, who says so', async () => {
    const clock = { ms: Date.now() }
    const inviter = await start({ nowMs: () => clock.ms })
    const slow = await start({ ticket: await inviter.invite({ expiresMs: 60_000 }) })
    clock.ms += 60_000
    await expect(dial(inviter.network.libp2p, slow.address)).rejects.toThrow('expired')
    await patiently(() => causes(slow)).toEqual([{ kind: 'refused-by-peer', reason: 'expired' }])
    expect(slow.network.libp2p.getConnections()).toEqual([])
  })

  test('closes the live connection', async () => {
    const clock = { ms: Date.now() }
    const brief = await start({ ticket: await member.invite({ expiresMs: 60_000 }) })
    const watcher = await start({ ticket, expiryCheckMs: 20, nowMs: () => clock.ms })
    await dial(watcher.network.libp2p, brief.address)
    expect(watcher.network.libp2p.getConnections()).toHaveLength(1)
    clock.ms += 61_000
    await patiently(() => watcher.network.libp2p.getConnections()).toEqual([])
    const peer = brief.network.peerId
    expect(watcher.events).toContainEqual({ kind: 'member-expired', peer })
    await expect(dial(watcher.network.libp2p, brief.address)).rejects.toThrow()
  })
})

describe('who shows something else than his own chain is refused', () => {
  const shows = (make: () => Uint8Array): StrangerSpeech => {
    return (connection, side) => {
      const verdict = side === 'listener' ? [0] : []
      connection.send(Buffer.concat([Uint8Array.from(verdict), make()]))
      return ended(connection)
    }
  }

  test.for<[string, StrangerSpeech, object]>([
    [
      'the chain of a member',
      shows(() => framed(member.membership.chain()!)),
      { reason: 'wrong-peer' },
    ],
    [
      'a chain of 4 KiB and one byte',
      shows(() => framed(new Uint8Array(maxChainBytes + 1))),
      { reason: 'too-large' },
    ],
    ['an empty chain', shows(() => framed(new Uint8Array())), { reason: 'malformed' }],
    [
      '4 KiB of noise',
      shows(() => framed(new Uint8Array(maxChainBytes).fill(0xa5))),
      { reason: 'malformed' },
    ],
    [
      'an HTTP request',
      shows(() => Buffer.from('GET / HTTP/1.1\r\n\r\n')),
      { reason: 'too-large' },
    ],
  ])('%s', async ([, speech, cause]) => {
    const liar = await stranger({ speech })
    await attempt(liar)
    await expectRefused(cause)
    expect(await member.network.libp2p.peerStore.all()).toEqual([])
    await expect(dial(member.network.libp2p, liar.address)).rejects.toThrow()
    await patiently(() => causes().length).toBe(2)
    expect(causes()[1]).toMatchObject(cause)
    expect(opened).toBe(0)
  })

  test('a megabyte without an end is cut, not kept', async () => {
    const flood: StrangerSpeech = (connection) => {
      connection.send(Buffer.concat([framed(new Uint8Array(100)), new Uint8Array(1_000_000)]))
    }
    const liar = await stranger({ speech: flood })
    await attempt(liar)
    await patiently(() => causes()).toHaveLength(1)
    expect(opened).toBe(0)
  })
})

describe('who does not end the exchange is cut after the gate’s time', () => {
  beforeEach(async () => {
    member = await start({ gateTimeoutMs: shortMs })
    ticket = await member.invite()
    member.network.libp2p.addEventListener('connection:open', () => opened++)
  })

  test.for<[string, StrangerSpeech]>([
    ['a silent peer', ended],
    [
      'a peer that sends one byte at a time',
      async (connection) => {
        connection.send(Uint8Array.of(1, 0))
        for (;;) {
          await delay(shortMs / 10)
          connection.send(Uint8Array.of(0xa0))
        }
      },
    ],
    [
      'a peer that stops in the middle of its chain',
      (c) => void c.send(framed(new Uint8Array(200)).subarray(0, 100)),
    ],
  ])('%s', async ([, speech]) => {
    const slow = await stranger({ speech })
    const took = startStopwatch()
    const dialled = attempt(slow)
    await expectRefused({ kind: 'silent' })
    expect(took()).toBeLessThan(shortMs + 1500)
    await dialled
  })

  test('but not because we ourselves stood still meanwhile', async () => {
    const busy = await start({ gateTimeoutMs: 500 })
    const other = await start({ ticket: await busy.invite() })
    const chain = busy.membership.chain.bind(busy.membership)
    vi.spyOn(busy.membership, 'chain').mockImplementation(() => {
      block(1_000)
      return chain()
    })
    await dial(other.network.libp2p, busy.address)
    await patiently(() => busy.network.libp2p.getConnections()).toHaveLength(1)
    expect(causes(busy)).toEqual([])
  })

  test('a listener that never answers our chain', async () => {
    const slow = await stranger({ speech: ended })
    await expect(dial(member.network.libp2p, slow.address)).rejects.toThrow('in time')
    await expectRefused({ kind: 'silent' })
  })

  test('a peer that goes away in the middle', async () => {
    const gone = await stranger({ speech: (connection) => connection.abort(new Error('gone')) })
    await attempt(gone)
    await patiently(() => causes()).toHaveLength(1)
    expect(opened).toBe(0)
  })
})

test('a stranger that dials sees nothing of our chain', async () => {
  const heard = Promise.withResolvers<Uint8Array>()
  const ear: StrangerSpeech = async (connection) => {
    const bytes = byteStream(connection)
    connection.send(framed(new Uint8Array(10)))
    const all: Uint8Array[] = []
    for (let part = await bytes.read(); part !== null; part = await bytes.read()) {
      all.push(part.slice())
    }
    heard.resolve(Buffer.concat(all))
  }
  const spy = await stranger({ speech: ear })
  await attempt(spy)
  expect(await heard.promise).toEqual(Buffer.from([1]))
})

test('another peer than the one dialled is an error, and hears nothing', async () => {
  const { peerId } = await newTestIdentity()
  const other = await start({ ticket })
  const address = `${other.address.split('/p2p/')[0]}/p2p/${peerId}`
  await expect(dial(member.network.libp2p, address)).rejects.toThrow()
  await expectRefused({ kind: 'unexpected-peer' })
  expect(other.network.libp2p.getConnections()).toEqual([])
})

test('an address of our own leads nowhere', async () => {
  const bare = member.address.split('/p2p/')[0] ?? ''
  await expect(dial(member.network.libp2p, bare)).rejects.toThrow('our own')
  await expectRefused({ kind: 'self' })
})

test('30 members behind one address connect at once', async () => {
  // All of libp2p's times are longer, too: a busy machine needs some of it.
  const patient: TestNetworkInit = {
    gateTimeoutMs,
    adjust: (options) => ({
      ...options,
      connectionManager: {
        ...options.connectionManager,
        inboundUpgradeTimeout: gateTimeoutMs,
        addressDialTimeout: gateTimeoutMs,
        dialTimeout: 2 * gateTimeoutMs,
      },
    }),
  }
  const hub = await start(patient)
  const ticket = await hub.invite()
  const others = await Promise.all(Array.from({ length: 6 }, () => start({ ...patient, ticket })))
  const dials = others.flatMap(({ network }) =>
    Array.from({ length: 5 }, () => network.libp2p.dial(multiaddr(hub.address), { force: true })),
  )
  await Promise.all(dials)
  expect(new Set(hub.network.libp2p.getPeers().map(String)).size).toBe(6)
  expect(causes(hub)).toEqual([])
})

function ended(connection: MessageStream): Promise<void> {
  return new Promise((resolve) => connection.addEventListener('close', () => resolve()))
}

/** Keeps the event loop busy, as a node under load is. */
function block(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
