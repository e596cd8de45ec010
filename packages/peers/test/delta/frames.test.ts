import { type Stream, StreamMessageEvent } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import { maxZipBytes } from '@modmesh/module'
import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Frame, FrameReader, frameKinds } from '../../src/delta/frame-reader.ts'
import { FrameWriter } from '../../src/delta/frame-writer.ts'
import { deltaLimits } from '../../src/delta/limits.ts'
import { decodeDeltaAnswer, decodeDeltaAsk, encodeDelta } from '../../src/delta/message.ts'
import { ProtocolError } from '../../src/errors.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'

const calm = { signal: new AbortController().signal }
const hash = new Uint8Array(32).fill(7)
failOnUnhandled()

/** Small frames, the last of which may lack some bytes. */
const likeFrames = fc
  .array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 20 })), { minLength: 1 })
  .chain((frames) => {
    const parts = frames.map(([kind, bytes]) => [kind, 0, 0, bytes.length, ...bytes])
    const bytes = Uint8Array.from(parts.flat())
    return fc.constantFrom(bytes, bytes.subarray(0, -1))
  })

/** A stream, what reads it, and what a peer writes into it by hand. */
async function opened() {
  const [ours, theirs] = await streamPair({ delay: 0 })
  const seen = { bytes: 0 }
  const reader = new FrameReader(ours, (bytes) => {
    seen.bytes += bytes
  })
  return { ours, theirs, reader, seen }
}

async function readAll(reader: FrameReader): Promise<Frame[]> {
  const frames: Frame[] = []
  for (;;) {
    const frame = await reader.read(calm)
    if (frame === undefined) return frames
    frames.push(frame)
  }
}

function sendSplit(stream: Stream, bytes: Uint8Array, sizes: readonly number[]): void {
  let at = 0
  for (const size of sizes) {
    if (at < bytes.length) stream.send(bytes.slice(at, at + size))
    at += size
  }
  if (at < bytes.length) stream.send(bytes.slice(at))
}

describe('frames', () => {
  test('are read as they were written, large data in several', async () => {
    const { theirs, reader } = await opened()
    const writer = new FrameWriter(theirs)
    const data = new Uint8Array(deltaLimits.dataBytes + 5).fill(3)
    await writer.message(Uint8Array.of(1, 2), calm)
    await writer.working(calm)
    await writer.data(data, calm)
    await writer.end(calm)
    await theirs.close()
    const frames = await readAll(reader)
    expect(frames.map(({ kind, bytes }) => [kind, bytes.length])).toEqual([
      [frameKinds.message, 2],
      [frameKinds.working, 0],
      [frameKinds.data, deltaLimits.dataBytes],
      [frameKinds.data, 5],
      [frameKinds.end, 0],
    ])
    expect(Buffer.concat([frames[2]?.bytes ?? hash, frames[3]?.bytes ?? hash])).toEqual(
      Buffer.from(data),
    )
  })

  test('of random bytes, in any pieces, are cut or break the protocol, and nothing else', async () => {
    const piece = fc.integer({ min: 1, max: 40 })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 200 }), likeFrames),
        fc.array(piece, { maxLength: 8 }),
        async (bytes, sizes) => {
          const { theirs, reader } = await opened()
          sendSplit(theirs, bytes, sizes)
          await theirs.close()
          const end = await readAll(reader).catch((error: { code?: string }) => error.code)
          if (Array.isArray(end)) {
            // All was frames: nothing of it got lost.
            expect(end.reduce((sum, frame) => sum + 4 + frame.bytes.length, 0)).toBe(bytes.length)
          } else expect(['PROTOCOL', 'DELTA_CUT']).toContain(end)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('in pieces of one byte are read as quickly as in others', async () => {
    const { ours, theirs, reader } = await opened()
    const bytes = new Uint8Array(4 + 300_000).map((_, at) => at)
    bytes.set([frameKinds.message, 300_000 >> 16, (300_000 >> 8) & 255, 300_000 & 255])
    const reading = reader.read(calm)
    const startMs = performance.now()
    for (const byte of bytes) {
      ours.dispatchEvent(new StreamMessageEvent(Uint8Array.of(byte)))
    }
    const frame = await reading
    expect(Buffer.compare(frame?.bytes ?? hash, bytes.subarray(4))).toBe(0)
    // Read piece by piece it takes a minute.
    expect(performance.now() - startMs).toBeLessThan(8_000)
    theirs.abort(new Error('done'))
  })

  test('of data without data break the protocol: they would be read for ever', async () => {
    const { theirs, reader } = await opened()
    theirs.send(Uint8Array.of(frameKinds.data, 0, 0, 0))
    await expect(reader.read(calm)).rejects.toThrow(ProtocolError)
  })

  test.for<[string, number, number]>([
    ['a message', frameKinds.message, deltaLimits.messageBytes],
    ['data', frameKinds.data, deltaLimits.dataBytes],
    ['an end', frameKinds.end, 0],
    ['a sign of life', frameKinds.working, 0],
    ['no kind', 0, -1],
    ['a kind of nobody', 200, -1],
  ])('that declare too much are refused before it comes: %s', async ([, kind, most]) => {
    const { theirs, reader, seen } = await opened()
    const length = most + 1
    theirs.send(Uint8Array.of(kind, length >> 16, (length >> 8) & 255, length & 255))
    await expect(reader.read(calm)).rejects.toThrow(ProtocolError)
    expect(seen.bytes).toBe(4)
  })

  test.for<[string, (stream: Stream) => Promise<void> | void]>([
    ['is closed', (stream) => stream.close()],
    ['is reset', (stream) => stream.abort(new Error('gone'))],
  ])('in the middle of which a stream %s are nobody’s fault', async ([, end]) => {
    const { theirs, reader } = await opened()
    theirs.send(Uint8Array.of(frameKinds.data, 0, 0, 9, 1, 2))
    const reading = reader.read(calm)
    await end(theirs)
    await expect(reading).rejects.toMatchObject({ code: 'DELTA_CUT' })
  })

  test('without end wait in the stream, not in memory', async () => {
    const { ours, theirs, reader, seen } = await opened()
    const data = new Uint8Array(deltaLimits.dataBytes)
    const stop = new AbortController()
    const flood = async () => {
      const writer = new FrameWriter(theirs)
      for (let n = 0; n < 200; n++) await writer.data(data, stop)
    }
    const flooding = flood().catch(() => {})
    await expect.poll(() => ours.readStatus, { interval: 5 }).toBe('paused')
    // What the muxer hands over at once comes on top.
    const most = deltaLimits.waitingBytes + deltaLimits.dataBytes + 65_536
    expect(seen.bytes).toBeLessThanOrEqual(most)
    let read = 0
    for (; read < 40 * data.length; ) read += (await reader.read(calm))?.bytes.length ?? 0
    expect(seen.bytes - read).toBeLessThanOrEqual(most + 40 * 4)
    reader[Symbol.dispose]()
    ours.abort(new Error('seen'))
    stop.abort(new Error('seen'))
    await flooding
  })

  test('that nobody waits for any more are let go', async () => {
    const { reader } = await opened()
    const leave = new AbortController()
    const reading = reader.read(leave)
    leave.abort(new Error('not wanted'))
    await expect(reading).rejects.toThrow('not wanted')
  })
})

