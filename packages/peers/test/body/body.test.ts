import { createHash, randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { PeerError } from '@modmesh/fill'
import { maxZipBytes } from '@modmesh/module'
import { encode } from 'cborg'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bodyLimits } from '../../src/body/limits.ts'
import {
  bodyProtocol,
  decodeBodyHeader,
  decodeBodyRequest,
  encodeBodyHeader,
  encodeBodyRequest,
} from '../../src/body/message.ts'
import { ProgressGuard } from '../../src/body/progress-guard.ts'
import { ProtocolError } from '../../src/errors.ts'
import { rogueMember } from '../../testing/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { hashOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { SkippingClock } from '../support/skipping-clock.ts'
import { MemorySink, patientTimes, startNode, type TestNode } from '../support/test-node.ts'

const calm = new AbortController().signal
const soon = { interval: 10 }
failOnUnhandled()

const zipHash = hashOf('example.org/m@v1.0.0')
const body = randomBytes(600_000)
const zipDigest = createHash('sha256').update(body).digest()

describe('body messages', () => {
  test('read back what was written', () => {
    const asked = { kind: 'zip', zipHash: new Uint8Array(32) } as const
    for (const request of [asked, { ...asked, offset: 7, zipDigest: new Uint8Array(32) }]) {
      expect(decodeBodyRequest(encodeBodyRequest(request))).toEqual(request)
    }
    const length = maxZipBytes
    for (const header of [
      { status: 'ok', length, zipDigest: new Uint8Array(32) },
      { status: 'ok', length, zipDigest: new Uint8Array(32), offset: length },
      { status: 'absent' },
      { status: 'busy', retryMs: 1 },
      { status: 'unsupported' },
    ] as const) {
      expect(decodeBodyHeader(encodeBodyHeader(header))).toEqual(header)
    }
  })

  test('of later kinds are told from broken ones', () => {
    expect(decodeBodyRequest(encode({ kind: 'delta', base: 1 }))).toBeUndefined()
    expect(() => decodeBodyRequest(encode({ kind: 'zip', zipHash: 1 }))).toThrow(ProtocolError)
  })

  test('with a length beyond the zip limit are refused', () => {
    const header = { status: 'ok', length: maxZipBytes + 1, zipDigest: new Uint8Array(32) }
    expect(() => decodeBodyHeader(encode(header))).toThrow(ProtocolError)
  })

  test('made of random bytes throw ProtocolError and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
        for (const decode of [decodeBodyHeader, decodeBodyRequest]) {
          expect(() => decode(raw)).toThrow(ProtocolError)
        }
      }),
    )
  })
})

describe('a progress guard', () => {
  const limits = { stallMs: 2_000, minRate: 16_384, rateAfterMs: 10_000 }

  test('aborts after a stall, and not before', async () => {
    const clock = new ManualClock()
    const guard = new ProgressGuard({ clock }, limits)
    await clock.advance(1_999)
    guard.moved(100_000)
    await clock.advance(1_999)
    expect(guard.signal.aborted).toBe(false)
    await clock.advance(2)
    expect(guard.signal.reason).toMatchObject({ code: 'NO_PROGRESS' })
  })

  test('aborts a body that drips', async () => {
    const clock = new ManualClock()
    const guard = new ProgressGuard({ clock }, limits)
    for (let second = 0; second < 13; second++) {
      guard.moved(100)
      await clock.advance(1_000)
    }
    expect(guard.signal.reason).toMatchObject({ code: 'NO_PROGRESS' })
  })

  test('does not count the time in which we are the slow side', async () => {
    const clock = new ManualClock()
    const guard = new ProgressGuard({ clock }, limits)
    guard.pause()
    await clock.advance(60_000)
    guard.resume()
    await clock.advance(1_000)
    guard.moved(1)
    await clock.advance(1_000)
    expect(guard.signal.aborted).toBe(false)
    guard.stop()
    await clock.advance(10_000)
    expect(guard.signal.aborted).toBe(false)
    expect(clock.sleeping).toBe(0)
  })
})

