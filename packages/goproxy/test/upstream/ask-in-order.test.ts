import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { AllFailedError, askInOrder, type Candidate } from '../../src/upstream/ask-in-order.ts'
import { FetchError } from '../../src/upstream/fetch-error.ts'
import type { FallThrough } from '../../src/upstream/proxy-list.ts'
import type { Turn } from '../../src/upstream/turn.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const { signal } = new AbortController()
const ms = 300_000

/** Ends with its turn and not before. */
function silent(name: string, fallThrough: FallThrough): Candidate<string> {
  return { name, fallThrough, ask: untilEnd }
}

function untilEnd({ signal }: Turn): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

/** Has a body of which `bytes` come each second; complete after so many seconds. */
function slow(name: string, body: { bytes: number; seconds: number }): Candidate<string> {
  const ask = async (turn: Turn): Promise<string> => {
    for (let second = 0; second < body.seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      turn.signal.throwIfAborted()
      turn.moved(body.bytes)
    }
    return name
  }
  return { name, fallThrough: 'any', ask }
}

function good(name: string): Candidate<string> {
  return { name, fallThrough: 'absent', ask: () => Promise.resolve(name) }
}

function broken(name: string, fallThrough: FallThrough): Candidate<string> {
  const error = new FetchError('status', `${name}: 500`, { status: 500 })
  return { name, fallThrough, ask: () => Promise.reject(error) }
}

/** What became of a list, and after how much time, seconds. */
async function outcomeOf(list: readonly Candidate<string>[]): Promise<[string, number]> {
  const startedMs = performance.now()
  const seconds = (): number => Math.round((performance.now() - startedMs) / 1_000)
  const asked = askInOrder(list, { ms, signal }).then(
    (name): [string, number] => [name, seconds()],
    (error: unknown): [string, number] => {
      if (error instanceof AllFailedError) return [error.message, seconds()]
      throw error
    },
  )
  await vi.advanceTimersByTimeAsync(2 * ms)
  return await asked
}

describe('one that never answers', () => {
  test('leaves time for the next behind a bar', async () => {
    const [name, seconds] = await outcomeOf([silent('a', 'any'), good('b')])
    expect(name).toBe('b')
    expect(seconds).toBe(75)
  })

  test('and another that never answers leave time for a third', async () => {
    const [name, seconds] = await outcomeOf([silent('a', 'any'), silent('b', 'any'), good('c')])
    expect(name).toBe('c')
    expect(seconds).toBeLessThan(ms / 1_000 / 2)
  })

  test('has all the time before a comma, after which trouble does not fall through', async () => {
    const [text, seconds] = await outcomeOf([silent('a', 'absent'), good('b')])
    expect(text).toBe('a: no answer within 300 s')
    expect(seconds).toBe(300)
  })

  test('has all the time that is left when it is the last', async () => {
    const [text, seconds] = await outcomeOf([silent('a', 'any'), silent('b', 'any')])
    expect(text).toBe('a: no answer within 75 s\nb: no answer within 230 s')
    expect(seconds).toBe(300)
  })
})

describe('one that is silent', () => {
  const never = (): Promise<boolean> => new Promise(() => {})
  const after = (seconds: number, isAlive: boolean) => async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    return isAlive
  }

  test.for<[string, Candidate<string>, string, number]>([
    [
      'to a probe too is left for the next',
      { ...silent('a', 'any'), answers: after(5, false) },
      'b',
      20,
    ],
    [
      'but answers a probe keeps its turn',
      { ...silent('a', 'any'), answers: after(1, true) },
      'b',
      75,
    ],
    ['keeps its turn until that is known', { ...silent('a', 'any'), answers: never }, 'b', 75],
    [
      'but answers after the probe has its answer taken',
      { ...slow('a', { bytes: 0, seconds: 60 }), answers: after(1, true) },
      'a',
      60,
    ],
    [
      'and begins a body while it is probed has that taken',
      { ...slow('a', { bytes: 10_000, seconds: 17 }), answers: after(5, false) },
      'a',
      17,
    ],
    [
      'before a comma has all the time',
      { ...silent('a', 'absent'), answers: after(1, false) },
      'a: no answer within 300 s',
      300,
    ],
  ])('%s', async ([, first, outcome, seconds]) => {
    expect(await outcomeOf([first, good('b')])).toEqual([outcome, seconds])
  })

  test('and the last has all the time', async () => {
    const last = { ...silent('b', 'any'), answers: after(1, false) }
    const [text, seconds] = await outcomeOf([broken('a', 'any'), last])
    expect(text).toBe('a: 500\nb: no answer within 300 s')
    expect(seconds).toBe(300)
  })
})

describe('a body that is coming in', () => {
  test('keeps its turn for as long as it comes', async () => {
    const list = [slow('a', { bytes: 10_000, seconds: 200 }), good('b')]
    expect(await outcomeOf(list)).toEqual(['a', 200])
  })

  test('loses it when it comes to a stop', async () => {
    const stopping: Candidate<string> = {
      ...silent('a', 'any'),
      ask: async (turn) => {
        await slow('a', { bytes: 10_000, seconds: 100 }).ask(turn)
        return untilEnd(turn)
      },
    }
    const [name, seconds] = await outcomeOf([stopping, good('b')])
    expect(name).toBe('b')
    expect(seconds).toBeGreaterThan(100)
    expect(seconds).toBeLessThan(150)
  })

  test('loses it when it only trickles', async () => {
    const [name, seconds] = await outcomeOf([slow('a', { bytes: 1, seconds: 290 }), good('b')])
    expect(name).toBe('b')
    expect(seconds).toBeLessThan(80)
  })

  test('ends with the time of the whole request', async () => {
    const [text, seconds] = await outcomeOf([slow('a', { bytes: 10_000, seconds: 1_000 })])
    expect(text).toBe('a: no answer within 300 s')
    expect(seconds).toBe(300)
  })
})

test.for<[string, readonly Candidate<string>[], string]>([
  ['trouble before a bar', [broken('a', 'any'), good('b')], 'b'],
  ['trouble before a comma', [broken('a', 'absent'), good('b')], 'a: 500'],
])('%s', async ([, list, expected]) => {
  expect((await outcomeOf(list))[0]).toBe(expected)
})

test('a caller who leaves is told its own reason, and nobody else is asked', async () => {
  const caller = new AbortController()
  const next = vi.fn(good('b').ask)
  const list = [silent('a', 'any'), { ...good('b'), ask: next }]
  const asked = askInOrder(list, { ms, signal: caller.signal })
  const reason = new Error('gone')
  caller.abort(reason)
  await expect(asked).rejects.toBe(reason)
  expect(next).not.toHaveBeenCalled()
})

test('an error that is not of an upstream ends the list at once', async () => {
  const full = new Error('disk full')
  const list = [{ ...good('a'), ask: () => Promise.reject(full) }, good('b')]
  await expect(askInOrder(list, { ms, signal })).rejects.toBe(full)
})

test('one that hides the end of its turn behind another error still falls through', async () => {
  const odd: Candidate<string> = {
    ...silent('a', 'any'),
    ask: (turn) =>
      untilEnd(turn).catch(() => {
        throw new Error('aborted')
      }),
  }
  expect((await outcomeOf([odd, good('b')]))[0]).toBe('b')
})
