import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { maxMemoBytes, memoMs, recentListMs } from '../../src/direct/limits.ts'
import { Memo } from '../../src/direct/memo.ts'
import { RecentLists } from '../../src/direct/recent-lists.ts'
import { SharedWork } from '../../src/direct/shared-work.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const versionOf = (n: number) => parseModuleVersion('git.test/x', `v1.0.${n}`)

function clock() {
  const state = { ms: 1_000 }
  return { state, nowMs: () => state.ms }
}

describe('small files that came along', () => {
  test('are there for a while, of that version alone', () => {
    const { state, nowMs } = clock()
    const memo = new Memo(nowMs)
    const files = { info: bytes('{}'), mod: bytes('module x') }
    memo.put(versionOf(1), files)
    expect(memo.get(versionOf(1))).toBe(files)
    expect(memo.get(versionOf(2))).toBeUndefined()
    state.ms += memoMs
    expect(memo.get(versionOf(1))).toBeUndefined()
  })

  test('make room for others, the oldest first', () => {
    const memo = new Memo(clock().nowMs)
    const files = { info: bytes('{}'), mod: new Uint8Array(maxMemoBytes / 4) }
    for (let n = 0; n < 10; n++) memo.put(versionOf(n), files)
    const kept = Array.from({ length: 10 }, (_, n) => memo.get(versionOf(n)) !== undefined)
    expect(kept).toEqual([false, false, false, false, false, false, false, true, true, true])
  })

  test('can be replaced and forgotten', () => {
    const memo = new Memo(clock().nowMs)
    const files = { info: bytes('{}'), mod: bytes('b') }
    memo.put(versionOf(1), { info: bytes('{}'), mod: bytes('a') })
    memo.put(versionOf(1), files)
    expect(memo.get(versionOf(1))).toBe(files)
    memo.forget(versionOf(1))
    memo.forget(versionOf(2))
    expect(memo.get(versionOf(1))).toBeUndefined()
  })
})

test('a list is remembered for a moment', () => {
  const { state, nowMs } = clock()
  const lists = new RecentLists(nowMs)
  const { path } = versionOf(1)
  expect(lists.hasVersions(path)).toBeUndefined()
  lists.note(path, false)
  expect(lists.hasVersions(path)).toBe(false)
  state.ms += recentListMs - 1
  lists.note(path, true)
  state.ms += recentListMs - 1
  expect(lists.hasVersions(path)).toBe(true)
  state.ms += 1
  expect(lists.hasVersions(path)).toBeUndefined()
})

describe('work that is shared', () => {
  const patient = { signal: new AbortController().signal }

  test('is done once for those who ask at the same time, and again later', async () => {
    const shared = new SharedWork<number>()
    let runs = 0
    const work = async (): Promise<number> => ++runs
    const both = [shared.join('a', work, patient), shared.join('a', work, patient)]
    const other = shared.join('b', work, patient)
    expect(await Promise.all([...both, other])).toEqual([1, 1, 2])
    expect(await shared.join('a', work, patient)).toBe(3)
  })

  test('fails for all, and is tried again', async () => {
    const shared = new SharedWork<number>()
    const failing = (): Promise<number> => Promise.reject(new Error('made up'))
    const both = [shared.join('a', failing, patient), shared.join('a', failing, patient)]
    for (const asked of both) await expect(asked).rejects.toThrow('made up')
    expect(await shared.join('a', async () => 7, patient)).toBe(7)
  })

  test('goes on for those who stay, and ends when the last one left', async () => {
    const shared = new SharedWork<number>()
    const gone = [new AbortController(), new AbortController()]
    let ended: unknown
    const work = ({ signal }: { readonly signal: AbortSignal }): Promise<number> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended = signal.reason
          reject(signal.reason)
        })
      })
    const asked = gone.map(({ signal }) => shared.join('a', work, { signal }))
    gone[0]!.abort(new Error('first'))
    await expect(asked[0]).rejects.toThrow('first')
    expect(ended).toBeUndefined()
    gone[1]!.abort(new Error('second'))
    await expect(asked[1]).rejects.toThrow('second')
    expect(ended).toEqual(new Error('second'))
    // Whoever comes then is not given what was ended.
    expect(await shared.join('a', async () => 7, patient)).toBe(7)
  })

  test('is not begun for whoever is gone already', async () => {
    const signal = AbortSignal.abort(new Error('gone'))
    const never = (): Promise<number> => Promise.reject(new Error('was begun'))
    await expect(new SharedWork<number>().join('a', never, { signal })).rejects.toThrow('gone')
  })
})
