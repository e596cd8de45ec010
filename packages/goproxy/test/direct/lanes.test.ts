import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Lanes } from '../../src/direct/lanes.ts'

const patient = { signal: new AbortController().signal }

/** A piece of work that ends when it is told to. */
function piece() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const state = { begun: false }
  const work = (): Promise<void> => {
    state.begun = true
    return promise
  }
  return { work, end: resolve, fail: reject, state }
}

/** Lets everything that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('lanes', () => {
  test('let in as many as there is room for, in all and for one host', async () => {
    const lanes = new Lanes({ max: 3, maxPerHost: 2 })
    const pieces = ['a', 'a', 'a', 'b', 'b'].map((host) => ({ host, ...piece() }))
    const done = pieces.map(({ host, work }) => lanes.run(host, work, patient))
    const begun = () => pieces.map(({ state }) => state.begun)
    await settle()
    // The third of `a` waits for its host, the second `b` for a lane.
    expect(begun()).toEqual([true, true, false, true, false])
    pieces[3]!.end()
    await settle()
    expect(begun()).toEqual([true, true, false, true, true])
    pieces[0]!.end()
    await settle()
    expect(begun()).toEqual([true, true, true, true, true])
    for (const { end } of pieces) end()
    await Promise.all(done)
  })

  test('are free again after work that fails', async () => {
    const lanes = new Lanes({ max: 1 })
    const failing = piece()
    const failed = lanes.run('a', failing.work, patient)
    failing.fail(new Error('made up'))
    await expect(failed).rejects.toThrow('made up')
    expect(await lanes.run('a', async () => 'went', patient)).toBe('went')
  })

  test('are left by whoever gives up waiting, and not taken up later', async () => {
    const lanes = new Lanes({ max: 1 })
    const first = piece()
    const done = lanes.run('a', first.work, patient)
    const gone = new AbortController()
    const second = piece()
    const waiting = lanes.run('a', second.work, { signal: gone.signal })
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    first.end()
    await done
    expect(await lanes.run('a', async () => 'third', patient)).toBe('third')
    expect(second.state.begun).toBe(false)
  })

  test('do not begin for whoever is gone already', async () => {
    const work = piece()
    const signal = AbortSignal.abort(new Error('gone'))
    await expect(new Lanes().run('a', work.work, { signal })).rejects.toThrow('gone')
    expect(work.state.begun).toBe(false)
  })

  test('stay empty while work runs that needs them idle', async () => {
    const lanes = new Lanes()
    const tidying = piece()
    const idle = lanes.whileIdle(tidying.work)
    const other = piece()
    const done = lanes.run('a', other.work, patient)
    await settle()
    expect([tidying.state.begun, other.state.begun]).toEqual([true, false])
    tidying.end()
    await idle
    await settle()
    expect(other.state.begun).toBe(true)
    const second = piece()
    // Not idle now: it is not done at all.
    await lanes.whileIdle(second.work)
    expect(second.state.begun).toBe(false)
    other.end()
    await done
  })

  test('are given up by what is slow, as far as there is room for that', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const lanes = new Lanes({ max: 2, maxPerHost: 2, slowMs: 1_000, maxSlow: 3 })
    const pieces = Array.from({ length: 7 }, () => piece())
    const done = pieces.map(({ work }) => lanes.run('a', work, patient))
    const begunAfter = async (ms: number): Promise<number> => {
      await settle()
      vi.advanceTimersByTime(ms)
      await settle()
      return pieces.filter(({ state }) => state.begun).length
    }
    expect(await begunAfter(999)).toBe(2)
    expect(await begunAfter(1)).toBe(4)
    // One more slow one, and then no more.
    expect(await begunAfter(1_000)).toBe(5)
    expect(await begunAfter(10_000)).toBe(5)
    const idle = piece()
    await lanes.whileIdle(idle.work)
    expect(idle.state.begun).toBe(false)
    pieces[0]!.end()
    expect(await begunAfter(1_000)).toBe(6)
    for (const { end } of pieces) end()
    await Promise.all(done)
    const last = lanes.whileIdle(idle.work)
    expect(idle.state.begun).toBe(true)
    idle.end()
    await last
  })

  test('never hold more than they may, and forget nobody', async () => {
    const hosts = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(hosts, fc.integer({ min: 1, max: 5 }), async (asked, max) => {
        const lanes = new Lanes({ max, maxPerHost: 2, slowMs: 60_000 })
        const running = new Map<string, number>()
        const change = (host: string, by: number): void => {
          running.set(host, (running.get(host) ?? 0) + by)
          const total = [...running.values()].reduce((sum, each) => sum + each, 0)
          expect(total).toBeLessThanOrEqual(max)
          expect(running.get(host)).toBeLessThanOrEqual(2)
        }
        const work = async (host: string): Promise<string> => {
          change(host, 1)
          await settle()
          change(host, -1)
          return host
        }
        const ended = await Promise.all(
          asked.map((host) => lanes.run(host, () => work(host), patient)),
        )
        expect(ended).toEqual(asked)
      }),
      { numRuns: 30 },
    )
  })
})
