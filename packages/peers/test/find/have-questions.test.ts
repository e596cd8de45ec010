import { parseZipHash, type ZipHash } from '@modmesh/module'
import { expect, test } from 'vitest'
import { contentKey, joinKeys, splitKeys } from '../../src/control/content-set.ts'
import { controlLimits } from '../../src/control/limits.ts'
import { HaveQuestions } from '../../src/find/have-questions.ts'
import { askLimits } from '../../src/limits.ts'
import { ManualClock } from '../support/manual-clock.ts'

const { signal } = new AbortController()

function zipHash(n: number): ZipHash {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32BE(n + 1, 0)
  return parseZipHash(`h1:${bytes.toString('base64')}`)
}

/** A peer that has what `has` says, and the sizes of the questions that it was asked. */
function peer(has: (key: Uint8Array) => boolean) {
  const asked: number[] = []
  const ask = async ({ keys }: { readonly keys: Uint8Array }) => {
    const all = [...splitKeys(keys)]
    asked.push(all.length)
    return { kind: 'have-answer', keys: joinKeys(all.filter(has)) }
  }
  return { peer: 'p', asked, session: { ask: ask as never } }
}

const isEven = (key: Uint8Array) => Buffer.from(key).readUInt32BE(0) % 2 === 0

test('a whole project is asked for in as few messages as it fits in, and then known', async () => {
  const haves = new HaveQuestions({ clock: new ManualClock() })
  const holder = peer(isEven)
  const hashes = Array.from({ length: controlLimits.haveKeys + 88 }, (_, n) => zipHash(n))
  await haves.askAhead(holder, hashes, { signal })
  expect(holder.asked).toEqual([controlLimits.haveKeys, 88])
  for (const n of [0, 1, 2, controlLimits.haveKeys + 1]) {
    expect(await haves.has(holder, zipHash(n), { signal })).toBe(n % 2 === 1)
  }
  expect(holder.asked).toHaveLength(2)
})

test('what was not asked for, or too long ago, is asked alone', async () => {
  const clock = new ManualClock()
  const haves = new HaveQuestions({ clock })
  const holder = peer(isEven)
  await haves.askAhead(holder, [zipHash(1)], { signal })
  expect(await haves.has(holder, zipHash(3), { signal })).toBe(true)
  expect(holder.asked).toEqual([1, 1])
  await clock.advance(askLimits.toldMs)
  expect(await haves.has(holder, zipHash(1), { signal })).toBe(true)
  expect(holder.asked).toEqual([1, 1, 1])
})

test('a peer that names what it was not asked for says nothing by that', async () => {
  const haves = new HaveQuestions({ clock: new ManualClock() })
  const other = contentKey(zipHash(7))
  const ask = async () => ({ kind: 'have-answer', keys: other })
  const liar = { peer: 'p', session: { ask: ask as never } }
  await haves.askAhead(liar, [zipHash(1)], { signal })
  expect(await haves.has(liar, zipHash(1), { signal })).toBe(false)
})

test('who comes back is asked anew', async () => {
  const haves = new HaveQuestions({ clock: new ManualClock() })
  const [before, after] = [peer(() => false), peer(() => true)]
  await haves.askAhead(before, [zipHash(1)], { signal })
  expect(await haves.has(before, zipHash(1), { signal })).toBe(false)
  expect(await haves.has(after, zipHash(1), { signal })).toBe(true)
})
