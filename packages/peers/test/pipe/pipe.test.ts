import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Connection } from '@libp2p/interface'
import { encode } from 'cborg'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import type { BodyClient } from '../../src/body/body-client.ts'
import { Arrivals } from '../../src/pipe/arrivals.ts'
import { pipeLimits, pipeTimes } from '../../src/pipe/limits.ts'
import {
  decodePipeOffer,
  decodePipeSecret,
  encodePipeOffer,
  pipeProtocol,
} from '../../src/pipe/message.ts'
import { acceptPipe, openPipe } from '../../src/pipe/open-pipe.ts'
import type { Pipe } from '../../src/pipe/pipe.ts'
import { dialPipe, newPipeSecret, PipeDoor } from '../../src/pipe/pipe-tls.ts'
import {
  rogueMember,
  startTestMesh,
  startTestNetwork,
  type TestNetwork,
} from '../../testing/index.ts'
import { hashOf, MemoryShelf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { pipesOnly } from '../support/pipes-only.ts'
import { MemorySink, startNode, type TestNode } from '../support/test-node.ts'

const calm = new AbortController().signal
const soon = { interval: 10 }
failOnUnhandled()

const name = 'example.org/m@v1.0.0'
const zipHash = hashOf(name)
const body = randomBytes(3_000_000)

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

/** Asks over pipes and nothing else. */
function clientOf({ network }: TestNetwork): BodyClient {
  const { client, pipes } = pipesOnly(network)
  stack.defer(() => pipes.stop())
  return client
}

async function connected(of: TestNetwork, peer: string): Promise<Connection> {
  const find = () =>
    of.network.libp2p.getConnections().find((c) => c.remotePeer.toString() === peer)
  await expect.poll(find, soon).toBeDefined()
  return find()!
}

describe('bodies', () => {
  test('go over pipes to an asker that dialled the connection', async () => {
    const holder = stack.use(await startNode({ shelf: shelf() }))
    const asker = stack.use(await rogueMember(await holder.node.invite()))
    await asker.connect(holder.address)
    const client = clientOf(asker.node)
    await fetchAll(client, holder)
  })

  test('go over pipes to an asker that was dialled: it need not reach the holder', async () => {
    const asker = stack.use(await startTestNetwork())
    const holder = stack.use(await startNode({ ticket: await asker.invite(), shelf: shelf() }))
    const connection = await connected(asker, holder.node.peerId)
    expect(connection.direction).toBe('inbound')
    const client = clientOf(asker)
    await fetchAll(client, holder)
  })

  test('follow each other on a pipe, also after an answer without bytes', async () => {
    const holder = stack.use(await startNode({ shelf: shelf() }))
    const asker = stack.use(await rogueMember(await holder.node.invite()))
    await asker.connect(holder.address)
    const client = clientOf(asker.node)
    await fetchAll(client, holder)
    const pipes = pipesOf(asker.node, holder.node.peerId)
    for (let round = 0; round < 3; round++) {
      const nothing = client.fetch(holder.node.peerId, hashOf('absent'), new MemorySink(), {
        signal: calm,
      })
      await expect(nothing).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
      await fetchAll(client, holder)
    }
    expect(pipesOf(asker.node, holder.node.peerId)).toBe(pipes)
  })

  test('end when the connection is cut, and nothing more comes', async () => {
    const holder = stack.use(await startNode({ shelf: shelf() }))
    const asker = stack.use(await rogueMember(await holder.node.invite()))
    const connection = await asker.connect(holder.address)
    const client = clientOf(asker.node)
    const cutting = { write: async () => connection.abort(new Error('cut')) }
    const fetching = client.fetch(holder.node.peerId, zipHash, cutting, { signal: calm })
    await expect(fetching).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
    expect(pipesOf(asker.node, holder.node.peerId)).toBe(0)
  })

  async function fetchAll(client: BodyClient, { node }: TestNode): Promise<void> {
    const sink = new MemorySink()
    await client.fetch(node.peerId, zipHash, sink, { signal: calm })
    expect(Buffer.from(sink.bytes).equals(body)).toBe(true)
  }
})

function fail(): never {
  throw new Error('it was to fail')
}

function shelf(): MemoryShelf {
  const items = new MemoryShelf()
  items.put(name, body)
  return items
}

function pipesOf({ network }: TestNetwork, peer: string): number {
  return network.libp2p
    .getConnections()
    .filter(({ remotePeer }) => remotePeer.toString() === peer)
    .flatMap(({ streams }) => streams)
    .filter(({ protocol, status }) => protocol === pipeProtocol && status === 'open').length
}

describe('a pipe', () => {
  /** Both ends of a pipe, the asker's first. */
  async function pair(): Promise<[Pipe, Pipe]> {
    const [holder, asker] = (await startTestMesh(2, { dht: false })) as [TestNetwork, TestNetwork]
    stack.use(holder)
    stack.use(asker)
    const far = Promise.withResolvers<Pipe>()
    await holder.network.libp2p.handle(pipeProtocol, (stream, connection) => {
      const { door } = holder.network
      acceptPipe(stream, { connection, door }, { signal: calm }).then(far.resolve, far.reject)
    })
    const connection = await asker.connect(holder.address)
    const near = await openPipe({ connection, door: asker.network.door }, { signal: calm })
    return [near, await far.promise]
  }

  test('holds its sender back while its reader rests', async () => {
    const [near, far] = await pair()
    const rest = Promise.withResolvers<void>()
    let sent = 0
    const chunk = new Uint8Array(262_144)
    const source = async function* () {
      for (let n = 0; n < 400; n++) yield chunk
    }
    const onProgress = (bytes: number) => void (sent = bytes)
    const sending = far.send(source(), { signal: calm, onProgress })
    let got = 0
    const slow = {
      write: async (bytes: Uint8Array) => {
        got += bytes.byteLength
        await rest.promise
      },
    }
    const receiving = near.receive(slow, { length: 400 * chunk.byteLength, signal: calm })
    let last = -1
    await expect
      .poll(
        () => {
          const isStill = sent === last && sent > 0
          last = sent
          return isStill
        },
        { interval: 300 },
      )
      .toBe(true)
    // What the system keeps for a socket comes on top, on both sides.
    expect(sent).toBeLessThan(pipeLimits.unreadBytes + 16_000_000)
    expect(got).toBeLessThanOrEqual(pipeLimits.blockBytes)
    rest.resolve()
    await Promise.all([sending, receiving])
    expect(got).toBe(400 * chunk.byteLength)
  })

  test('carries frames and bodies as they are, however they are cut', async () => {
    const [near, far] = await pair()
    const part = fc.uint8Array({ maxLength: 400, size: 'max' })
    const talk = fc.array(fc.record({ frame: part, pieces: fc.array(part, { maxLength: 8 }) }), {
      maxLength: 5,
    })
    await fc.assert(
      fc.asyncProperty(talk, async (turns) => {
        for (const { frame, pieces } of turns) {
          await far.write(frame)
          const whole = Buffer.concat(pieces)
          const source = async function* () {
            yield* pieces
          }
          const sending = far.send(source(), { signal: calm, onProgress: () => {} })
          expect(await near.read({ signal: calm, maxBytes: 1_000 })).toEqual(frame)
          const sink = new MemorySink()
          await near.receive(sink, { length: whole.length, signal: calm })
          await sending
          expect(Buffer.from(sink.bytes).equals(whole)).toBe(true)
        }
      }),
      { numRuns: 30 },
    )
  })

  test('refuses a frame that is too long, and is over', async () => {
    for (const frame of [new Uint8Array(2_000), new Uint8Array(300)]) {
      const [near, far] = await pair()
      await far.write(frame)
      const reading = near.read({ signal: calm, maxBytes: 200 })
      await expect(reading).rejects.toMatchObject({ code: 'PROTOCOL' })
      expect(near.isOver).toBe(true)
      expect(await far.untilAsked()).toBe(false)
    }
  })

  test('whose stream is reset before its secret is told ends without anything left over', async () => {
    const [holder, asker] = (await startTestMesh(2, { dht: false })) as [TestNetwork, TestNetwork]
    stack.use(holder)
    stack.use(asker)
    const stop = new AbortController()
    const waits: Promise<unknown>[] = []
    const failed = (made: Promise<unknown>) => made.then(fail, (error: unknown) => error)
    /** One where the stream is reset when the pipe is expected already. */
    const doorOf = ({ network }: TestNetwork, { streams }: Connection): PipeDoor =>
      Object.assign(Object.create(network.door) as PipeDoor, {
        expect: (...args: Parameters<PipeDoor['expect']>) => {
          const expected = network.door.expect(...args)
          waits.push(failed(expected))
          for (const it of streams) if (it.protocol === pipeProtocol) it.abort(new Error('reset'))
          // Nobody handles this one but who called.
          return expected.then((came) => came)
        },
      })
    const accepted = Promise.withResolvers<unknown>()
    await holder.network.libp2p.handle(pipeProtocol, (stream, connection) => {
      const door = doorOf(holder, connection)
      accepted.resolve(failed(acceptPipe(stream, { connection, door }, { signal: stop.signal })))
    })
    await asker.network.libp2p.handle(pipeProtocol, () => {})
    const connection = await asker.connect(holder.address)
    const { door } = asker.network
    await failed(openPipe({ connection, door }, { signal: calm }))
    await accepted.promise
    const back = holder.network.libp2p.getConnections().find((it) => it.direction === 'inbound')!
    const offer = { connection: back, door: doorOf(holder, back) }
    await failed(openPipe(offer, { signal: stop.signal }))
    stop.abort(new Error('too late'))
    expect(await Promise.all(waits)).toEqual([expect.any(Error), expect.any(Error)])
  })

  test('ends with what waits when the other end goes', async () => {
    const [near, far] = await pair()
    const reading = near.receive(new MemorySink(), { length: 10, signal: calm })
    far.destroy()
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_CUT', expectedBytes: 10 })
    await expect(near.finish({ signal: calm })).rejects.toMatchObject({ code: 'STREAM_SEND' })
  })
})

describe('the mesh port', () => {
  async function portOf(): Promise<{ node: TestNode; port: number }> {
    const node = stack.use(await startNode({ shelf: shelf() }))
    await node.node.invite()
    return { node, port: Number(node.address.split('/tcp/')[1]?.split('/')[0]) }
  }

  /** Bytes that came until the other side closed. */
  async function heard(socket: Socket): Promise<number> {
    let bytes = 0
    socket.on('data', (data: Buffer) => {
      bytes += data.length
    })
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
    return bytes
  }

  test('says nothing to a stranger that speaks TLS', async () => {
    const { port } = await portOf()
    const strangers = [
      connect(port, '127.0.0.1', function (this: Socket) {
        this.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]))
      }),
      connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }),
    ]
    for (const stranger of strangers) stranger.on('error', () => {})
    expect(await Promise.all(strangers.map(heard))).toEqual([0, 0])
  })

  test('does not let in a pipe whose key is wrong or was used, while another is expected', async () => {
    const [one, other] = (await startTestMesh(2, { dht: false })) as [TestNetwork, TestNetwork]
    stack.use(one)
    stack.use(other)
    const { door } = one.network
    const stop = new AbortController()
    const secret = newPipeSecret()
    const expected = door.expect(secret, { signal: stop.signal })
    const port = Number(one.address.split('/tcp/')[1]?.split('/')[0])
    const address = { host: '127.0.0.1', port }
    const wrong = { name: secret.name, key: newPipeSecret().key }
    await expect(dialPipe(address, wrong, { signal: calm })).rejects.toThrow()
    await expect(dialPipe(address, newPipeSecret(), { signal: calm })).rejects.toThrow()
    const { socket } = await dialPipe(address, secret, { signal: calm })
    const { socket: near } = await expected
    await expect(dialPipe(address, secret, { signal: calm })).rejects.toThrow()
    expect(near.destroyed).toBe(false)
    socket.destroy()
    near.destroy()
  })

  test('lets nobody in the way of a pipe for longer than a handshake takes', async () => {
    const door = new PipeDoor({ handshakeMs: 1_500 })
    const port = createServer(door.take).listen(0, '127.0.0.1')
    stack.defer(() => void port.close())
    await once(port, 'listening')
    const address = { host: '127.0.0.1', port: (port.address() as AddressInfo).port }
    const secret = newPipeSecret()
    const expected = door.expect(secret, { signal: calm })
    const strangers = Array.from({ length: pipeLimits.shaking }, () => connect(address))
    stack.defer(() => strangers.forEach((stranger) => void stranger.destroy()))
    for (const stranger of strangers) stranger.on('error', () => {}).write(Buffer.of(0x16))
    await expect(dialPipe(address, secret, { signal: calm })).rejects.toThrow()
    await Promise.all(strangers.map(heard))
    const { socket } = await dialPipe(address, secret, { signal: calm })
    socket.destroy()
    const { socket: near } = await expected
    near.destroy()
  })

  test('is there for members while strangers keep it waiting', async () => {
    const { node, port } = await portOf()
    const silent = Array.from({ length: pipeLimits.silent + 20 }, () => connect(port, '127.0.0.1'))
    for (const socket of silent) socket.on('error', () => {})
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    const member = stack.use(await rogueMember(await node.node.invite()))
    await expect(member.connect(node.address)).resolves.toBeDefined()
    for (const socket of silent) socket.destroy()
  })
})

