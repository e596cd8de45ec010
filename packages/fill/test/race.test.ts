import { describe, expect, test } from 'vitest'
import { AllFailedError, type Branch, DecidingError, firstSuccess } from '../src/race.ts'
import { abortable, Scope, until } from '../src/scope.ts'

const options = { signal: new AbortController().signal, background: () => {} }
const fails: (text: string) => Branch<never> = (text) => () => Promise.reject(new Error(text))
const hangs: Branch<never> = () => new Promise(() => {})

describe('the first success', () => {
  test('wins, and the others are aborted', async () => {
    let isAborted = false
    const loser: Branch<never> = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          isAborted = true
          reject(new Error('aborted'))
        })
      })
    expect(await firstSuccess([loser, fails('no'), async () => 7], options)).toBe(7)
    expect(isAborted).toBe(true)
  })

  test('is not held up by losers that ignore their signal', async () => {
    expect(await firstSuccess([hangs, async () => 7], options)).toBe(7)
  })

  test('of none is every error', async () => {
    const racing = firstSuccess([fails('one'), fails('two')], options)
    await expect(racing).rejects.toBeInstanceOf(AllFailedError)
    await expect(racing).rejects.toMatchObject({
      errors: [{ message: 'one' }, { message: 'two' }],
    })
  })

  test('of no branches at all is a failure', async () => {
    await expect(firstSuccess([], options)).rejects.toMatchObject({ errors: [] })
  })

  test('is not waited for once a branch decides', async () => {
    const decides: Branch<never> = () => Promise.reject(new DecidingError(new Error('no')))
    const racing = firstSuccess([hangs, decides], options)
    await expect(racing).rejects.toMatchObject({ errors: [{ message: 'no' }] })
  })

  test('ends with the signal', async () => {
    const stop = new AbortController()
    const racing = firstSuccess([hangs], { ...options, signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(racing).rejects.toThrow('enough')
  })

  test('takes branches as they come, so many at a time', async () => {
    let running = 0
    let most = 0
    const busy: Branch<never> = async () => {
      most = Math.max(most, ++running)
      await Promise.resolve()
      running--
      throw new Error('no')
    }
    async function* branches(): AsyncGenerator<Branch<number>> {
      for (let i = 0; i < 20; i++) yield busy
      yield async () => 20
    }
    expect(await firstSuccess(branches(), { ...options, limit: 3 })).toBe(20)
    expect(most).toBeLessThanOrEqual(3)
  })

  test('a source of branches that breaks is one of the errors', async () => {
    async function* branches(): AsyncGenerator<Branch<number>> {
      yield fails('one')
      throw new Error('two')
    }
    await expect(firstSuccess(branches(), options)).rejects.toBeInstanceOf(AllFailedError)
  })
})

describe('work that can be given up', () => {
  test('an aborted wait leaves work that fails later unnoticed', async () => {
    const work = Promise.withResolvers<never>()
    const stop = new AbortController()
    const waiting = abortable(work.promise, stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    work.reject(new Error('later'))
  })

  test('a source that never answers ends with the signal', async () => {
    const stop = new AbortController()
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
    const seen: unknown[] = []
    const reading = (async () => {
      for await (const each of until(never, stop.signal)) seen.push(each)
    })()
    stop.abort(new Error('enough'))
    await reading
    expect(seen).toEqual([])
  })

  test('an error of the source is not swallowed', async () => {
    const { signal } = new AbortController()
    async function* broken(): AsyncGenerator<number> {
      yield 1
      throw new Error('broken')
    }
    const read = async () => {
      for await (const _ of until(broken(), signal)) continue
    }
    await expect(read()).rejects.toThrow('broken')
  })

  test('closing a scope aborts its tasks and waits for them', async () => {
    const scope = new Scope(new AbortController().signal)
    const ended: string[] = []
    const task = (name: string) => (signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          ended.push(name)
          resolve()
        })
      })
    void scope.start(task('a'))
    void scope.start(task('b'))
    await scope.close()
    expect(ended).toEqual(['a', 'b'])
    await expect(scope.start(async () => 1)).rejects.toThrow('no longer needed')
  })

  test('a scope ends with its parent', () => {
    const parent = new AbortController()
    const scope = new Scope(parent.signal)
    const reason = new Error('closing')
    parent.abort(reason)
    expect(scope.signal.reason).toBe(reason)
    expect(new Scope(parent.signal).signal.reason).toBe(reason)
  })
})