type Misdeed = (stream: Stream) => Promise<void>

/** Reads the request and answers with a header, then does as it likes. */
function answering(header: unknown, then: Misdeed = async () => {}): Misdeed {
  return async (stream) => {
    const frames = lpStream(stream)
    await frames.read()
    await frames.write(encode(header))
    await then(stream)
  }
}

function sends(...pieces: Uint8Array[]): Misdeed {
  return async (stream) => {
    for (const piece of pieces) stream.send(piece)
    await stream.close()
  }
}

const ok = { status: 'ok', length: body.length, zipDigest }
const flipped = Uint8Array.from(body)
flipped[300_000] = (flipped[300_000] ?? 0) ^ 1

const misdeeds: readonly (readonly [string, PeerError['fault'], Misdeed])[] = [
  ['other bytes', 'protocol', answering(ok, sends(flipped))],
  ['fewer bytes', 'protocol', answering(ok, sends(body.subarray(0, 500_000)))],
  ['no bytes', 'protocol', answering(ok, sends())],
  ['more bytes', 'protocol', answering({ ...ok, length: 1_000 }, sends(body))],
  ['another digest', 'protocol', answering({ ...ok, zipDigest: randomBytes(32) }, sends(body))],
  ['a giant length', 'protocol', answering({ ...ok, length: maxZipBytes + 1 }, sends(body))],
  ['a broken header', 'protocol', answering({ status: 'ok' }, sends(body))],
  ['a header of garbage', 'protocol', async (s) => void s.send(new Uint8Array(9_000).fill(0xff))],
  ['a reset', 'unable', answering(ok, async (s) => s.abort(new Error('died')))],
  ['absent', 'unable', answering({ status: 'absent' })],
  ['busy', 'busy', answering({ status: 'busy', retryMs: 5 })],
  ['unsupported', 'unable', answering({ status: 'unsupported' })],
]

const stalls: readonly (readonly [string, Misdeed])[] = [
  ['no answer', async () => {}],
  ['a stall before the bytes', answering(ok)],
  [
    'a stall at the last byte',
    answering(ok, async (stream) => void stream.send(body.subarray(0, body.length - 1))),
  ],
]

