import { open, stat, truncate, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { HeldZip } from '@modmesh/fill'
import { describe, expect, test } from 'vitest'
import type { ScrubInit } from '../src/scrub.ts'
import { ClockedStore, nth } from './support/budget.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'

const soon = { interval: 10 }
const dayMs = 86_400_000
/** No pause worth a timer. */
const fast: ScrubInit = { intervalMs: dayMs, bytesPerSecond: 2 ** 40, startMs: 0 }

/** A store that holds `count` zips, opened again two days later to be looked through. */
async function twoDaysLater(
  count: number,
  spoil: (path: string, n: number) => Promise<void> = async () => {},
  init: Parameters<typeof ClockedStore.open>[0] = {},
): Promise<{ readonly all: ClockedStore; readonly bytes: number }> {
  const all = await ClockedStore.open()
  const held: HeldZip[] = []
  for (let n = 0; n < count; n++) held.push(await all.put(n))
  await all[Symbol.asyncDispose]()
  for (const [n, zip] of held.entries()) await spoil(pathOf(all.dir, zip), n)
  all.nowMs += 2 * dayMs
  await all.reopen({ scrub: fast, ...init })
  return { all, bytes: held.reduce((sum, { size }) => sum + size, 0) }
}

function pathOf(dir: string, { zipDigest }: Pick<HeldZip, 'zipDigest'>): string {
  return join(dir, 'store/v1/zip', zipDigest.slice(0, 2), zipDigest.slice(2, 4), zipDigest)
}

/** Flips a bit and puts the modification time back, as a bad disk would. */
async function flip(path: string): Promise<void> {
  const { atime, mtime } = await stat(path)
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, 1_000)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 4]), 0, 1, 1_000)
  await file.close()
  await utimes(path, atime, mtime)
}

const spoils: readonly {
  readonly name: string
  readonly spoil: (path: string) => Promise<void>
}[] = [
  { name: 'a flipped bit', spoil: flip },
  { name: 'a cut', spoil: (path) => truncate(path, 1_000) },
  { name: 'emptiness', spoil: (path) => truncate(path, 0) },
]

/** Since when each zip is known to be right, by number. */
function checked({ store }: ClockedStore): number[] {
  return [...store.list()].map(({ checkedMs }) => checkedMs)
}

/** A disk that notes which zips are opened, and can have no file descriptors left for them. */
function countingDisk() {
  const counts = { opened: new Set<string>(), isShort: false }
  const disk = guardedDisk((call, path) => {
    if (call !== 'open' || !path.includes('/zip/')) return
    if (counts.isShort) throw systemError('EMFILE')
    counts.opened.add(path)
  })
  return { disk, counts }
}

