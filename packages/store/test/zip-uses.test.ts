import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { IndexDb } from '../src/index-db.ts'
import { useFlushMs } from '../src/limits.ts'
import { type ShelvedZip, shelvedZip, ZipShelf } from '../src/zip-shelf.ts'
import { ZipUses } from '../src/zip-uses.ts'
import { ClockedStore } from './support/budget.ts'
import { moduleAt, proof } from './support/zips.ts'

type Written = Parameters<IndexDb['putUses']>[0]

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

function setUp() {
  const written: Written[] = []
  const index = { putUses: (uses: Written) => written.push(uses), idle: async () => {} }
  const shelf = new ZipShelf()
  const clock = { nowMs: 1_000 }
  const uses = new ZipUses({
    index: index as unknown as IndexDb,
    shelf,
    wallMs: () => clock.nowMs,
  })
  return { written, shelf, clock, uses }
}

function zipOf(n: number): ShelvedZip {
  const digest = String(n).padStart(64, '0')
  const module = moduleAt('v1.0.0', `example.com/m${n}`)
  const hashes = { zipHash: `h1:${n}`, zipDigest: digest } as unknown as ShelvedZip['record']
  return shelvedZip({
    record: { ...hashes, module, size: 1, proof, committedMs: 0 },
    stamp: undefined,
  })
}

describe('times of use', () => {
  test('are written once for many reads', () => {
    const { written, shelf, clock, uses } = setUp()
    const zip = zipOf(1)
    shelf.put(zip)
    for (clock.nowMs = 0; clock.nowMs < 100; clock.nowMs++) uses.noteUsed(zip)
    uses.noteHashed(zip)
    expect(written).toEqual([])
    vi.advanceTimersByTime(useFlushMs)
    const { zipDigest: digest } = zip.record
    expect(written).toEqual([[{ digest, usedMs: 99, checkedMs: 100 }]])
    vi.advanceTimersByTime(10 * useFlushMs)
    expect(written).toHaveLength(1)
  })

  test('are written at the end', async () => {
    const { written, shelf, uses } = setUp()
    const zip = zipOf(1)
    shelf.put(zip)
    uses.noteUsed(zip)
    await uses[Symbol.asyncDispose]()
    expect(written).toHaveLength(1)
    uses.noteUsed(zip)
    vi.advanceTimersByTime(10 * useFlushMs)
    expect(written).toHaveLength(1)
  })

  test('of what is gone meanwhile, or was replaced, are not', async () => {
    const { written, shelf, uses } = setUp()
    const [gone, replaced, kept] = [zipOf(1), zipOf(2), zipOf(3)]
    for (const zip of [gone, replaced, kept]) {
      shelf.put(zip)
      uses.noteUsed(zip)
    }
    shelf.remove(gone)
    shelf.put(zipOf(2))
    await uses[Symbol.asyncDispose]()
    expect(written).toMatchObject([[{ digest: kept.record.zipDigest }]])
  })
})

test('a thrown-away index costs the times of use, and nothing else', async () => {
  vi.useRealTimers()
  await using all = await ClockedStore.open()
  for (const n of [0, 1]) await all.put(n)
  const committedMs = [...all.store.list()].map((zip) => zip.committedMs)
  await all.read(0)
  await all[Symbol.asyncDispose]()
  await all.forgetIndex()
  await all.reopen()
  const usedMs = [...all.store.list()].map((zip) => zip.usedMs)
  expect(new Set(usedMs)).toEqual(new Set(committedMs))
  expect(all.events).toMatchObject([{ kind: 'index-rebuilt' }])
})
