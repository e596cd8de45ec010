import { setImmediate as turn } from 'node:timers/promises'
import type { Libp2p, Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import { type DeltaTalk, PeerError } from '@modmesh/fill'
import { zipHashFromBytes } from '@modmesh/module'
import { encode } from 'cborg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { bodyTimes } from '../../src/body/limits.ts'
import { DeltaClient, type DeltaClientComponents } from '../../src/delta/delta-client.ts'
import { FrameReader, frameKinds } from '../../src/delta/frame-reader.ts'
import { FrameWriter } from '../../src/delta/frame-writer.ts'
import { deltaLimits } from '../../src/delta/limits.ts'
import { type DeltaAnswer, encodeDelta } from '../../src/delta/message.ts'
import { PeerScores } from '../../src/peer-score.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { MemorySink } from '../support/test-node.ts'

const calm = { signal: new AbortController().signal }
/** Some member of another site; nobody is dialled. */
const peer = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'
const zipHash = zipHashFromBytes(new Uint8Array(32).fill(1))
const base = { zipHash: zipHashFromBytes(new Uint8Array(32).fill(2)) }
failOnUnhandled()

/** What a sender does with its end of the stream; it is told when a question is there. */
interface Sender extends FrameWriter {
  readonly stream: Stream
  say(answer: DeltaAnswer): Promise<void>
  asked(): Promise<void>
}
type Misdeed = (sender: Sender) => unknown

/** An asker whose only peer does as it likes. */
function askerOf(misdeed: Misdeed) {
  const clock = new ManualClock()
  const blamed: PeerError[] = []
  const ours: Stream[] = []
  const ended = { taking: 0 }
  const dialProtocol = async (): Promise<Stream> => {
    const [near, far] = await streamPair({ delay: 0 })
    ours.push(near)
    void serve(far, misdeed).catch(() => {}) // its trouble
    return near
  }
  const taking = { take: async () => {}, pause: () => {}, end: () => void ended.taking++ }
  const siteLinks = {
    linkOf: () => undefined,
    taking: () => taking,
    closing: () => undefined,
    saved: () => {},
  }
  const client = new DeltaClient(
    {
      libp2p: { dialProtocol } as unknown as Libp2p,
      clock,
      hub: {} as DeltaClientComponents['hub'],
      scores: new PeerScores({ clock }),
      siteLinks,
      isForeign: () => true,
      notGiven: (_peer, _zipHash, error) => void blamed.push(error),
    },
    { times: bodyTimes },
  )
  const talk = (options: { readonly signal: AbortSignal } = calm): Promise<DeltaTalk> =>
    client.talk(
      peer,
      { zipHash, bases: [base], hasManifest: false },
      { ...options, onBytes: () => {} },
    )
  return { talk, blamed, ours, ended, clock }
}

async function serve(stream: Stream, misdeed: Misdeed): Promise<void> {
  const reader = new FrameReader(stream)
  const writer = new FrameWriter(stream)
  const sender: Sender = Object.assign(writer, {
    stream,
    say: (answer: DeltaAnswer) => writer.message(encodeDelta(answer), calm),
    asked: async () => void (await reader.read(calm)),
  })
  await sender.asked()
  await misdeed(sender)
}

const manifest = {
  status: 'manifest',
  length: 10,
  base: 0,
  shared: true,
  zipBytes: 100_000,
  newBytes: 1,
  newPackedBytes: 1,
} as const

const tenBytes = new Uint8Array(10)
const lies: readonly [string, Misdeed][] = [
  ['bytes that are no frames', ({ stream }) => stream.send(new Uint8Array(100).fill(0xff))],
  ['data', (sender) => sender.data(tenBytes, calm)],
  ['an end', (sender) => sender.end(calm)],
  ['a message that is no answer', (sender) => sender.message(encode([1, 2]), calm)],
  ['a message of random bytes', (sender) => sender.message(Uint8Array.of(0xff, 0x9f), calm)],
  ['files that nobody asked for', (sender) => sender.say({ status: 'files' })],
  ['a manifest against a base of nobody', (sender) => sender.say({ ...manifest, base: 1 })],
  [
    'a longer manifest than declared',
    async (sender) => {
      await sender.say(manifest)
      await sender.data(new Uint8Array(11), calm)
    },
  ],
  [
    'a shorter manifest than declared',
    async (sender) => {
      await sender.say(manifest)
      await sender.data(tenBytes.subarray(1), calm)
      await sender.end(calm)
    },
  ],
  [
    'signs of life without an end',
    async (sender) => {
      for (;;) await sender.working(calm)
    },
  ],
  [
    'another message instead of the manifest',
    async (sender) => {
      await sender.say(manifest)
      await sender.say(manifest)
    },
  ],
]

const troubles: readonly [string, PeerError['fault'], Misdeed][] = [
  ['nothing, and closes', 'unable', ({ stream }) => stream.close()],
  ['a reset', 'unable', ({ stream }) => stream.abort(new Error('gone'))],
  [
    'half of the manifest',
    'unable',
    async (sender) => {
      await sender.say(manifest)
      await sender.data(tenBytes.subarray(5), calm)
      await sender.stream.close()
    },
  ],
  ['absent', 'unable', (sender) => sender.say({ status: 'absent' })],
  ['unsupported', 'unable', (sender) => sender.say({ status: 'unsupported' })],
]

describe('a sender that answers the first question with', () => {
  test.for(lies)('%s is to blame', async ([, misdeed]) => {
    const { talk, blamed, ours, ended } = askerOf(misdeed)
    await expect(talk()).rejects.toMatchObject({ code: 'PEER', peer, fault: 'protocol' })
    expect(blamed).toHaveLength(1)
    expect([ours[0]?.status, ended.taking]).toEqual(['aborted', 1])
  })

  test.for(troubles)('%s is not: %s', async ([, fault, misdeed]) => {
    const { talk, blamed, ended } = askerOf(misdeed)
    await expect(talk()).rejects.toMatchObject({ code: 'PEER', peer, fault })
    expect(blamed.map((error) => error.fault)).toEqual([fault])
    expect(ended.taking).toBe(1)
  })

  test('busy is asked again, and is busy in the end', async () => {
    const { talk, ours, clock } = askerOf((sender) => sender.say({ status: 'busy', retryMs: 1e12 }))
    let isOver = false
    const failure = talk().catch((error: unknown) => error)
    void failure.then(() => {
      isOver = true
    })
    // However long it says, the wait is ours.
    for (let n = 0; !isOver && n < 1_000; n++) {
      await turn()
      if (clock.sleeping > 0) await clock.advance(500)
    }
    expect(await failure).toMatchObject({ code: 'PEER', fault: 'busy' })
    expect(ours.length).toBeGreaterThan(1)
  })

  test('a manifest without end is cut off at the length', async () => {
    const { talk } = askerOf(async (sender) => {
      await sender.say({ ...manifest, length: 200_000 })
      for (;;) await sender.data(new Uint8Array(deltaLimits.dataBytes), calm)
    })
    await expect(talk()).rejects.toMatchObject({ fault: 'protocol' })
  })
})

describe('a sender that was asked for bytes', () => {
  test.for<[string, PeerError['fault'], number, Misdeed]>([
    ['and sends more than it declared', 'protocol', 10, (s) => s.data(new Uint8Array(20), calm)],
    [
      'and sends less',
      'protocol',
      10,
      async (sender) => {
        await sender.data(tenBytes.subarray(1), calm)
        await sender.end(calm)
      },
    ],
    ['and talks instead', 'protocol', 0, (sender) => sender.say({ status: 'files' })],
    [
      'and goes away',
      'unable',
      10,
      async (sender) => {
        await sender.data(tenBytes, calm)
        sender.stream.abort(new Error('gone'))
      },
    ],
  ])('of the whole zip %s fails: %s', async ([, fault, most, misdeed]) => {
    const { talk, blamed } = askerOf(async (sender) => {
      await sender.say({ status: 'whole', length: 10 })
      await misdeed(sender)
    })
    const sink = new MemorySink()
    await using whole = await talk()
    expect(whole.answer).toEqual({ kind: 'whole' })
    await expect(whole.zip(sink, calm)).rejects.toMatchObject({ code: 'PEER', fault })
    expect(sink.bytes.length).toBeLessThanOrEqual(most)
    expect(blamed.map((error) => error.fault)).toEqual([fault])
  })

  test.for<[string, PeerError['fault'], Misdeed]>([
    ['with data at once', 'protocol', (sender) => sender.data(tenBytes, calm)],
    ['with another manifest', 'protocol', (sender) => sender.say(manifest)],
    ['with no frame', 'protocol', ({ stream }) => stream.send(new Uint8Array(4).fill(9))],
    ['with nothing', 'unable', ({ stream }) => stream.close()],
    ['with busy', 'busy', (sender) => sender.say({ status: 'busy', retryMs: 1 })],
  ])('of files and answers %s fails: %s', async ([, fault, misdeed]) => {
    const { talk, blamed } = askerOf(async (sender) => {
      await tellManifest(sender)
      await sender.asked()
      await misdeed(sender)
    })
    const sink = new MemorySink()
    await using told = await talk()
    const asked = { form: 'S', base: undefined, files: Uint8Array.of(0) } as const
    await expect(told.files(asked, sink, calm)).rejects.toMatchObject({ code: 'PEER', fault })
    expect(sink.bytes.length).toBe(0)
    expect(blamed.map((error) => error.fault)).toEqual([fault])
  })

  test('is not blamed for what our own side does not take', async () => {
    const { talk, blamed } = askerOf(async (sender) => {
      await tellManifest(sender)
      await sender.asked()
      await sender.say({ status: 'files' })
      await sender.data(tenBytes, calm)
    })
    await using told = await talk()
    const full = { write: () => Promise.reject(new Error('disk full')) }
    const asked = { form: 'S', base: undefined, files: Uint8Array.of(0) } as const
    await expect(told.files(asked, full, calm)).rejects.toThrow('disk full')
    expect(blamed).toEqual([])
  })

  test('and is not wanted any more is let go, blameless', async () => {
    const { talk, blamed, ours, ended } = askerOf(() => {})
    const leave = new AbortController()
    const asking = talk({ signal: leave.signal })
    await turn()
    leave.abort(new Error('not wanted'))
    await expect(asking).rejects.toThrow('not wanted')
    expect([blamed.length, ours[0]?.status, ended.taking]).toEqual([0, 'aborted', 1])
  })
})

describe('a sender that stands still', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  })
  afterEach(() => void vi.useRealTimers())

  /** Lets so much time pass, in steps in which what came is read. */
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= deltaLimits.workingMs) {
      vi.advanceTimersByTime(deltaLimits.workingMs)
      for (let turns = 0; turns < 5; turns++) await turn()
    }
  }

  test.for<[string, Misdeed]>([
    ['before it answers', () => {}],
    ['in the middle of a frame', ({ stream }) => stream.send(Uint8Array.of(frameKinds.message, 0))],
    ['in the middle of the manifest', (sender) => sender.say(manifest)],
  ])('%s is given up in time', async ([, misdeed]) => {
    const { talk, blamed } = askerOf(misdeed)
    const failure = talk().catch((error: unknown) => error)
    for (let turns = 0; turns < 20; turns++) await turn()
    await pass(deltaLimits.silenceMs - 2 * deltaLimits.workingMs)
    expect(blamed).toEqual([])
    await pass(4 * deltaLimits.workingMs)
    expect(await failure).toMatchObject({ code: 'PEER', fault: 'unable' })
  })

  test('and only says that it works is given up, too', async () => {
    const { talk, blamed } = askerOf((sender) => {
      const timer = setInterval(() => {
        sender.working(calm).catch(() => clearInterval(timer))
      }, deltaLimits.silenceMs / 2)
    })
    const failure = talk().catch((error: unknown) => error)
    for (let turns = 0; turns < 20; turns++) await turn()
    await pass(deltaLimits.longestWorkMs / 2)
    expect(blamed).toEqual([])
    await pass(deltaLimits.longestWorkMs / 2 + deltaLimits.silenceMs)
    expect(await failure).toMatchObject({ code: 'PEER', fault: 'unable' })
  })
})

async function tellManifest(sender: Sender): Promise<void> {
  await sender.say(manifest)
  await sender.data(tenBytes, calm)
  await sender.end(calm)
}