describe('scrubbing', () => {
  test.for(spoils)('finds $name from before the start', async ({ spoil }) => {
    const { all } = await twoDaysLater(3, async (path, n) => (n === 1 ? spoil(path) : undefined))
    await using _ = all
    await expect.poll(() => all.removed, soon).toEqual(['damaged example.com/m1@v1.0.0'])
    expect(await all.store.findZip(nth(1))).toBeUndefined()
    await expect.poll(() => checked(all).every((ms) => ms >= all.nowMs), soon).toBe(true)
    expect(all.held()).toEqual([0, 2])
    expect(all.events).toMatchObject([{ kind: 'quarantined', module: nth(1) }])
  })

  const removal = { name: 'removal', spoil: unlink }
  test.for([...spoils, removal])('finds $name while the store is open', async ({ spoil }) => {
    const { all } = await twoDaysLater(3, undefined, { scrub: { ...fast, intervalMs: 50 } })
    await using _ = all
    await expect.poll(() => checked(all).every((ms) => ms >= all.nowMs), soon).toBe(true)
    const [zip] = [...all.store.list()].filter(({ module }) => module.path === nth(1).path)
    if (zip !== undefined) await spoil(pathOf(all.dir, zip))
    all.nowMs += 1_000
    await expect.poll(() => all.removed, soon).toEqual(['damaged example.com/m1@v1.0.0'])
    expect(all.held()).toEqual([0, 2])
  })

  test('finds rot that no time stamp shows', async () => {
    const rotten = guardedDisk(() => {})
    const open: typeof rotten.open = async (path, mode) => {
      const file = await rotten.open(path, mode)
      if (!path.includes('/zip/')) return file
      const read: typeof file.read = async (into, position) => {
        const bytesRead = await file.read(into, position)
        into[0] = (into[0] ?? 0) ^ 1
        return bytesRead
      }
      return { ...file, read }
    }
    const { all } = await twoDaysLater(1, undefined, { disk: { ...rotten, open } })
    await using _ = all
    await expect.poll(() => all.removed, soon).toEqual(['damaged example.com/m0@v1.0.0'])
  })

  test('takes the time that its pace says', async () => {
    const startedMs = performance.now()
    const scrub = { ...fast, bytesPerSecond: 1 << 20 }
    const { all, bytes } = await twoDaysLater(4, undefined, { scrub })
    await using _ = all
    await expect.poll(() => checked(all).every((ms) => ms >= all.nowMs), soon).toBe(true)
    // The last wait of at most 10 ms is owed; never faster, however slow the machine.
    expect(performance.now() - startedMs).toBeGreaterThan(
      (bytes / scrub.bytesPerSecond) * 1_000 - 10,
    )
  })

  test('leaves alone what a reader hashed a moment ago, over a restart too', async () => {
    const { disk, counts } = countingDisk()
    const { all } = await twoDaysLater(3, undefined, { scrub: undefined })
    await using _ = all
    for (const n of [0, 2]) expect(await all.read(n)).toBeGreaterThan(0)
    await all[Symbol.asyncDispose]()
    await all.reopen({ scrub: fast, disk })
    await expect.poll(() => checked(all).every((ms) => ms > all.nowMs - dayMs), soon).toBe(true)
    expect(counts.opened.size).toBe(1)
  })

  test('says nothing against a zip when we lack file descriptors, and looks again', async () => {
    const { disk, counts } = countingDisk()
    counts.isShort = true
    const { all } = await twoDaysLater(1, undefined, { disk, scrub: { ...fast, intervalMs: 50 } })
    await using _ = all
    await expect.poll(() => all.events.length, soon).toBeGreaterThan(0)
    expect(all.events).toMatchObject([{ kind: 'tidy-failed' }])
    expect(all.held()).toEqual([0])
    counts.isShort = false
    await expect.poll(() => checked(all).every((ms) => ms >= all.nowMs), soon).toBe(true)
    expect(all.removed).toEqual([])
  })

  test('does not hold up the end of a store', async () => {
    const scrub = { ...fast, bytesPerSecond: 1 }
    const { all } = await twoDaysLater(2, undefined, { scrub })
    const startedMs = performance.now()
    await all[Symbol.asyncDispose]()
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })

  test('keeps the zip that it looks at from eviction, and does not mistake an evicted one for damaged', async () => {
    const { all } = await twoDaysLater(6)
    await using _ = all
    await all.store.shrink(0)
    await expect.poll(async () => (await all.store.shrink(0)).zips, soon).toBe(0)
    expect(all.removed.filter((line) => line.startsWith('damaged'))).toEqual([])
    expect(all.events.filter(({ kind }) => kind === 'quarantined')).toEqual([])
  })

  test('is due for what a clock of the future says was hashed', async () => {
    const all = await ClockedStore.open()
    await using _ = all
    all.nowMs += 40 * 365 * dayMs
    await all.put(0)
    await all[Symbol.asyncDispose]()
    all.nowMs -= 40 * 365 * dayMs
    await all.reopen({ scrub: fast })
    await expect.poll(() => checked(all), soon).toEqual([all.nowMs])
  })
})
