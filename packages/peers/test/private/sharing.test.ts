import { randomBytes } from 'node:crypto'
import { nameKey, parseModHash, privateNameKey } from '@modmesh/module'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BodyClient } from '../../src/body/body-client.ts'
import { contentKey } from '../../src/control/content-set.ts'
import { ControlSession } from '../../src/control/control-session.ts'
import { controlTimes, floodLimits } from '../../src/control/limits.ts'
import { controlProtocol, type Notice } from '../../src/control/message.ts'
import { streamWire } from '../../src/control/stream-wire.ts'
import { machineClock } from '../../src/machine-clock.ts'
import type { Network } from '../../src/network/network.ts'
import { PipePool } from '../../src/pipe/pipe-pool.ts'
import { PrivateNames } from '../../src/private/private-names.ts'
import { SecretKeeper } from '../../src/private/secret-keeper.ts'
import { type RogueMember, rogueMember } from '../../testing/index.ts'
import { gossip } from '../support/member-node.ts'
import { MemoryPrivateShelf } from '../support/memory-private-shelf.ts'
import { hashOf, MemoryShelf, moduleOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { pipesOnly } from '../support/pipes-only.ts'
import { founder, joined } from '../support/publisher.ts'
import {
  collect,
  MemorySink,
  patientTimes,
  startNode,
  type TestNode,
} from '../support/test-node.ts'

const calm = new AbortController().signal
const soon = { interval: 10 }
failOnUnhandled()

const name = 'git.example.com/team/secret@v1.2.0'
const module = moduleOf(name)
const zip = hashOf(name)
const mod = parseModHash(hashOf('mod'))
const bytes = randomBytes(300_000)
const ask = { signal: calm, onRefused: () => {} }

interface Peer {
  readonly node: TestNode
  readonly shelf: MemoryPrivateShelf
}

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

async function peer(roles: string[] | undefined, root?: TestNode): Promise<Peer> {
  const ticket = await root?.node.invite(roles === undefined ? {} : { roles })
  const privateShelf = new MemoryPrivateShelf()
  const init = ticket === undefined ? {} : { ticket }
  const node = stack.use(await startNode({ privateShelf, ...init }))
  return { node, shelf: privateShelf }
}

/** Signs the version, and puts it on the shelf of the signer. */
function publish({ node, shelf }: Peer): void {
  const { statement } = node.node.privates.publish({ module, zip, mod })
  const held = new MemoryShelf().put(name, bytes).zip
  shelf.put(held, { info: Buffer.from('{}'), mod: Buffer.from('m'), statement, holdsZip: true })
}

/** Asks over streams and nothing else. */
function streamsOnly({ libp2p, door }: Network): ReturnType<typeof pipesOnly> {
  const clock = machineClock
  const pipes = new PipePool({ libp2p: { getConnections: () => [] }, door, clock })
  return { client: new BodyClient({ libp2p, pipes, clock }, { times: patientTimes }), pipes }
}

describe('a private module in a mesh that shares those', () => {
  let root: Peer
  let alice: Peer
  let bob: Peer
  let plain: Peer
  beforeAll(async () => {
    root = await peer(undefined)
    alice = await peer(['publisher'], root.node)
    bob = await peer(['private'], root.node)
    plain = await peer([], root.node)
    publish(alice)
  })

  const isConnected = (from: Peer, to: Peer): boolean =>
    from.node.node.peers().some((one) => one.isConnected && one.peer === to.node.node.peerId)

  test('is found and given to a member with the role', async () => {
    await expect.poll(() => isConnected(bob, alice), soon).toBe(true)
    const { privates } = bob.node.node
    await expect
      .poll(() => collect(privates.findRecords(module, ask)), soon)
      .toMatchObject([
        { peer: alice.node.node.peerId, module, holdsZip: true, published: { zip, mod } },
      ])
    const versions = await collect(privates.findVersions(module.path, { signal: calm }))
    expect(versions).toEqual([{ peer: alice.node.node.peerId, versions: ['v1.2.0'] }])
    const sink = new MemorySink()
    await bob.node.node.fetchZip(alice.node.node.peerId, zip, sink, { signal: calm })
    expect(Buffer.from(sink.bytes).equals(bytes)).toBe(true)
  })

  test('is in nobody’s inventory, also not of those who may have it', async () => {
    await expect.poll(() => isConnected(plain, alice), soon).toBe(true)
    for (const { node } of [bob, plain]) {
      await expect
        .poll(() => node.node.peers().map((one) => one.inventorySize), soon)
        .toEqual([0, 0, 0])
      expect(node.node.holders(zip)).toEqual([])
    }
  })

  test('is not asked of anybody by a member without the role', async () => {
    const looks = alice.shelf.looks
    expect(plain.node.node.privates.canAsk()).toBe(false)
    expect(await collect(plain.node.node.privates.findRecords(module, ask))).toEqual([])
    expect(plain.node.node.messagesSent().get('private-query')).toBeUndefined()
    expect(plain.node.node.messagesSent().get('private-secret')).toBeUndefined()
    expect(() => plain.node.node.privates.publish({ module, zip, mod })).toThrow('role publisher')
    expect(alice.shelf.looks).toBe(looks)
  })

  test('is not given by a node that does not share, whoever asks', async () => {
    const off = stack.use(
      await startNode({ ticket: await root.node.node.invite({ roles: ['publisher'] }) }),
    )
    expect(off.node.privates.sharing()).toMatchObject({ isOn: false })
    await expect.poll(() => off.node.peers().filter((one) => one.isConnected).length, soon).toBe(4)
    expect(off.node.privates.canAsk()).toBe(false)
    expect(off.node.messagesSent().get('private-secret')).toBeUndefined()
  })
})

describe('a member without the role that knows every name, hash and message', () => {
  let alice: Peer
  let publicShelf: MemoryShelf
  let rogue: RogueMember
  let session: ControlSession
  const told: Notice[] = []
  beforeAll(async () => {
    // An administrator may publish: so one node is enough.
    publicShelf = new MemoryShelf()
    const privateShelf = new MemoryPrivateShelf()
    const node = stack.use(await startNode({ privateShelf, shelf: publicShelf }))
    const ticket = await node.node.invite()
    alice = { node, shelf: privateShelf }
    publish(alice)
    rogue = stack.use(await rogueMember(ticket))
    await rogue.connect(node.address)
    const stream = await rogue.libp2p.dialProtocol(multiaddr(node.address), controlProtocol)
    session = new ControlSession(
      {
        wire: streamWire(stream),
        clock: machineClock,
        handlers: {
          answer: async () => ({ kind: 'versions-answer', versions: '' }),
          notice: (notice) => void told.push(notice),
          failed: () => {},
          sent: () => {},
        },
      },
      {
        hello: {
          kind: 'hello',
          versions: [1],
          capabilities: ['inventory', 'membership', 'fetch', 'private'],
          site: 'default',
          name: 'rogue',
          clockMs: 0,
          boot: new Uint8Array(8),
        },
        times: controlTimes,
        flood: floodLimits,
      },
    )
    await session.start()
  })

  test('is told the same of what is held as of what is not, without a look at it', async () => {
    const { path, version } = module
    for (const of of [{ path, version }, { path, version: 'v9.9.9' }, { path }]) {
      const answer = await session.ask<'private-query'>({ kind: 'private-query', ...of }, ask)
      expect(answer).toEqual({ kind: 'private-answer', re: expect.any(Number) as number })
    }
    const record = await session.ask<'record-query'>({ kind: 'record-query', path, version }, ask)
    expect(record).toMatchObject({ holdsZip: false })
    expect(Object.keys(record).toSorted()).toEqual(['holdsZip', 'kind', 're'])
    const keys = contentKey(zip)
    const have = await session.ask<'have-query'>({ kind: 'have-query', keys }, ask)
    expect(have.keys).toHaveLength(0)
    const fetched = await session.ask<'fetch-query'>(
      { kind: 'fetch-query', what: 'zip', path, version },
      ask,
    )
    expect(fetched.outcome).not.toBe('found')
    expect(alice.shelf.looks).toBe(0)
  })

  test.for(['pipe', 'stream'])(
    'gets no zip by its hash over a %s, without a look at the disk',
    async (way) => {
      let looks = 0
      const find = publicShelf.findContent.bind(publicShelf)
      publicShelf.findContent = (zipHash) => {
        looks += 1
        return find(zipHash)
      }
      const { network } = rogue.node
      const { client, pipes } = way === 'pipe' ? pipesOnly(network) : streamsOnly(network)
      const holder = alice.node.node.peerId
      const fetching = client.fetch(holder, zip, new MemorySink(), { signal: calm })
      await expect(fetching).rejects.toMatchObject({ code: 'PEER' })
      pipes.stop()
      expect([looks, alice.shelf.looks]).toEqual([0, 0])
    },
  )

  test('is sent no secret and no key of it', async () => {
    session.tell({ kind: 'private-secret', record: randomBytes(100) })
    // What was sent before it has come when this is answered.
    await session.ask<'versions-query'>({ kind: 'versions-query', path: module.path }, ask)
    expect(told.map((notice) => notice.kind)).not.toContain('private-secret')
    const inventories = told.flatMap((notice) => (notice.kind === 'inventory' ? [notice] : []))
    expect(inventories.every(({ added }) => added.length === 0)).toBe(true)
    expect(alice.node.node.messagesSent().get('private-secret')).toBeUndefined()
  })
})

describe('names in the DHT', () => {
  test('lead a member with the role to one that it is not connected to, and no other member', async () => {
    const root = await peer(undefined)
    const hub = root.node
    const leaf = async (roles: string[]): Promise<Peer> => {
      const ticket = await hub.node.invite({ roles })
      const privateShelf = new MemoryPrivateShelf()
      const far = { connect: 'configured', peers: [hub.address] } as const
      const node = stack.use(await startNode({ ticket, privateShelf, ...far }))
      return { node, shelf: privateShelf }
    }
    const [alice, bob, plain] = [await leaf(['publisher']), await leaf(['private']), await leaf([])]
    const peersOf = ({ node }: Peer) =>
      node.node.peers().flatMap((one) => (one.isConnected ? [one.peer] : []))
    for (const each of [alice, bob, plain]) {
      await expect.poll(() => peersOf(each), soon).toEqual([hub.node.peerId])
    }
    publish(alice)
    const find = (by: Peer) => collect(by.node.node.privates.findRecords(module, ask))
    await expect
      .poll(() => find(bob), { interval: 200 })
      .toMatchObject([{ peer: alice.node.node.peerId, published: { zip, mod } }])
    expect(await find(plain)).toEqual([])
    // The name in clear leads nowhere, also for who may have it.
    const inClear = await collect(bob.node.node.findVersions(module.path, { signal: calm }))
    expect(inClear).toEqual([])
  })

  test('are keyed with the secret, and others once a member has gone', async () => {
    const root = await founder()
    const alice = await joined(root, 'alice', ['publisher'])
    const eve = await joined(root, 'eve', ['private'])
    const shelf = new MemoryPrivateShelf()
    const { standing, membership } = alice
    const keeper = new SecretKeeper({ standing })
    const announced = new Set<string>()
    const announcer = {
      addKey: (key: { toString(): string }) => void announced.add(key.toString()),
      withdrawKey: async (key: { toString(): string }) => void announced.delete(key.toString()),
    }
    const failed = (error: unknown) => expect.unreachable(String(error))
    const names = new PrivateNames({
      clock: machineClock,
      membership,
      standing,
      keeper,
      shelf,
      failed,
      links: () => [],
      announcer: () => announcer,
    })
    await names.start()
    const held = new MemoryShelf().put(name, bytes).zip
    shelf.put(held, { info: undefined, mod: undefined, statement: bytes, holdsZip: true })
    await expect.poll(() => announced.size, soon).toBe(1)
    const old = await keeper.have()
    expect([...announced]).toEqual([privateNameKey(module.path, old!.secret).toString()])
    expect([...announced]).not.toContain(nameKey(module.path).toString())
    await root.membership.administration.revoke({ peer: eve.peerId, why: undefined })
    await gossip(root, alice)
    const isNew = () => !announced.has(privateNameKey(module.path, old!.secret).toString())
    await expect.poll(isNew, soon).toBe(true)
    expect([...announced]).toEqual([
      privateNameKey(module.path, keeper.current()!.secret).toString(),
    ])
    names.stop()
  })
})