describe('a member that answers a fetch with', () => {
  let a: TestNode
  beforeAll(async () => {
    a = await startNode()
  })
  afterAll(() => a[Symbol.asyncDispose]())

  async function expectFault(of: TestNode, misdeed: Misdeed, fault: PeerError['fault']) {
    await using rogue = await rogueMember(await of.node.invite())
    await rogue.connect(of.address)
    await rogue.handle(bodyProtocol, (stream) => void misdeed(stream).catch(() => {}))
    const fetching = of.node.fetchZip(rogue.peerId, zipHash, new MemorySink(), { signal: calm })
    await expect(fetching).rejects.toMatchObject({ code: 'PEER', fault, peer: rogue.peerId })
    const status = of.node.peers().find(({ peer }) => peer === rogue.peerId)
    expect(status?.blamed !== undefined).toBe(fault === 'protocol')
  }

  test.for(misdeeds)('%s is told apart: %s', async ([, fault, misdeed]) => {
    await expectFault(a, misdeed, fault)
  })

  test.for(stalls)('%s is given up, and nobody blamed', async ([, misdeed]) => {
    await using hasty = await startNode({ times: { receiveStallMs: 300 } })
    await expectFault(hasty, misdeed, 'unable')
  })

  test('nothing, sixteen times, is busy for who waits behind them', async () => {
    await using patient = await startNode({ times: { receiveStallMs: 60_000, lineMs: 200 } })
    await using rogue = await rogueMember(await patient.node.invite())
    await rogue.connect(patient.address)
    let asked = 0
    await rogue.handle(bodyProtocol, () => {
      asked += 1
    })
    const stop = new AbortController()
    const fetch = () =>
      patient.node.fetchZip(rogue.peerId, zipHash, new MemorySink(), { signal: stop.signal })
    const stuck = Array.from({ length: bodyLimits.uploadsPerPeer }, fetch)
    const ended = Promise.allSettled(stuck)
    await expect.poll(() => asked, soon).toBe(bodyLimits.uploadsPerPeer)
    await expect(fetch()).rejects.toMatchObject({ code: 'PEER', fault: 'busy' })
    stop.abort(new Error('seen'))
    await ended
    expect(asked).toBe(bodyLimits.uploadsPerPeer)
    expect(patient.node.peers()[0]?.blamed).toBeUndefined()
  })

  test('bytes without end is cut off at the length', async () => {
    await using rogue = await rogueMember(await a.node.invite())
    await rogue.connect(a.node.addresses()[0] ?? '')
    const endless = answering(ok, async (stream) => {
      for (;;) {
        stream.send(new Uint8Array(100_000))
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })
    await rogue.handle(bodyProtocol, (stream) => void endless(stream).catch(() => {}))
    const sink = new MemorySink()
    const fetching = a.node.fetchZip(rogue.peerId, zipHash, sink, { signal: calm })
    await expect(fetching).rejects.toMatchObject({ fault: 'protocol' })
    expect(sink.bytes.length).toBeLessThanOrEqual(body.length)
  })
})

describe('a member that fetches', () => {
  async function served(clock = new SkippingClock()) {
    const a = await startNode({ clock })
    const item = a.shelf.put('example.org/m@v1.0.0', randomBytes(20_000_000))
    const rogue = await rogueMember(await a.node.invite())
    const connection = await rogue.connect(a.node.addresses()[0] ?? '')
    const open = () => connection.newStream(bodyProtocol, { maxOutboundStreams: 1_000 })
    return {
      a,
      item,
      rogue,
      open,
      async [Symbol.asyncDispose]() {
        await rogue[Symbol.asyncDispose]()
        await a[Symbol.asyncDispose]()
      },
    }
  }

  test('and asks for a later kind gets `unsupported`', async () => {
    await using all = await served()
    const frames = lpStream(await all.open())
    await frames.write(encode({ kind: 'delta' }))
    expect(decodeBodyHeader((await frames.read()).subarray())).toEqual({ status: 'unsupported' })
  })

  test('and asks in garbage is blamed', async () => {
    await using all = await served()
    const frames = lpStream(await all.open())
    await frames.write(Uint8Array.of(0xff, 0xff))
    await expect
      .poll(() => all.a.node.peers().find(({ peer }) => peer === all.rogue.peerId)?.blamed, soon)
      .toMatchObject({ reason: 'broken body request' })
  })

  test('and reads nothing loses its slots, and the others get theirs', async () => {
    const clock = new SkippingClock()
    await using all = await served(clock)
    const { a, item, open } = all
    const request = encodeBodyRequest({
      kind: 'zip',
      zipHash: Buffer.from(item.zipHash.slice(3), 'base64'),
    })
    const headers: string[] = []
    const streams: Stream[] = []
    for (let count = 0; count < bodyLimits.uploadsPerPeer + 1; count++) {
      const stream = await open()
      streams.push(stream)
      const frames = lpStream(stream)
      await frames.write(request)
      headers.push(decodeBodyHeader((await frames.read()).subarray()).status)
      frames.unwrap().pause()
    }
    expect(headers.filter((status) => status === 'ok')).toHaveLength(bodyLimits.uploadsPerPeer)
    expect(headers.at(-1)).toBe('busy')
    await using b = await startNode({ ticket: await a.node.invite() })
    await expect.poll(() => b.node.peers(), soon).not.toHaveLength(0)
    const sink = new MemorySink()
    await b.node.fetchZip(a.node.peerId, item.zipHash, sink, { signal: calm })
    expect(sink.bytes.length).toBe(item.zip.size)
    clock.skip(patientTimes.sendStallMs)
    await expect.poll(() => streams.some((stream) => stream.status === 'open'), soon).toBe(false)
  })
})
