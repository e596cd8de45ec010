import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { startStopwatch } from '../../../test/support/stopwatch.ts'
import { hashOf, moduleOf } from './support/memory-shelf.ts'
import { failOnUnhandled } from './support/no-unhandled.ts'
import { collect, MemorySink, startNode, type TestNode } from './support/test-node.ts'

const calm = new AbortController().signal
const soon = { interval: 10 }
failOnUnhandled()

function connectedTo(node: TestNode): string[] {
  return node.node
    .peers()
    .filter((peer) => peer.isConnected)
    .map((peer) => peer.peer)
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('two nodes of one mesh', () => {
  test('hold, find, fetch and withdraw a zip by inventory', async () => {
    const bytes = randomBytes(1_000_000)
    await using a = await startNode()
    const early = a.shelf.put('example.org/early@v1.0.0', bytes)
    expect(a.node.isAlone()).toBe(true)
    expect(a.node.meshId()).toBeUndefined()
    await using b = await startNode({ ticket: await a.node.invite() })
    expect(b.node.meshId()).toBe(a.node.meshId())
    await expect
      .poll(() => b.node.holders(early.zipHash), soon)
      .toMatchObject([{ peer: a.node.peerId, via: 'inventory' }])
    const late = a.shelf.put('example.org/late@v1.0.0', bytes)
    await expect.poll(() => b.node.holders(late.zipHash), soon).toHaveLength(1)
    const sink = new MemorySink()
    let began = 0
    const body = await b.node.fetchZip(a.node.peerId, late.zipHash, sink, {
      signal: calm,
      onFirstByte: () => (began += 1),
    })
    expect(body).toEqual({ zipDigest: late.zip.zipDigest, size: bytes.length })
    expect(digest(sink.bytes)).toBe(digest(bytes))
    expect(began).toBe(1)
    expect(b.node.isAlone()).toBe(false)
    expect(b.node.peers()).toMatchObject([
      { peer: a.node.peerId, isConnected: true, takenBytes: bytes.length, inventorySize: 2 },
    ])
    await expect.poll(() => a.node.peers()[0]?.givenBytes, soon).toBe(bytes.length)
    await expect.poll(() => b.node.peers()[0]?.rttMs, soon).toBeGreaterThan(0)
    a.node.withdraw(late.zipHash)
    await expect.poll(() => b.node.holders(late.zipHash), soon).toEqual([])
  })

  test('tell each other records, versions, tiles and tree heads', async () => {
    await using a = await startNode()
    const { module } = a.shelf.put('example.org/m@v1.0.0', randomBytes(10))
    const proof = {
      database: 'sum.example.org',
      id: 42,
      text: 'example.org/m v1.0.0 h1:…\n',
      hashes: [randomBytes(32), randomBytes(32)],
      head: 'a signed note',
    }
    a.shelf.records.set('example.org/m@v1.0.0', {
      module,
      info: Buffer.from('{}'),
      mod: Buffer.from('module example.org/m\n'),
      record: proof,
      holdsZip: true,
    })
    a.shelf.tiles.set('sum.example.org tile/8/0/000', randomBytes(64))
    a.heads.set('sum.example.org', 'head of a')
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => connectedTo(b), soon).toEqual([a.node.peerId])

    const [record] = await collect(b.node.findRecords(module, { signal: calm }))
    expect(record).toMatchObject({ peer: a.node.peerId, module, holdsZip: true })
    expect(Buffer.from(record?.mod ?? []).toString()).toBe('module example.org/m\n')
    expect(record?.record).toMatchObject({ ...proof, hashes: [{}, {}] })
    expect(record?.record?.hashes.map((hash) => Buffer.from(hash).toString('hex'))).toEqual(
      proof.hashes.map((hash) => hash.toString('hex')),
    )
    const versions = await collect(b.node.findVersions(module.path, { signal: calm }))
    expect(versions).toEqual([{ peer: a.node.peerId, versions: ['v1.0.0'] }])
    const none = moduleOf('example.org/none@v1.0.0')
    expect(await collect(b.node.findRecords(none, { signal: calm }))).toEqual([])
    expect(await collect(b.node.findVersions(none.path, { signal: calm }))).toEqual([])

    const tile = await b.node.fetchTile('sum.example.org', 'tile/8/0/000', { signal: calm })
    expect(tile).toHaveLength(64)
    expect(await b.node.fetchTile('sum.example.org', 'tile/8/0/001', { signal: calm })).toBe(
      undefined,
    )
    await expect
      .poll(() => b.heads.heard, soon)
      .toMatchObject([{ peer: a.node.peerId, database: 'sum.example.org', note: 'head of a' }])
    expect(await b.heads.heard[0]?.readTile('tile/8/0/000', { signal: calm })).toHaveLength(64)
    b.heads.set('sum.example.org', 'head of b')
    await expect.poll(() => a.heads.heard, soon).toMatchObject([{ note: 'head of b' }])
  })

  test('find a holder by have-query when inventories are off', async () => {
    await using a = await startNode()
    const { zipHash } = a.shelf.put('example.org/m@v1.0.0', randomBytes(10))
    await using b = await startNode({ ticket: await a.node.invite(), inventory: false })
    await expect.poll(() => connectedTo(b), soon).toEqual([a.node.peerId])
    const holders = await collect(b.node.findHolders(zipHash, { signal: calm }))
    expect(holders).toMatchObject([{ peer: a.node.peerId, via: 'have' }])
    expect(b.node.holders(zipHash)).toEqual([])
    expect(b.node.peers()[0]?.inventorySize).toBeUndefined()
    expect(a.node.peers()[0]?.inventorySize).toBeUndefined()
    expect(await collect(b.node.findHolders(hashOf('other'), { signal: calm }))).toEqual([])

    const sent = () => b.node.messagesSent().get('have-query') ?? 0
    const before = sent()
    const project = Array.from({ length: 100 }, (_, n) => hashOf(`m${n}`))
    await b.node.askAhead([zipHash, ...project], { signal: calm })
    const found = await collect(b.node.findHolders(zipHash, { signal: calm }))
    expect(found).toMatchObject([{ peer: a.node.peerId, via: 'have' }])
    for (const each of project) await collect(b.node.findHolders(each, { signal: calm }))
    expect(sent()).toBe(before + 1)
  })

  test('drop the hint at once when the holder has it no more', async () => {
    await using a = await startNode()
    const { zipHash } = a.shelf.put('example.org/m@v1.0.0', randomBytes(10))
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => b.node.holders(zipHash), soon).toHaveLength(1)
    a.shelf.items.length = 0
    const sink = new MemorySink()
    await expect(
      b.node.fetchZip(a.node.peerId, zipHash, sink, { signal: calm }),
    ).rejects.toMatchObject({ code: 'PEER', fault: 'unable', peer: a.node.peerId })
    expect(b.node.holders(zipHash)).toEqual([])
    expect(b.node.peers()[0]?.blamed).toBeUndefined()
  })

  test('avoid a blamed peer and say why', async () => {
    await using a = await startNode()
    const { zipHash, module } = a.shelf.put('example.org/m@v1.0.0', randomBytes(10))
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => b.node.holders(zipHash), soon).toHaveLength(1)
    b.node.blame(a.node.peerId, { module, reason: 'sent other bytes' })
    expect(b.node.holders(zipHash)).toEqual([])
    expect(await collect(b.node.findRecords(module, { signal: calm }))).toEqual([])
    expect(b.node.peers()[0]?.blamed).toMatchObject({
      reason: 'example.org/m@v1.0.0: sent other bytes',
      isActive: true,
      count: 1,
    })
    expect(b.events).toContainEqual(
      expect.objectContaining({ kind: 'peer-blamed', peer: a.node.peerId }),
    )
  })

  test('stop a fetch when its signal aborts, and go on', async () => {
    await using a = await startNode()
    const bytes = randomBytes(3_000_000)
    const { zipHash } = a.shelf.put('example.org/m@v1.0.0', bytes)
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => b.node.holders(zipHash), soon).toHaveLength(1)
    const stop = new AbortController()
    const slow = {
      write: async () => stop.abort(new Error('changed my mind')),
    }
    await expect(
      b.node.fetchZip(a.node.peerId, zipHash, slow, { signal: stop.signal }),
    ).rejects.toThrow('changed my mind')
    expect(b.node.holders(zipHash)).toHaveLength(1)
    const broken = {
      write: () => Promise.reject(new Error('disk full')),
    }
    await expect(b.node.fetchZip(a.node.peerId, zipHash, broken, { signal: calm })).rejects.toThrow(
      'disk full',
    )
    const sink = new MemorySink()
    await b.node.fetchZip(a.node.peerId, zipHash, sink, { signal: calm })
    expect(digest(sink.bytes)).toBe(digest(bytes))
  })

  test('do not blame a holder that stops in the middle of a body', async () => {
    await using a = await startNode()
    const { zipHash } = a.shelf.put('example.org/m@v1.0.0', randomBytes(40_000_000))
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => b.node.holders(zipHash), soon).toHaveLength(1)
    const began = Promise.withResolvers<void>()
    const sink = {
      write: async () => {
        began.resolve()
        await new Promise((resolve) => setImmediate(resolve))
      },
    }
    const fetching = b.node.fetchZip(a.node.peerId, zipHash, sink, { signal: calm })
    const failed = expect(fetching).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
    await began.promise
    await a.node.stop()
    await failed
    await expect.poll(() => connectedTo(b), soon).toEqual([])
    expect(b.node.peers()).toEqual([])
    expect(b.node.isAlone()).toBe(true)
  })

  test('fetch more zips at once than there are slots, and get them all', async () => {
    await using a = await startNode()
    const items = Array.from({ length: 40 }, (_, n) =>
      a.shelf.put(`example.org/m${n}@v1.0.0`, randomBytes(100_000)),
    )
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => connectedTo(b), soon).toHaveLength(1)
    const fetches = items.map((item) =>
      b.node.fetchZip(a.node.peerId, item.zipHash, new MemorySink(), { signal: calm }),
    )
    const bodies = await Promise.all(fetches)
    expect(bodies.map((body) => body.zipDigest)).toEqual(items.map((item) => item.zip.zipDigest))
  })
})

