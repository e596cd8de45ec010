import { peerIdFromString } from '@libp2p/peer-id'
import { byteStream, lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dhtProtocol } from '../../src/network/settings.ts'
import type { RogueMember, Stranger, TestNetwork } from '../../testing/index.ts'
import { rogueMember, startStranger, startTestNetwork } from '../../testing/index.ts'

let cleanups: AsyncDisposableStack
let member: TestNetwork
let rogue: RogueMember
let opened: string[]

beforeEach(async () => {
  cleanups = new AsyncDisposableStack()
  member = cleanups.use(await startTestNetwork())
  rogue = cleanups.use(await rogueMember(await member.invite(), { dht: false }))
  opened = []
  member.network.libp2p.addEventListener('connection:open', ({ detail }) =>
    opened.push(detail.remotePeer.toString()),
  )
})

afterEach(() => cleanups.disposeAsync())

/** Writes one protobuf field of bytes. */
function field(number: number, value: Uint8Array): Uint8Array {
  const head: number[] = [number * 8 + 2]
  let rest = value.byteLength
  for (; rest > 127; rest >>= 7) head.push((rest & 127) | 128)
  return Buffer.concat([Uint8Array.from([...head, rest]), value])
}

/** A DHT answer of the type asked for that names strangers as providers and as closer peers. */
function answer(type: number, strangers: readonly Stranger[]): Uint8Array {
  const peers = strangers.map(({ libp2p, address }) => {
    const id = libp2p.peerId.toMultihash().bytes
    const addr = multiaddr(address.split('/p2p/')[0] ?? '').bytes
    return Buffer.concat([field(1, id), field(2, addr)])
  })
  const named = peers.flatMap((peer) => [field(8, peer), field(9, peer)])
  return Buffer.concat([Uint8Array.of(8, type), ...named])
}

/** Makes the rogue answer every DHT query with strangers. */
async function nameStrangers(strangers: readonly Stranger[]): Promise<{ queries: number }> {
  const seen = { queries: 0 }
  await rogue.handle(dhtProtocol, async (stream) => {
    const lp = lpStream(stream)
    for (;;) {
      const query = (await lp.read()).subarray()
      seen.queries++
      await lp.write(answer(query[1] ?? 0, strangers))
    }
  })
  return seen
}

test('strangers named in DHT answers are never connected, and are sent nothing but our chain', async () => {
  const heard: number[] = []
  const plain = cleanups.use(await startStranger())
  const sly = cleanups.use(
    await startStranger({
      speech: async (connection) => {
        const bytes = byteStream(connection)
        for (let part = await bytes.read(); part !== null; part = await bytes.read()) {
          heard.push(part.byteLength)
        }
      },
    }),
  )
  const streams: string[] = []
  for (const one of [plain, sly]) {
    one.libp2p.addEventListener('connection:open', () => streams.push('connection'))
  }
  const seen = await nameStrangers([plain, sly])
  await rogue.connect(member.address)
  const { dht } = member.network
  const cid = CID.createV1(0x55, create(0x12, new Uint8Array(32).fill(1)))
  const query = async (): Promise<number> => {
    const signal = AbortSignal.timeout(1_000)
    try {
      for await (const _ of dht?.findProviders(cid, { signal }) ?? []) continue
    } catch (error) {
      // The rogue names only strangers: nobody useful is found.
      if (!signal.aborted) throw error
    }
    return seen.queries
  }
  // It is asked once it is in the table, which takes a moment after the connection.
  await expect.poll(query).toBeGreaterThan(0)
  await query()
  for (const { libp2p } of [plain, sly]) {
    const peer = peerIdFromString(libp2p.peerId.toString())
    await member.network.libp2p.dial(peer).catch(() => {})
  }
  expect(new Set(opened)).toEqual(new Set([rogue.peerId]))
  expect(member.network.libp2p.getPeers().map(String)).toEqual([rogue.peerId])
  expect(streams).toEqual([])
  const chain = member.membership.chain() ?? new Uint8Array()
  for (const bytes of heard) expect(bytes).toBeLessThanOrEqual(2 + chain.byteLength)
})

test('a stranger that dials in a hundred times is in no table, and costs no member its place', async () => {
  const other = cleanups.use(await startTestNetwork({ ticket: await member.invite() }))
  await other.connect(member.address)
  const strangers = await Promise.all([1, 2, 3, 4].map(() => startStranger()))
  for (const one of strangers) cleanups.use(one)
  const address = multiaddr(member.address)
  const attempts = Array.from({ length: 25 }, () =>
    strangers.map(({ libp2p }) => libp2p.dial(address, { force: true })),
  ).flat()
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([])
  expect(new Set(opened)).toEqual(new Set([other.network.peerId]))
  expect(member.network.libp2p.getPeers().map(String)).toEqual([other.network.peerId])
  const known = async () =>
    (await member.network.libp2p.peerStore.all()).map(({ id }) => id.toString())
  await expect.poll(known).toEqual([other.network.peerId])
  expect(member.membership.roster.all()).toEqual([])
})
