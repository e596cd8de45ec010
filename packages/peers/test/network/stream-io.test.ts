import { createHash, randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  maxSendBytes,
  maxStreamWindowBytes,
  maxUnsentBytes,
  maxUnwrittenBytes,
} from '../../src/network/limits.ts'
import { receiveInto, sendChunks } from '../../src/network/stream-io.ts'
import type { TestNetwork } from '../../testing/index.ts'
import { startTestMesh } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

const MiB = 1024 * 1024
const protocol = '/test/body'
const { signal } = new AbortController()
let mesh: TestNetwork[]
let respond: (stream: Stream) => Promise<unknown>

beforeAll(async () => {
  mesh = await startTestMesh(2, { dht: false })
  const options = { maxInboundStreams: 256 }
  await mesh[0]!.network.libp2p.handle(
    protocol,
    (stream) => void respond(stream).catch(() => {}),
    options,
  )
})

afterAll(() => Promise.all(mesh.map((one) => one[Symbol.asyncDispose]())))

beforeEach(() => {
  respond = () => Promise.reject(new Error('no responder'))
})

function open(): Promise<Stream> {
  const [server, client] = mesh as [TestNetwork, TestNetwork]
  const options = { maxOutboundStreams: 256 }
  return client.network.libp2p.dialProtocol(multiaddr(server.address), protocol, options)
}

function collector() {
  const chunks: Uint8Array[] = []
  return {
    write: (chunk: Uint8Array) => {
      chunks.push(chunk.slice())
      return Promise.resolve()
    },
    bytes: () => Buffer.concat(chunks),
  }
}

/** A sink that stops after its first chunk until it is released. */
function stuckSink() {
  const release = Promise.withResolvers<void>()
  let size = 0
  return {
    write: async (chunk: Uint8Array) => {
      size += chunk.byteLength
      await release.promise
    },
    size: () => size,
    release: () => release.resolve(),
  }
}

async function send(stream: Stream, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const sent = await sendChunks(stream, chunks, { signal })
  await stream.close()
  return sent
}

describe('a body', () => {
  test('arrives whole, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 12 }),
        async (sizes) => {
          const chunks = sizes.map((size) => new Uint8Array(randomBytes(size)))
          respond = (stream) => send(stream, chunks)
          const sink = collector()
          const length = sizes.reduce((sum, size) => sum + size, 0)
          await receiveInto(await open(), sink, { length, signal })
          expect(sink.bytes().equals(Buffer.concat(chunks))).toBe(true)
        },
      ),
      { numRuns: 15 },
    )
  })

  test('of nothing arrives at once', async () => {
    respond = (stream) => send(stream, [])
    await receiveInto(await open(), collector(), { length: 0, signal })
  })

  test('arrives whole after a header was read from the same stream', async () => {
    const body = new Uint8Array(randomBytes(3 * MiB))
    respond = async (stream) => {
      await lpStream(stream).write(Uint8Array.of(1, 2, 3))
      await send(stream, [body])
    }
    const stream = await open()
    const header = lpStream(stream)
    expect((await header.read()).slice()).toEqual(Uint8Array.of(1, 2, 3))
    const sink = collector()
    await receiveInto(header.unwrap(), sink, { length: body.byteLength, signal })
    expect(sink.bytes().equals(body)).toBe(true)
  })

  test('tells its progress on both sides', async () => {
    const sent: number[] = []
    respond = async (stream) => {
      const onProgress = (bytes: number): void => void sent.push(bytes)
      await sendChunks(stream, [new Uint8Array(MiB)], { signal, onProgress })
      await stream.close()
    }
    const received: number[] = []
    const onProgress = (bytes: number): void => void received.push(bytes)
    await receiveInto(await open(), collector(), { length: MiB, signal, onProgress })
    expect(sent).toEqual([maxSendBytes, 2 * maxSendBytes])
    expect(received.at(-1)).toBe(MiB)
    expect(received).toEqual(received.toSorted((a, b) => a - b))
  })

  test('and 99 others arrive at once on one connection', async () => {
    const body = new Uint8Array(randomBytes(20_000))
    respond = (stream) => send(stream, [body])
    const sinks = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const sink = collector()
        await receiveInto(await open(), sink, { length: body.byteLength, signal })
        return sink
      }),
    )
    for (const sink of sinks) expect(sink.bytes().equals(body)).toBe(true)
  })
})

