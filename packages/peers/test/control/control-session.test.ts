import { encode } from 'cborg'
import * as lp from 'it-length-prefixed'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ControlSession, type SessionHandlers } from '../../src/control/control-session.ts'
import { encodeMessage } from '../../src/control/frame.ts'
import {
  type ControlTimes,
  controlLimits,
  controlTimes,
  floodLimits,
} from '../../src/control/limits.ts'
import type { Hello, Message, Notice } from '../../src/control/message.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { type TestWire, wirePair } from '../support/wire-pair.ts'

const never = () => AbortSignal.abort()
const calm = new AbortController().signal

function hello(name: string): Hello {
  return {
    kind: 'hello',
    versions: [1],
    capabilities: ['inventory'],
    site: 'here',
    name,
    clockMs: 1,
    boot: new Uint8Array(8),
  }
}

interface Side {
  readonly session: ControlSession
  readonly notices: Notice[]
  readonly failures: unknown[]
}

function side(
  wire: TestWire,
  clock: ManualClock,
  options: { answer?: SessionHandlers['answer']; times?: Partial<ControlTimes> } = {},
): Side {
  const notices: Notice[] = []
  const failures: unknown[] = []
  const handlers: SessionHandlers = {
    answer:
      options.answer ??
      (async (query) => {
        if (query.kind !== 'have-query') throw new Error('not in this test')
        return { kind: 'have-answer', keys: query.keys }
      }),
    notice: (notice) => notices.push(notice),
    failed: (error) => failures.push(error),
    sent: () => {},
  }
  const session = new ControlSession(
    { wire, clock, handlers },
    { hello: hello('a'), times: { ...controlTimes, ...options.times }, flood: floodLimits },
  )
  return { session, notices, failures }
}

