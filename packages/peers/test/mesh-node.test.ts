import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashOf, MemoryShelf, moduleOf } from './support/memory-shelf.ts'
import { collect, MemorySink, startNode } from './support/test-node.ts'

const calm = new AbortController().signal
const soon = { timeout: 5_000, interval: 10 }

const unhandled: unknown[] = []
const onUnhandled = (error: unknown) => unhandled.push(error)
beforeEach(() => {
  process.on('unhandledRejection', onUnhandled)
})
afterEach(() => {
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

describe('two nodes of one mesh', () => {
  test('hold, find and fetch a zip by inventory', async () => {
    const bytes = randomBytes(1_000_000)
    await using a = await startNode()
    const early = a.shelf.put('example.org/early@v1.0.0', bytes)
    expect(a.node.isAlone()).toBe(true)
    expect(a.node.meshId()).toBeUndefined()
    const ticket = await a.node.invite()
    await using b = await startNode({ ticket })
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
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(began).toBe(1)
    expect(b.node.isAlone()).toBe(false)
    expect(b.node.peers()).toMatchObject([
      { peer: a.node.peerId, isConnected: true, takenBytes: bytes.length, inventorySize: 2 },
    ])
    await expect.poll(() => a.node.peers()[0]?.givenBytes, soon).toBe(bytes.length)
    a.node.withdraw(late.zipHash)
    await expect.poll(() => b.node.holders(late.zipHash), soon).toEqual([])
  })
})

test('node C finds through the DHT what only A holds, knowing only B', async () => {
  await using a = await startNode()
  const ticket = await a.node.invite()
  await using b = await startNode({ ticket })
  await expect.poll(() => b.node.peers(), soon).toHaveLength(1)
  const bytes = randomBytes(300_000)
  const item = a.shelf.put('example.org/far@v1.2.3', bytes)
  await using c = await startNode({
    ticket,
    peers: b.node.addresses(),
    connect: 'configured',
    inventory: false,
  })
  await expect.poll(() => c.node.peers().map(({ peer }) => peer), soon).toContain(b.node.peerId)
  await expect
    .poll(async () => collect(c.node.findRecords(item.module, { signal: calm })), soon)
    .toMatchObject([{ peer: a.node.peerId, holdsZip: true }])
  await expect
    .poll(async () => collect(c.node.findHolders(item.zipHash, { signal: calm })), soon)
    .toMatchObject([{ peer: a.node.peerId }])
  const sink = new MemorySink()
  await c.node.fetchZip(a.node.peerId, item.zipHash, sink, { signal: calm })
  expect(sink.bytes.equals(bytes)).toBe(true)
})
void hashOf
void MemoryShelf
void moduleOf