describe('a mesh', () => {
  test('joined through one address becomes connected within two seconds', async () => {
    await using a = await startNode()
    const ticket = await a.node.invite()
    await using b = await startNode({ ticket })
    await using c = await startNode({ ticket })
    await using d = await startNode({ ticket })
    const took = startStopwatch()
    const all = [a, b, c, d]
    for (const one of all) {
      const others = all.filter((other) => other !== one).map((other) => other.node.peerId)
      await expect.poll(() => connectedTo(one).toSorted(), soon).toEqual(others.toSorted())
    }
    expect(took()).toBeLessThan(2_000)
    const item = d.shelf.put('example.org/m@v1.0.0', randomBytes(10))
    for (const one of [a, b, c]) {
      await expect.poll(() => one.node.holders(item.zipHash), soon).toHaveLength(1)
    }
    expect(all.flatMap(({ events }) => events.filter((event) => event.kind === 'failed'))).toEqual(
      [],
    )
  })

  test('lets node C find through the DHT what only A holds, knowing only B', async () => {
    await using a = await startNode()
    const ticket = await a.node.invite()
    await using b = await startNode({ ticket })
    await expect.poll(() => connectedTo(b), soon).toHaveLength(1)
    const bytes = randomBytes(300_000)
    const item = a.shelf.put('example.org/far@v1.2.3', bytes)
    await using c = await startNode({
      ticket,
      peers: b.node.addresses(),
      connect: 'configured',
      inventory: false,
    })
    await expect.poll(() => connectedTo(c), soon).toContain(b.node.peerId)
    await expect
      .poll(() => collect(c.node.findRecords(item.module, { signal: calm })), soon)
      .toMatchObject([{ peer: a.node.peerId, holdsZip: true }])
    await expect
      .poll(() => collect(c.node.findHolders(item.zipHash, { signal: calm })), soon)
      .toMatchObject([{ peer: a.node.peerId }])
    const sink = new MemorySink()
    await c.node.fetchZip(a.node.peerId, item.zipHash, sink, { signal: calm })
    expect(digest(sink.bytes)).toBe(digest(bytes))
  })

  test('finds nothing quickly on a lone node', async () => {
    await using a = await startNode()
    const took = startStopwatch()
    const module = moduleOf('example.org/m@v1.0.0')
    expect(await collect(a.node.findRecords(module, { signal: calm }))).toEqual([])
    expect(await collect(a.node.findHolders(hashOf('x'), { signal: calm }))).toEqual([])
    expect(a.node.peers()).toEqual([])
    expect(took()).toBeLessThan(1_000)
  })
})