const unhandled: unknown[] = []
const onUnhandled = (error: unknown) => unhandled.push(error)
beforeEach(() => process.on('unhandledRejection', onUnhandled))
afterEach(async () => {
  await settle()
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

async function connected(options: Parameters<typeof side>[2] = {}) {
  const clock = new ManualClock()
  const [left, right] = wirePair()
  const a = side(left, clock, options)
  const b = side(right, clock, options)
  await Promise.all([a.session.start(), b.session.start()])
  return { a, b, clock, left, right }
}

/** One session of ours and a stranger who writes what he likes. */
async function attacked(options: Parameters<typeof side>[2] = {}) {
  const clock = new ManualClock()
  const [left, right] = wirePair()
  const a = side(left, clock, options)
  const greeted = a.session.start()
  const say = (message: Message) => left.feed(frame(encodeMessage(message)))
  const heard: Uint8Array[] = []
  void (async () => {
    for await (const piece of right.source) heard.push(piece as Uint8Array)
  })().catch(() => {}) // aborted by the session under test
  return { a, clock, left, greeted, say, heard }
}

function frame(content: Uint8Array): Uint8Array {
  return lp.encode.single(content).subarray()
}

const query = { kind: 'have-query', keys: new Uint8Array(8) } as const

describe('a control session', () => {
  test('answers queries and measures the round trip', async () => {
    const { a, b } = await connected()
    expect((await a.session.ask<'have-query'>(query, { signal: calm })).keys).toEqual(query.keys)
    await expect.poll(() => a.session.rttMs).toBe(0)
    await expect.poll(() => b.session.rttMs).toBe(0)
  })

  test('passes notices on', async () => {
    const { a, b } = await connected()
    a.session.tell({ kind: 'tree-head', database: 'd', note: 'n' })
    await expect.poll(() => b.notices).toHaveLength(1)
  })

  test('fails a query whose answer does not come in time, and goes on', async () => {
    let answers = 0
    const { a, clock } = await connected({
      answer: (q) =>
        answers++ === 0
          ? new Promise(() => {})
          : Promise.resolve({ kind: 'have-answer', keys: (q as typeof query).keys }),
    })
    const asked = a.session.ask(query, { signal: calm, deadlineMs: 100 })
    const failed = expect(asked).rejects.toMatchObject({ code: 'QUERY_FAILED', reason: 'timeout' })
    await clock.advance(101)
    await failed
    await expect(a.session.ask(query, { signal: calm })).resolves.toBeDefined()
  })

  test('gives a query up when its signal aborts', async () => {
    const { a } = await connected({ answer: () => new Promise(() => {}) })
    const stop = new AbortController()
    const asked = a.session.ask(query, { signal: stop.signal })
    await settle()
    stop.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
    await expect(a.session.ask(query, { signal: never() })).rejects.toThrow('abort')
  })

  test('keeps no more queries on their way than the limit, and asks the rest later', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { a } = await connected({
      answer: async () => {
        await promise
        return { kind: 'have-answer', keys: query.keys }
      },
    })
    const asked = Array.from({ length: 200 }, () => a.session.ask(query, { signal: calm }))
    await settle()
    expect(a.session.outstanding).toBeLessThanOrEqual(controlLimits.outstandingQueries + 1)
    resolve()
    expect(await Promise.all(asked)).toHaveLength(200)
  })

  test('answers `failed` when our own code throws, and tells us', async () => {
    const { a, b } = await connected({
      answer: async () => {
        throw new Error('disk')
      },
    })
    await expect(a.session.ask(query, { signal: calm })).rejects.toMatchObject({ reason: 'failed' })
    expect(b.failures).toHaveLength(1)
  })

  test('fails what is being asked when it ends', async () => {
    const { a, b } = await connected({ answer: () => new Promise(() => {}) })
    const asked = expect(a.session.ask(query, { signal: calm })).rejects.toMatchObject({
      code: 'SESSION_CLOSED',
    })
    await settle()
    b.session.close('going')
    await asked
    expect(await a.session.ended).toMatchObject({ fault: false })
  })

  test('ends after silence', async () => {
    const { a, clock, greeted, say } = await attacked()
    say(hello('stranger'))
    await greeted
    await clock.advance(controlTimes.silenceMs + controlTimes.heartbeatMs + 1)
    expect(await a.session.ended).toEqual({ fault: false, reason: 'peer is silent' })
  })

  test('stays while heartbeats come back', async () => {
    const { a, clock } = await connected()
    await clock.advance(10 * controlTimes.silenceMs)
    expect(a.session.signal.aborted).toBe(false)
  })

  test('ends when no hello comes', async () => {
    const { a, clock, greeted } = await attacked()
    const refused = expect(greeted).rejects.toMatchObject({ code: 'SESSION_CLOSED' })
    await clock.advance(controlTimes.helloMs + 1)
    await refused
    expect(await a.session.ended).toMatchObject({ fault: false, reason: 'no hello' })
  })

  test('ends without blame when the peer speaks other versions only', async () => {
    const { a, greeted, say } = await attacked()
    say({ ...hello('old'), versions: [7, 9] })
    const reason = { code: 'NO_COMMON_VERSION', versions: [7, 9] }
    await expect(greeted).rejects.toMatchObject(reason)
    expect(await a.session.ended).toMatchObject({ fault: false })
  })

  test('ends when the peer takes nothing of what it asked for', async () => {
    const clock = new ManualClock()
    const [left] = wirePair({ stuck: true })
    const tile = new Uint8Array(controlLimits.tileBytes)
    const a = side(left, clock, { answer: async () => ({ kind: 'tile-answer', tile }) })
    const greeted = a.session.start()
    left.feed(frame(encodeMessage(hello('deaf'))))
    await greeted
    for (let id = 1; id <= 100; id++) {
      left.feed(frame(encodeMessage({ kind: 'tile-query', id, database: 'd', path: 'p' })))
    }
    const beat = setInterval(() => left.feed(frame(encodeMessage({ kind: 'heartbeat', id: 1 }))), 1)
    await clock.advance(controlTimes.silenceMs + controlTimes.heartbeatMs + 1)
    clearInterval(beat)
    expect(await a.session.ended).toMatchObject({ fault: false, reason: 'peer does not read' })
  })

  test.for([
    ['a frame that is not CBOR', () => frame(new Uint8Array([0xff, 0x00]))],
    ['a frame that is no message', () => frame(encode(['hello']))],
    ['a second hello', () => frame(encodeMessage(hello('again')))],
    ['a frame beyond the limit', () => new Uint8Array([0x81, 0x80, 0x10, 1, 2, 3])],
    ['a length that does not end', () => new Uint8Array(32).fill(0xff)],
    ['a known kind with broken fields', () => frame(encode({ kind: 'heartbeat', id: -1 }))],
  ] as const)('ends with blame after %s', async ([, bytes]) => {
    const { a, greeted, say, left } = await attacked()
    say(hello('bad'))
    await greeted
    left.feed(bytes())
    expect(await a.session.ended).toMatchObject({ fault: true })
  })

  test('ends with blame when the first message is no hello', async () => {
    const { a, greeted, say } = await attacked()
    const refused = expect(greeted).rejects.toMatchObject({ code: 'PROTOCOL' })
    say({ kind: 'heartbeat', id: 1 })
    await refused
    expect(await a.session.ended).toMatchObject({ fault: true })
  })

  test('ends with blame when an answer is of another kind than its query', async () => {
    const { a, greeted, say } = await attacked()
    say(hello('bad'))
    await greeted
    // Number 1 is the heartbeat that the session sends at once.
    say({ kind: 'tile-answer', re: 1 })
    expect(await a.session.ended).toMatchObject({ fault: true })
  })

  test('ignores unknown kinds and fields, and answers unknown queries `unsupported`', async () => {
    const { a, greeted, say, left, heard } = await attacked()
    say(hello('newer'))
    await greeted
    left.feed(frame(encode({ kind: 'from-the-future', colour: 'blue' })))
    left.feed(frame(encode({ kind: 'heartbeat', id: 7, colour: 'blue' })))
    left.feed(frame(encode({ kind: 'from-the-future', id: 8 })))
    await expect
      .poll(() => Buffer.concat(heard).toString('latin1'))
      .toMatch(/heartbeat-answer[\s\S]*unsupported/)
    expect(a.session.signal.aborted).toBe(false)
  })

  test('ignores answers that nobody waits for', async () => {
    const { a, greeted, say } = await attacked()
    say(hello('odd'))
    await greeted
    say({ kind: 'have-answer', re: 4_711, keys: new Uint8Array() })
    await settle()
    expect(a.session.signal.aborted).toBe(false)
  })

  test('answers `busy` beyond the queries it serves at a time', async () => {
    const { greeted, say, heard } = await attacked({ answer: () => new Promise(() => {}) })
    say(hello('greedy'))
    await greeted
    for (let id = 1; id <= controlLimits.servedQueries + 1; id++) say({ ...query, id })
    await expect.poll(() => Buffer.concat(heard).toString('latin1')).toContain('busy')
  })

  test('reads a flood no faster than the allowance', async () => {
    const { a, clock, greeted, say } = await attacked()
    say(hello('flooder'))
    await greeted
    const head = { kind: 'tree-head', database: 'd', note: 'n' } as const
    for (let count = 0; count < 2 * floodLimits.noticesBurst; count++) say(head)
    await settle()
    expect(a.notices).toHaveLength(floodLimits.noticesBurst)
    await clock.advance(1_000)
    say(head)
    await settle()
    expect(a.notices).toHaveLength(floodLimits.noticesBurst + 1)
  })
})
