import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { HeldZip } from '@modmesh/fill'
import { type ZipHash, zipHashBytes } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { uploadPacing } from '../../src/body/limits.ts'
import { bodyProtocol, decodeBodyHeader, encodeBodyRequest } from '../../src/body/message.ts'
import { receiveInto } from '../../src/network/stream-io.ts'
import { rogueMember } from '../../testing/index.ts'
import { MemoryShelf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { SkippingClock } from '../support/skipping-clock.ts'
import { MemorySink, patientTimes, startNode, type TestNode } from '../support/test-node.ts'

const MiB = 1024 * 1024
const calm = new AbortController().signal
const soon = { interval: 5 }
failOnUnhandled()

let cleanups: AsyncDisposableStack
beforeEach(() => {
  cleanups = new AsyncDisposableStack()
})
afterEach(() => cleanups.disposeAsync())

/** A shelf that counts what is read of each zip. */
class CountingShelf extends MemoryShelf {
  readonly read = new Map<ZipHash, number>()

  override async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    const zip = await super.findContent(zipHash)
    return zip && { ...zip, read: (range) => this.#counted(zipHash, zip.read(range)) }
  }

  async *#counted(zipHash: ZipHash, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.read.set(zipHash, (this.read.get(zipHash) ?? 0) + chunk.byteLength)
      yield chunk
    }
  }
}

async function startMember(of: TestNode): Promise<TestNode> {
  const member = cleanups.use(await startNode({ ticket: await of.node.invite() }))
  await expect.poll(() => member.node.peers().some((peer) => peer.isConnected), soon).toBe(true)
  return member
}

/** Members that open streams as they like. */
async function startReader(of: TestNode): Promise<(zipHash: ZipHash) => Promise<Stream>> {
  const rogue = cleanups.use(await rogueMember(await of.node.invite()))
  const connection = await rogue.connect(of.address)
  return async (zipHash) => {
    const stream = await connection.newStream(bodyProtocol, { maxOutboundStreams: 100 })
    const frames = lpStream(stream)
    await frames.write(encodeBodyRequest({ kind: 'zip', zipHash: zipHashBytes(zipHash) }))
    expect(decodeBodyHeader((await frames.read()).subarray()).status).toBe('ok')
    return frames.unwrap()
  }
}

describe('a reader that', () => {
  test('pauses costs its window and no more, keeps nobody waiting, and is cut off', async () => {
    const shelf = new CountingShelf()
    const clock = new SkippingClock()
    const a = cleanups.use(await startNode({ shelf, clock }))
    const [paused, other] = ['m', 'n'].map((name) =>
      shelf.put(`example.org/${name}@v1.0.0`, randomBytes(12 * MiB)),
    )
    const b = await startMember(a)
    const open = await startReader(a)
    const stream = await open(paused!.zipHash)
    stream.pause()
    const sink = new MemorySink()
    await b.node.fetchZip(a.node.peerId, other!.zipHash, sink, { signal: calm })
    expect(sink.bytes.byteLength).toBe(12 * MiB)
    await expect.poll(() => a.node.uploads().all.streams, soon).toBe(1)
    expect(shelf.read.get(paused!.zipHash)).toBeLessThan(6 * MiB)
    clock.skip(patientTimes.sendStallMs)
    await expect.poll(() => stream.status, soon).not.toBe('open')
    await expect.poll(() => a.node.uploads().all.streams, soon).toBe(0)
    expect(shelf.read.get(paused!.zipHash)).toBeLessThan(6 * MiB)
  })

  test('reads slowly does not slow the others, nor is it cut off', async () => {
    const shelf = new CountingShelf()
    const a = cleanups.use(await startNode({ shelf }))
    const item = shelf.put('example.org/m@v1.0.0', randomBytes(16 * MiB))
    const b = await startMember(a)
    const open = await startReader(a)
    const slow = await open(item.zipHash)
    let got = 0
    const sink = {
      async write(chunk: Uint8Array) {
        got += chunk.byteLength
        await sleep(200)
      },
    }
    const stop = new AbortController()
    const { signal } = stop
    const reading = receiveInto(slow, sink, { length: item.zip.size, signal })
    for (let round = 0; round < 2; round++) {
      const all = new MemorySink()
      await b.node.fetchZip(a.node.peerId, item.zipHash, all, { signal: calm })
      expect(all.bytes.byteLength).toBe(item.zip.size)
    }
    const before = got
    expect(before).toBeLessThan(item.zip.size)
    expect(slow.status).toBe('open')
    await expect.poll(() => got, soon).toBeGreaterThan(before)
    stop.abort(new Error('seen'))
    await expect(reading).rejects.toThrow('seen')
  })

  test('took all but does not close loses its slot after a while', async () => {
    const a = cleanups.use(await startNode({ times: { closeMs: 1_000 } }))
    const item = a.shelf.put('example.org/m@v1.0.0', randomBytes(1_000))
    const open = await startReader(a)
    const stream = await open(item.zipHash)
    expect(a.node.uploads().all.streams).toBe(1)
    await expect.poll(() => stream.status, soon).not.toBe('open')
    await expect.poll(() => a.node.uploads().all.streams, soon).toBe(0)
  })
})