test('a node stops at once though strangers hold its port open, and one speaks in that moment', async () => {
  const node = stack.use(await startNode())
  await node.node.invite()
  const port = Number(node.address.split('/tcp/')[1]?.split('/')[0])
  const strangers = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'))
  for (const socket of strangers) socket.on('error', () => {})
  await Promise.all(strangers.map((socket) => once(socket, 'connect')))
  const took = startStopwatch()
  const stopping = node.node.stop()
  for (const socket of strangers.slice(5)) socket.write('\u0013/multistream/1.0.0\n')
  await stopping
  expect(took()).toBeLessThan(pipeTimes.firstByteMs)
})

describe('what is said about a pipe', () => {
  test('by the wrong end, or in garbage, opens none', async () => {
    const holder = stack.use(await startNode({ shelf: shelf() }))
    const asker = stack.use(await rogueMember(await holder.node.invite()))
    const connection = await asker.connect(holder.address)
    const said = [
      encodePipeOffer({ kind: 'come', ...newPipeSecret() }),
      encode({ kind: 'other' }),
      new Uint8Array(5_000).fill(0xff),
    ]
    for (const frame of said) {
      const stream = await connection.newStream(pipeProtocol)
      const closed = new Promise((resolve) => stream.addEventListener('close', resolve))
      stream.send(Uint8Array.from([frame.length & 0x7f, ...frame]))
      await closed
    }
    expect(pipesOf(asker.node, holder.node.peerId)).toBe(0)
  })

  test('in random bytes throws ProtocolError and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
        for (const decode of [decodePipeOffer, decodePipeSecret]) {
          expect(() => decode(raw)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
        }
      }),
    )
  })
})

test('what arrives is given once, in order, in bounded memory', async () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(700_000) }),
    fc.record({ read: fc.integer({ min: 1, max: 400_000 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const arrivals = new Arrivals()
      const [came, given] = [createHash('sha256'), createHash('sha256')]
      let size = 0
      for (const one of steps) {
        if ('add' in one) {
          const bytes = randomBytes(one.add)
          came.update(bytes)
          arrivals.add(bytes)
          size += one.add
        } else {
          // More may come while the bytes are used.
          const more = randomBytes(1_000)
          const count = await arrivals.first(one.read, (bytes) => {
            given.update(bytes)
            came.update(more)
            arrivals.add(more)
            size += more.length
          })
          size -= count
        }
        expect(arrivals.size).toBe(size)
      }
      while (arrivals.size > 0) await arrivals.first(1_000_000, (bytes) => void given.update(bytes))
      expect(given.digest('hex')).toBe(came.digest('hex'))
    }),
    { numRuns: 50 },
  )
})
