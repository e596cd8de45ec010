import type { Stream } from '@libp2p/interface'
import { encode } from 'cborg'
import * as lp from 'it-length-prefixed'
import { describe, expect, test } from 'vitest'
import { encodeMessage } from '../../src/control/frame.ts'
import { controlProtocol, type Hello } from '../../src/control/message.ts'
import { machineClock } from '../../src/machine-clock.ts'
import { rogueMember } from '../../testing/index.ts'
import { hashOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { startNode, type TestNode } from '../support/test-node.ts'

const soon = { interval: 10 }
failOnUnhandled()

const hello: Hello = {
  kind: 'hello',
  versions: [1],
  capabilities: ['inventory'],
  site: 'default',
  name: 'rogue',
  clockMs: 1,
  boot: new Uint8Array(8),
}

function frame(content: Uint8Array): Uint8Array {
  return lp.encode.single(content).subarray()
}

/** A node, and a member that dialled it and opened a control stream. */
async function withRogue(init: Parameters<typeof startNode>[0] = {}) {
  const a = await startNode(init)
  const rogue = await rogueMember(await a.node.invite())
  const connection = await rogue.connect(a.node.addresses()[0] ?? '')
  const open = async (): Promise<Stream> => {
    const stream = await connection.newStream(controlProtocol)
    stream.addEventListener('message', () => {}) // what the node says does not matter
    return stream
  }
  return {
    a,
    rogue,
    connection,
    open,
    async [Symbol.asyncDispose]() {
      await rogue[Symbol.asyncDispose]()
      await a[Symbol.asyncDispose]()
    },
  }
}

function blameOf(node: TestNode, peer: string): string | undefined {
  return node.node.peers().find((status) => status.peer === peer)?.blamed?.reason
}

/** What a member that misbehaves must not touch: another one connects and sees the inventory. */
async function expectHealthy(a: TestNode): Promise<void> {
  const item = a.shelf.put('example.org/healthy@v1.0.0', new Uint8Array(10))
  await using b = await startNode({ ticket: await a.node.invite() })
  await expect.poll(() => b.node.holders(item.zipHash), soon).toHaveLength(1)
}

describe('a control hub', () => {
  test('opens a lost control stream again, as dialler and as the dialled', async () => {
    await using a = await startNode({ times: { reopenMs: 10, reopenInboundMs: 20 } })
    await using rogue = await rogueMember(await a.node.invite())
    let opened = 0
    await rogue.handle(controlProtocol, (stream) => {
      opened += 1
      stream.abort(new Error('a middlebox'))
    })
    await rogue.connect(a.node.addresses()[0] ?? '')
    await expect.poll(() => opened, soon).toBeGreaterThanOrEqual(3)
    expect(a.node.peers()).toEqual([])
    expect(blameOf(a, rogue.peerId)).toBeUndefined()
  })

  test('keeps the newest of the sessions that one peer opens', async () => {
    await using all = await withRogue()
    const { a, rogue, open } = all
    for (let count = 0; count < 3; count++) {
      const stream = await open()
      stream.send(frame(encodeMessage(hello)))
      const added = Buffer.alloc(8, count + 1)
      const inventory = { kind: 'inventory', seq: 0, full: true, last: true } as const
      stream.send(frame(encodeMessage({ ...inventory, added, removed: new Uint8Array() })))
    }
    await expect
      .poll(() => a.node.peers(), soon)
      .toMatchObject([{ peer: rogue.peerId, isConnected: true, inventorySize: 1 }])
    expect(a.events.filter((event) => event.kind === 'failed')).toEqual([])
  })

  test('refuses a peer that opens sessions without end', async () => {
    await using all = await withRogue()
    const streams: Stream[] = []
    for (let count = 0; count < 40; count++) {
      const stream = await all.open().catch(() => undefined)
      if (stream !== undefined) streams.push(stream)
    }
    const isOpen = (stream: Stream) => stream.status === 'open'
    await expect.poll(() => streams.filter(isOpen).length, soon).toBeLessThanOrEqual(4)
    await expectHealthy(all.a)
  })

  test.for([
    ['garbage', [new Uint8Array(500).fill(0xff)]],
    ['a garbage frame', [frame(new Uint8Array(100).fill(0xff))]],
    ['no hello', [frame(encode({ kind: 'heartbeat', id: 1 }))]],
    ['two hellos', [frame(encodeMessage(hello)), frame(encodeMessage(hello))]],
    ['a giant frame', [Uint8Array.of(0xff, 0xff, 0xff, 0x7f), new Uint8Array(1_000)]],
    [
      'a frame of many small items',
      [frame(encodeMessage(hello)), frame(new Uint8Array(200_000).fill(0x80))],
    ],
  ] as const)('blames and cuts who sends %s', async ([, pieces]) => {
    await using all = await withRogue()
    const { a, rogue, connection, open } = all
    const stream = await open()
    for (const piece of pieces) stream.send(piece)
    await expect.poll(() => blameOf(a, rogue.peerId), soon).toBeDefined()
    await expect.poll(() => connection.status, soon).not.toBe('open')
    expect(a.node.peers()).toMatchObject([{ peer: rogue.peerId, isConnected: false }])
    await expectHealthy(a)
  })

  test('cuts a flooder', async () => {
    // Its time goes slowly: on a busy machine nobody sends more than may be sent while it passes.
    const monotonicMs = () => machineClock.monotonicMs() / 8
    await using all = await withRogue({ clock: { ...machineClock, monotonicMs } })
    const { a, rogue, connection, open } = all
    const stream = await open()
    stream.send(frame(encodeMessage(hello)))
    const noise = frame(encode({ kind: 'noise', filler: new Uint8Array(200_000) }))
    for (let sent = 0; sent < 400 && connection.status === 'open'; sent++) {
      try {
        stream.send(noise)
      } catch {
        break // cut
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await expect.poll(() => blameOf(a, rogue.peerId), soon).toBe('sends faster than it may')
    await expect.poll(() => connection.status, soon).not.toBe('open')
    await expectHealthy(a)
  })

  test('cuts a peer whose inventory does not end', async () => {
    await using all = await withRogue()
    const { a, rogue, open } = all
    const stream = await open()
    stream.send(frame(encodeMessage(hello)))
    const part = {
      kind: 'inventory',
      last: false,
      added: new Uint8Array(),
      removed: new Uint8Array(),
    } as const
    for (let seq = 0; seq < 12_000; seq++) {
      try {
        stream.send(frame(encodeMessage({ ...part, seq, full: seq === 0 })))
      } catch {
        break // cut
      }
      if (seq % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const why = 'sends an inventory that does not end'
    await expect.poll(() => blameOf(a, rogue.peerId), soon).toBe(why)
    await expectHealthy(a)
  })

  test('hears addresses that are nonsense without harm', async () => {
    await using all = await withRogue()
    const { a, open } = all
    const stream = await open()
    stream.send(frame(encodeMessage(hello)))
    const peers = [
      { peer: 'nobody', site: 'default', addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { peer: a.node.peerId, site: 'default', addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { peer: '12D3KooWSq7', site: 'default', addresses: ['nonsense', '/dns4/x/udp/1', ''] },
    ]
    stream.send(frame(encodeMessage({ kind: 'peers', peers })))
    stream.send(frame(encodeMessage({ kind: 'tree-head', database: 'd', note: 'n' })))
    await expect.poll(() => a.heads.heard, soon).toHaveLength(1)
    expect(a.events.filter((event) => event.kind === 'failed')).toEqual([])
  })

  test('takes claims of an inventory as hints only', async () => {
    await using all = await withRogue()
    const { a, rogue, open } = all
    const stream = await open()
    stream.send(frame(encodeMessage(hello)))
    const wanted = hashOf('example.org/lie@v1.0.0')
    const added = Buffer.from(wanted.slice(3), 'base64').subarray(0, 8)
    const inventory = { kind: 'inventory', seq: 9, full: true, last: true } as const
    stream.send(frame(encodeMessage({ ...inventory, added, removed: new Uint8Array() })))
    await expect.poll(() => a.node.holders(wanted), soon).toHaveLength(1)
    const sink = { write: async () => {} }
    const signal = new AbortController().signal
    await expect(a.node.fetchZip(rogue.peerId, wanted, sink, { signal })).rejects.toMatchObject({
      fault: 'unable',
    })
    expect(a.node.holders(wanted)).toEqual([])
  })
})