describe('a link with a limit', () => {
  test('is shared by member: one body gets as much as sixteen of another', async () => {
    const a = cleanups.use(await startNode({ uploads: { all: { rate: 3_000_000 } } }))
    const items = Array.from({ length: 17 }, (_, n) =>
      a.shelf.put(`example.org/m${n}@v1.0.0`, randomBytes(1_000_000)),
    )
    const [many, one] = [await startMember(a), await startMember(a)]
    const stop = new AbortController()
    const sinks = items.slice(1).map(({ zipHash }) => {
      const sink = new MemorySink()
      const { signal } = stop
      const fetching = many.node.fetchZip(a.node.peerId, zipHash, sink, { signal })
      fetching.catch(() => undefined) // it is stopped below
      return sink
    })
    const total = () => sinks.reduce((sum, { chunks }) => sum + size(chunks), 0)
    await expect.poll(total, soon).toBeGreaterThan(300_000)
    // From its first byte to its last: what it takes to ask is not part of the share.
    const seen: { readonly one: number; readonly many: number }[] = []
    let got = 0
    const sink = {
      async write(chunk: Uint8Array) {
        got += chunk.byteLength
        seen.push({ one: got, many: total() })
      },
    }
    await one.node.fetchZip(a.node.peerId, items[0]!.zipHash, sink, { signal: calm })
    stop.abort(new Error('seen'))
    expect(a.node.uploads().refused).toBe(0)
    const [first, last] = [seen[0]!, seen.at(-1)!]
    const [ofOne, ofMany] = [last.one - first.one, last.many - first.many]
    // By body it would be a seventeenth. On a busy machine the one that has less to do waits, too.
    expect(ofOne / (ofOne + ofMany)).toBeGreaterThan(0.2)
    expect(ofOne / (ofOne + ofMany)).toBeLessThan(0.65)
  })

  test('to other sites leaves the own site alone', async () => {
    const rate = 100_000
    const a = cleanups.use(await startNode({ uploads: { wan: { rate } } }))
    const item = a.shelf.put('example.org/m@v1.0.0', randomBytes(700_000))
    const near = await startMember(a)
    const ticket = await a.node.invite({ site: 'far' })
    const far = cleanups.use(await startNode({ ticket }))
    await expect.poll(() => a.node.peers().length, soon).toBe(2)
    const stop = new AbortController()
    const slow = new MemorySink()
    const startedMs = performance.now()
    const fetching = far.node.fetchZip(a.node.peerId, item.zipHash, slow, { signal: stop.signal })
    fetching.catch(() => undefined) // it is stopped below
    for (let round = 0; round < 2; round++) {
      await near.node.fetchZip(a.node.peerId, item.zipHash, new MemorySink(), { signal: calm })
    }
    await expect.poll(() => size(slow.chunks), soon).toBeGreaterThan(0)
    const [bytes, tookMs] = [size(slow.chunks), performance.now() - startedMs]
    const due = (rate * (tookMs + uploadPacing.burstMs)) / 1_000
    expect(bytes).toBeLessThanOrEqual(due + uploadPacing.pieceMinBytes)
    expect(bytes).toBeLessThan(item.zip.size)
    stop.abort(new Error('seen'))
    await expect(fetching).rejects.toThrow('seen')
    expect(a.node.uploads()).toMatchObject({ all: { limits: { rate: undefined } }, refused: 0 })
    expect(a.node.uploads().wan).toMatchObject({ limits: { rate } })
    expect(a.node.peers().map(({ givenBytes }) => givenBytes)).toContain(2 * item.zip.size)
  })
})

test('who is told to wait comes again and gets all', async () => {
  const a = cleanups.use(await startNode({ uploads: { all: { streams: 1 } } }))
  const items = Array.from({ length: 3 }, (_, n) =>
    a.shelf.put(`example.org/m${n}@v1.0.0`, randomBytes(200_000)),
  )
  const b = await startMember(a)
  const sinks = items.map(() => new MemorySink())
  const fetching = items.map(({ zipHash }, n) =>
    b.node.fetchZip(a.node.peerId, zipHash, sinks[n]!, { signal: calm }),
  )
  await Promise.all(fetching)
  expect(sinks.map(({ bytes }) => bytes.byteLength)).toEqual(items.map(({ zip }) => zip.size))
  expect(a.node.uploads().refused).toBeGreaterThan(0)
  expect(a.node.peers()[0]?.blamed).toBeUndefined()
})

function size(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
}
