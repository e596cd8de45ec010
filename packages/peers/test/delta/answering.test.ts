import type { Connection, Libp2p, StreamHandler } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import type { DeltaOffer } from '@modmesh/fill'
import { InvalidFileError, zipHashBytes } from '@modmesh/module'
import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bodyTimes } from '../../src/body/limits.ts'
import type { Uploads } from '../../src/body/uploads.ts'
import { DeltaServer } from '../../src/delta/delta-server.ts'
import { type Frame, FrameReader, frameKinds } from '../../src/delta/frame-reader.ts'
import { FrameWriter } from '../../src/delta/frame-writer.ts'
import { deltaLimits } from '../../src/delta/limits.ts'
import { decodeDeltaAnswer, encodeDelta } from '../../src/delta/message.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryShelf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'

const calm = { signal: new AbortController().signal }
const soon = { interval: 2 }
const { zip, zipHash } = new MemoryShelf().put('example.org/m@v1.0.0', new Uint8Array(900_000))
const ask = {
  kind: 'zip',
  zipHash: zipHashBytes(zipHash),
  bases: [{ zipHash: new Uint8Array(32) }],
  hasManifest: false,
} as const
failOnUnhandled()

const honest: DeltaOffer = {
  zip,
  tell: async () => ({
    base: 0,
    isBaseShared: true,
    packed: new Uint8Array(50),
    zipBytes: zip.size,
    newBytes: 1_000,
    newPackedBytes: 500,
  }),
  async *files() {
    yield new Uint8Array(100)
  },
}

/** A server, and an asker that does as it likes with the other end of a stream. */
async function served(offer: Partial<DeltaOffer> = {}) {
  const clock = new ManualClock()
  const faults: string[] = []
  const given = { bytes: 0, open: 0 }
  let handler: StreamHandler | undefined
  const libp2p = {
    handle: async (_protocol: string, handle: StreamHandler) => {
      handler = handle
    },
    unhandle: async () => {},
  } as unknown as Libp2p
  const begin: Uploads['begin'] = () => {
    given.open += 1
    return { paced: (chunks) => chunks, sent: () => {}, end: () => void given.open-- }
  }
  const links = {
    isOpenTo: () => true,
    closing: () => undefined,
    giving: (_peer: string, chunks: AsyncIterable<Uint8Array>) =>
      chunks as AsyncGenerator<Uint8Array>,
  }
  const owner = {
    links,
    given: (_peer: string, bytes: number) => void (given.bytes += bytes),
    fault: (_peer: string, reason: string) => void faults.push(reason),
  }
  const shelf = { offer: async () => ({ ...honest, ...offer }) }
  const uploads = { begin } as Uploads
  const server = new DeltaServer({ libp2p, shelf, clock, uploads, owner }, { times: bodyTimes })
  await server.start()
  const [asker, stream] = await streamPair({ delay: 0 })
  const connection = { remotePeer: { toString: () => 'asker' } } as unknown as Connection
  const isServed = Promise.resolve(handler?.(stream, connection))
  const reader = new FrameReader(asker)
  return { asker, reader, writer: new FrameWriter(asker), stream, faults, given, clock, isServed }
}

type Served = Awaited<ReturnType<typeof served>>

async function answerOf(reader: FrameReader) {
  const frame = await reader.read(calm)
  return decodeDeltaAnswer(frame?.bytes ?? new Uint8Array())
}

/** Asks in good order and takes the manifest. */
async function askWell({ writer, reader }: Served): Promise<void> {
  await writer.message(encodeDelta(ask), calm)
  expect(await answerOf(reader)).toMatchObject({ status: 'manifest', length: 50 })
  await skipData(reader)
}

async function skipData(reader: FrameReader): Promise<void> {
  let frame: Frame | undefined
  do frame = await reader.read(calm)
  while (frame !== undefined && frame.kind !== frameKinds.end)
}

const files = { kind: 'files', form: 'P', base: 0, files: Uint8Array.of(0) } as const