describe('messages', () => {
  const zip = { kind: 'zip', zipHash: hash, bases: [], hasManifest: false } as const
  const files = { kind: 'files', form: 'P', base: 3, files: Uint8Array.of(1) } as const
  const told = {
    status: 'manifest',
    length: 9,
    base: 0,
    shared: true,
    zipBytes: 1,
    newBytes: 2,
    newPackedBytes: 3,
  } as const

  test('read back what was written', () => {
    const bases = [{ zipHash: hash, sketch: Uint8Array.of(1, 2) }, { zipHash: hash }]
    for (const ask of [zip, { ...zip, bases }, files]) {
      expect(decodeDeltaAsk(encodeDelta(ask))).toEqual(ask)
    }
    for (const answer of [told, { status: 'whole', length: 0 }, { status: 'files' }] as const) {
      expect(decodeDeltaAnswer(encodeDelta(answer))).toEqual(answer)
    }
  })

  test('of later versions are told from broken ones', () => {
    expect(decodeDeltaAsk(encode({ kind: 'tree', of: 1 }))).toBeUndefined()
    expect(() => decodeDeltaAsk(encode({ kind: 'zip', of: 1 }))).toThrow(ProtocolError)
  })

  test.for<[string, object]>([
    ['too many bases', { ...zip, bases: Array(deltaLimits.bases + 1).fill({ zipHash: hash }) }],
    ['a short hash', { ...zip, zipHash: hash.subarray(1) }],
    [
      'a long sketch',
      {
        ...zip,
        bases: [{ zipHash: hash, sketch: new Uint8Array(deltaLimits.sketchBytes + 1) }],
      },
    ],
    ['a base beyond all', { ...files, base: deltaLimits.bases }],
    ['a form of nobody', { ...files, form: 'Q' }],
    ['no files', { kind: 'files', form: 'S' }],
  ])('that ask with %s break the protocol', ([, ask]) => {
    expect(() => decodeDeltaAsk(encode(ask))).toThrow(ProtocolError)
  })

  test.for<[string, object]>([
    ['a zip beyond the limit', { status: 'whole', length: maxZipBytes + 1 }],
    ['less than nothing', { status: 'whole', length: -1 }],
    ['half a byte', { ...told, zipBytes: 0.5 }],
    ['a manifest beyond the limit', { ...told, length: deltaLimits.manifestBytes + 1 }],
    ['a base beyond all', { ...told, base: deltaLimits.bases }],
    ['a word of nobody', { status: 'perhaps' }],
  ])('that answer with %s break the protocol', ([, answer]) => {
    expect(() => decodeDeltaAnswer(encode(answer))).toThrow(ProtocolError)
  })

  test('made of random bytes throw ProtocolError and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
        expect(() => decodeDeltaAnswer(raw)).toThrow(ProtocolError)
        expect(() => decodeDeltaAsk(raw)).toThrow(ProtocolError)
      }),
    )
  })
})
