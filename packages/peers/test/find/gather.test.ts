import { describe, expect, test } from 'vitest'
import { type GatherTools, gather } from '../../src/find/gather.ts'
import { settle } from '../support/manual-clock.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'

failOnUnhandled()
const calm = new AbortController().signal

function gathering(work: (tools: GatherTools<number>) => Promise<void>, signal = calm) {
  const failures: unknown[] = []
  return { failures, found: gather(work, { signal, failed: (error) => failures.push(error) }) }
}

describe('a gathering', () => {
  test('yields findings as they come and ends with the work', async () => {
    const { found } = gathering(async ({ push }) => {
      push(1)
      await settle()
      push(2)
    })
    const seen: number[] = []
    for await (const one of found) seen.push(one)
    expect(seen).toEqual([1, 2])
  })

  test('ends when the signal aborts, though the work goes on', async () => {
    const stop = new AbortController()
    const { found } = gathering(({ push }) => {
      push(1)
      return new Promise(() => {})
    }, stop.signal)
    const seen: number[] = []
    for await (const one of found) {
      seen.push(one)
      stop.abort(new Error('enough'))
    }
    expect(seen).toEqual([1])
  })

  test('stops the work when it is left', async () => {
    let signal = calm
    const { found } = gathering(async (tools) => {
      signal = tools.signal
      tools.push(1)
      await new Promise(() => {})
    })
    for await (const one of found) {
      expect(one).toBe(1)
      break
    }
    expect(signal.aborted).toBe(true)
  })

  test('tells of work that throws, and ends', async () => {
    const { found, failures } = gathering(async () => {
      throw new Error('bug')
    })
    for await (const one of found) expect(one).toBeUndefined()
    expect(failures).toHaveLength(1)
  })

  test('is quiet about work that throws after it was left', async () => {
    const { found, failures } = gathering(async ({ push, signal }) => {
      push(1)
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      )
    })
    for await (const one of found) {
      expect(one).toBe(1)
      break
    }
    await settle()
    expect(failures).toEqual([])
  })
})