describe('back-pressure', () => {
  // What may be on its way to a reader that reads nothing.
  const bound = maxStreamWindowBytes + maxUnwrittenBytes + maxUnsentBytes + 4 * maxSendBytes

  test('a paused reader stops the sender within a few megabytes, then gets all of it', async () => {
    const length = 32 * MiB
    let produced = 0
    const hash = createHash('sha256')
    function* source() {
      const chunk = new Uint8Array(randomBytes(256 * 1024))
      for (; produced < length; produced += chunk.byteLength) {
        hash.update(chunk)
        yield chunk
      }
    }
    respond = (stream) => send(stream, source())
    const stuck = stuckSink()
    const seen = createHash('sha256')
    const sink = {
      write: async (chunk: Uint8Array) => {
        seen.update(chunk)
        await stuck.write(chunk)
      },
    }
    const stream = await open()
    const received = receiveInto(stream, sink, { length, signal })
    await settled(() => produced)
    expect(produced).toBeLessThan(bound)
    expect(stream.status).toBe('open')
    stuck.release()
    await received
    expect(stuck.size()).toBe(length)
    expect(seen.digest('hex')).toBe(hash.digest('hex'))
  })

  test('a reader that stops again and again gets all of it', async () => {
    const length = 12 * MiB
    const body = new Uint8Array(randomBytes(length))
    respond = (stream) => send(stream, [body])
    const hash = createHash('sha256')
    let writes = 0
    const sink = {
      write: async (chunk: Uint8Array) => {
        hash.update(chunk)
        if (writes++ % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      },
    }
    await receiveInto(await open(), sink, { length, signal })
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'))
  })

  test('a stalled stream does not grow while its sibling moves', async () => {
    const length = 24 * MiB
    let produced = 0
    function* endless() {
      const chunk = new Uint8Array(64 * 1024)
      for (; produced < length; produced += chunk.byteLength) yield chunk
    }
    const stuck = stuckSink()
    respond = (stream) => send(stream, endless())
    const stalled = receiveInto(await open(), stuck, { length, signal })
    respond = (stream) => send(stream, [new Uint8Array(length)])
    const moved = collector()
    await receiveInto(await open(), moved, { length, signal })
    expect(moved.bytes().byteLength).toBe(length)
    expect(produced).toBeLessThan(bound)
    stuck.release()
    await stalled
    expect(stuck.size()).toBe(length)
  })
})

describe('a body that goes wrong', () => {
  test('is cut when its sender closes early', async () => {
    respond = (stream) => send(stream, [new Uint8Array(1000)])
    await expect(receiveInto(await open(), collector(), { length: 1001, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'STREAM_CUT', receivedBytes: 1000, expectedBytes: 1001 }),
    )
  })

  test('is cut when its sender ends before the reader listens', async () => {
    respond = (stream) => send(stream, [])
    const stream = await open()
    await patiently(() => stream.remoteWriteStatus).toBe('closed')
    await expect(receiveInto(stream, collector(), { length: 1, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'STREAM_CUT', receivedBytes: 0 }),
    )
  })

  test('is cut when its source fails, and the sender gets the source’s error', async () => {
    const failure = Promise.withResolvers<unknown>()
    const opened = Promise.withResolvers<void>()
    async function* source() {
      yield new Uint8Array(1000)
      await opened.promise
      throw new RangeError('the disk is gone')
    }
    respond = (stream) => sendChunks(stream, source(), { signal }).catch(failure.resolve)
    const stream = await open()
    opened.resolve()
    await expect(receiveInto(stream, collector(), { length: 2000, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'STREAM_CUT' }),
    )
    expect(await failure.promise).toBeInstanceOf(RangeError)
  })

  test('is refused when its last chunk is longer than declared', async () => {
    respond = (stream) => send(stream, [new Uint8Array(1000)])
    await expect(receiveInto(await open(), collector(), { length: 999, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'STREAM_OVERRUN' }),
    )
  })

  test('is cut when it goes on after its declared end', async () => {
    const failure = Promise.withResolvers<unknown>()
    const received = Promise.withResolvers<void>()
    respond = async (stream) => {
      await sendChunks(stream, [new Uint8Array(1000)], { signal })
      await received.promise
      await send(stream, [new Uint8Array(32 * MiB)]).catch(failure.resolve)
    }
    const stream = await open()
    await receiveInto(stream, collector(), { length: 1000, signal })
    received.resolve()
    expect(await failure.promise).toMatchObject({ code: 'STREAM_SEND' })
    expect(stream.status).toBe('aborted')
  })

  test('ends with the sink’s own error, and the sender learns it', async () => {
    const failure = Promise.withResolvers<unknown>()
    respond = (stream) => send(stream, [new Uint8Array(32 * MiB)]).catch(failure.resolve)
    const sink = { write: () => Promise.reject(new RangeError('disk full')) }
    await expect(receiveInto(await open(), sink, { length: 32 * MiB, signal })).rejects.toThrow(
      RangeError,
    )
    expect(await failure.promise).toMatchObject({ code: 'STREAM_SEND' })
  })

  test('ends when the reader gives up, and the connection stays usable', async () => {
    const failure = Promise.withResolvers<unknown>()
    respond = (stream) => send(stream, [new Uint8Array(32 * MiB)]).catch(failure.resolve)
    const controller = new AbortController()
    const stuck = stuckSink()
    const options = { length: 32 * MiB, signal: controller.signal }
    const received = receiveInto(await open(), stuck, options)
    await patiently(() => stuck.size()).toBeGreaterThan(0)
    controller.abort(new RangeError('enough'))
    await expect(received).rejects.toThrow(RangeError)
    expect(await failure.promise).toMatchObject({ code: 'STREAM_SEND' })

    respond = (stream) => send(stream, [Uint8Array.of(7)])
    const sink = collector()
    await receiveInto(await open(), sink, { length: 1, signal })
    expect(sink.bytes()).toEqual(Buffer.of(7))
  })

  test('ends when the sender gives up while the reader is stuck', async () => {
    const controller = new AbortController()
    const failure = Promise.withResolvers<unknown>()
    respond = (stream) =>
      sendChunks(stream, [new Uint8Array(32 * MiB)], { signal: controller.signal }).catch(
        failure.resolve,
      )
    const stuck = stuckSink()
    const received = receiveInto(await open(), stuck, { length: 32 * MiB, signal })
    received.catch(() => {})
    await patiently(() => stuck.size()).toBeGreaterThan(0)
    controller.abort(new RangeError('enough'))
    expect(await failure.promise).toBeInstanceOf(RangeError)
    await expect(received).rejects.toThrow(expect.objectContaining({ code: 'STREAM_CUT' }))
  })

  test('is not begun with an aborted signal', async () => {
    respond = (stream) => send(stream, [new Uint8Array(10)])
    const aborted = AbortSignal.abort(new RangeError('late'))
    await expect(
      receiveInto(await open(), collector(), { length: 10, signal: aborted }),
    ).rejects.toThrow(RangeError)
    await expect(
      sendChunks(await open(), [new Uint8Array(1)], { signal: aborted }),
    ).rejects.toThrow(RangeError)
  })
})

/** Resolves when a growing number has stood still for a while. */
async function settled(value: () => number): Promise<void> {
  let last = -1
  await expect
    .poll(
      () => {
        const still = value() === last && last > 0
        last = value()
        return still
      },
      { interval: 150 },
    )
    .toBe(true)
}