describe('an asker', () => {
  test('that asks in good order gets manifest and files, and the slot is free again', async () => {
    const all = await served()
    await askWell(all)
    expect(all.given.open).toBe(1)
    await all.writer.message(encodeDelta(files), calm)
    expect(await answerOf(all.reader)).toEqual({ status: 'files' })
    await skipData(all.reader)
    await all.asker.close()
    await all.isServed
    // 150 of the bodies; the rest are answers and heads of frames, which cross the link, too.
    expect([all.faults, all.given]).toEqual([[], { bytes: 272, open: 0 }])
  })

  test('of a later version is told that we do not know', async () => {
    const { reader, writer, faults } = await served()
    await writer.message(encode({ kind: 'tree' }), calm)
    expect(await answerOf(reader)).toEqual({ status: 'unsupported' })
    expect(faults).toEqual([])
  })

  test.for<[string, (to: Served) => unknown]>([
    ['bytes that are no frames', ({ asker }) => asker.send(new Uint8Array(50).fill(0xee))],
    ['a frame too long', ({ asker }) => asker.send(Uint8Array.of(frameKinds.message, 255, 0, 0))],
    ['data', ({ writer }) => writer.data(new Uint8Array(9), calm)],
    ['no CBOR', ({ writer }) => writer.message(Uint8Array.of(0xff), calm)],
    ['a broken question', ({ writer }) => writer.message(encode({ kind: 'zip' }), calm)],
  ])('that begins with %s is to blame, and gets no slot', async ([, misdeed]) => {
    const all = await served()
    await misdeed(all)
    await all.isServed
    expect(all.faults).toEqual(['broken delta request'])
    expect([all.stream.status, all.given]).toEqual(['aborted', { bytes: 0, open: 0 }])
  })

  test.for<[string, object]>([
    ['a second zip', ask],
    ['files against a base it did not name', { ...files, base: 3 }],
    ['files against no base', { kind: 'files', form: 'P', files: Uint8Array.of(0) }],
    ['numbers of files that are none', { ...files, form: 'S' }],
  ])('that goes on with %s is to blame, and its slot is free again', async ([, question]) => {
    const all = await served({
      async *files() {
        yield* []
        throw new InvalidFileError('indices', 'not of this zip')
      },
    })
    await askWell(all)
    await all.writer.message(encode(question), calm)
    await all.isServed
    expect(all.faults).toEqual(['broken delta request'])
    expect([all.stream.status, all.given.open]).toEqual(['aborted', 0])
  })

  test.for<[string, (to: Served) => unknown]>([
    ['closes', ({ asker }) => asker.close()],
    ['is cut', ({ asker }) => asker.abort(new Error('gone'))],
  ])('that %s between two questions is not, and its slot is free again', async ([, leave]) => {
    const all = await served()
    await askWell(all)
    await leave(all)
    await all.isServed
    expect([all.faults, all.given.open]).toEqual([[], 0])
  })

  test('that reads nothing is given no more than waits on its way, and loses its slot', async () => {
    let made = 0
    const all = await served({
      async *files() {
        for (;;) {
          made += deltaLimits.dataBytes
          yield new Uint8Array(deltaLimits.dataBytes)
        }
      },
    })
    await askWell(all)
    all.asker.pause()
    await all.writer.message(encodeDelta(files), calm)
    let isOver = false
    void all.isServed.then(() => {
      isOver = true
    })
    await expect
      .poll(async () => {
        await all.clock.advance(bodyTimes.sendStallMs)
        return isOver
      }, soon)
      .toBe(true)
    expect(all.given.open).toBe(0)
    expect(made).toBeLessThan(12 << 20)
  })

  test('of random bytes never crashes a node, and leaves no slot taken', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 80 }), async (bytes) => {
        const all = await served()
        all.asker.send(bytes)
        await all.asker.close()
        await all.isServed
        expect(all.given).toEqual({ bytes: 0, open: 0 })
      }),
      { numRuns: 40 },
    )
  })
})
