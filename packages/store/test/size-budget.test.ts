import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClockedStore, nth, zipBytes } from './support/budget.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { never, proof, readZip, smallZip } from './support/zips.ts'

/** Larger than the real spread, and as long as a loaded machine may take. */
const soon = { interval: 20 }

describe('eviction', () => {
  test('takes what was not read for the longest time, and its files', async () => {
    await using all = await ClockedStore.open()
    for (const n of [0, 1, 2, 3]) await all.put(n)
    await all.read(0)
    await all.read(2)
    const shrunk = await all.store.shrink(2 * zipBytes)
    expect(all.held()).toEqual([0, 2])
    expect(shrunk).toMatchObject({ evicted: 2, zips: 2, pinnedBytes: 0 })
    expect(shrunk.zipBytes).toBe((await all.store.stats()).zipBytes)
    expect(all.removed).toEqual(['evicted example.com/m1@v1.0.0', 'evicted example.com/m3@v1.0.0'])
    expect(await all.files()).toBe(4)
    expect(await all.read(1)).toBeUndefined()
  })

  test('is a miss that may be filled again, also for a zip that was in memory', async () => {
    await using all = await ClockedStore.open()
    await all.put(0)
    for (let n = 0; n < 3; n++) expect(await all.read(0)).toBeGreaterThan(0)
    await all.store.shrink(0)
    expect(await all.read(0)).toBeUndefined()
    await all.put(0)
    expect(await all.read(0)).toBeGreaterThan(0)
  })

  test('begins by itself when commits exceed the size, and goes a little below it', async () => {
    const maxBytes = 3 * zipBytes
    await using all = await ClockedStore.open({ maxBytes })
    for (const n of [0, 1, 2, 3, 4]) await all.put(n)
    await expect.poll(() => all.held(), soon).toEqual([3, 4])
    await expect.poll(() => all.events, soon).toMatchObject([{ kind: 'evicted' }])
    expect((await all.store.stats()).zipBytes).toBeLessThanOrEqual(0.95 * maxBytes)
  })

  test('begins at the start when the size was made smaller', async () => {
    await using all = await ClockedStore.open()
    for (const n of [0, 1, 2]) await all.put(n)
    await all[Symbol.asyncDispose]()
    await all.reopen({ maxBytes: zipBytes + 4_000 })
    await expect.poll(() => all.held(), soon).toEqual([2])
  })

  test('spares what was handed out or committed a moment ago, and takes it later', async () => {
    await using all = await ClockedStore.open({ evictGraceMs: 60_000 })
    await all.put(0)
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 0, zips: 1 })
    await all[Symbol.asyncDispose]()
    await all.reopen({ evictGraceMs: 1_200, maxBytes: 1 })
    expect(await all.store.findZip(nth(0))).toBeDefined()
    // It tells of it at once, and does what can be done when it can be done.
    await expect.poll(() => all.events.map(({ kind }) => kind), soon).toContain('size-exceeded')
    expect(all.held()).toEqual([0])
    await expect.poll(() => all.held(), soon).toEqual([])
  })

  test('never takes what is being read', async () => {
    await using all = await ClockedStore.open()
    const bytes = (await all.put(0)).size
    const reading = (await all.store.findZip(nth(0)))?.read()[Symbol.asyncIterator]()
    const first = await reading?.next()
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 0, zips: 1 })
    let seen = first?.value?.length ?? 0
    for (let next = await reading?.next(); next?.done === false; next = await reading?.next()) {
      seen += next.value.length
    }
    expect(seen).toBe(bytes)
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 1, zips: 0 })
  })

  test('never takes what somebody is about to be given', async () => {
    let gate: PromiseWithResolvers<void> | undefined
    const disk = guardedDisk((call, path) => {
      if (call === 'identity' && path.includes('/zip/')) return gate?.promise
    })
    await using all = await ClockedStore.open({ disk })
    const { size } = await all.put(0)
    await all[Symbol.asyncDispose]()
    await all.reopen({ disk, evictGraceMs: 60_000 })
    gate = Promise.withResolvers()
    const reading = all.read(0)
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 0, zips: 1 })
    gate.resolve()
    expect(await reading).toBe(size)
  })

  test('does not cut a client off that reads since before the commit', async () => {
    await using all = await ClockedStore.open()
    const { bytes } = smallZip(nth(0), randomBytes(600_000).toString('base64'))
    const staged = await all.store.stageZip(nth(0))
    await staged.write(bytes)
    await staged.verify(undefined, never)
    const reading = staged.readable(proof).read()[Symbol.asyncIterator]()
    const chunks = [(await reading.next()).value as Uint8Array]
    await staged.commit(proof)
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 1 })
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
      chunks.push(next.value)
    }
    expect(Buffer.concat(chunks)).toEqual(Buffer.from(bytes))
  })

  test('of many fills at once that are larger than the size disturbs none of them', async () => {
    const maxBytes = 5 * zipBytes
    await using all = await ClockedStore.open({ maxBytes, evictGraceMs: 500 })
    const fills = Array.from({ length: 40 }, async (_, n) => {
      const held = await all.put(n)
      expect(await readZip(held)).toHaveLength(held.size)
    })
    await Promise.all(fills)
    await expect
      .poll(async () => (await all.store.stats()).zipBytes, soon)
      .toBeLessThanOrEqual(maxBytes)
    expect(await all.files()).toBe(2 * all.held().length)
    expect(all.removed).toHaveLength(40 - all.held().length)
  })

  test('of a zip that the disk will not remove is told, changes nothing, and is tried again', async () => {
    let isBad = false
    const disk = guardedDisk((call, path) => {
      if (isBad && call === 'remove' && path.includes('/zip/')) throw systemError('EROFS')
    })
    await using all = await ClockedStore.open({ disk })
    await all.put(0)
    isBad = true
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 0, zips: 1 })
    expect(all.events).toMatchObject([{ kind: 'tidy-failed' }])
    expect(await all.read(0)).toBeGreaterThan(0)
    isBad = false
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 1, zips: 0 })
  })

  test('does not make a running verification cry wolf', async () => {
    await using all = await ClockedStore.open()
    for (const n of [0, 1, 2, 3]) await all.put(n)
    const outcomes: boolean[] = []
    for await (const { ok } of all.store.verifyAll(never)) {
      outcomes.push(ok)
      await all.store.shrink(0)
    }
    expect(outcomes).toEqual([true])
    expect(all.removed.every((line) => line.startsWith('evicted '))).toBe(true)
  })
})

describe('times of use', () => {
  test('survive a restart', async () => {
    await using all = await ClockedStore.open()
    for (const n of [0, 1, 2]) await all.put(n)
    await all.read(0)
    await all[Symbol.asyncDispose]()
    await all.reopen()
    await all.store.shrink(2 * zipBytes)
    expect(all.held()).toEqual([0, 2])
  })

  test('of a clock that was years ahead do not keep a zip for years', async () => {
    await using all = await ClockedStore.open()
    await all.put(0)
    const rightMs = all.nowMs
    all.nowMs += 40 * 365 * 86_400_000
    await all.read(0)
    await all[Symbol.asyncDispose]()
    all.nowMs = rightMs
    await all.reopen()
    await all.put(1)
    await all.store.shrink(zipBytes)
    expect(all.held()).toEqual([1])
  })
})

describe('pins', () => {
  test('keep what they cover, whatever its age, and are told', async () => {
    await using all = await ClockedStore.open()
    for (const n of [0, 1, 2]) await all.put(n)
    await all.store.pin(['example.com/m0@v1.0.0', 'example.com/m2'])
    expect(await all.store.shrink(0)).toMatchObject({ evicted: 1, zips: 2 })
    expect(all.held()).toEqual([0, 2])
    const { pinnedZips, pinnedBytes } = all.store.budget()
    expect({ pinnedZips, pinnedBytes }).toEqual({
      pinnedZips: 2,
      pinnedBytes: (await all.store.stats()).zipBytes,
    })
  })

  test('that end let go of what is too much at once', async () => {
    await using all = await ClockedStore.open({ maxBytes: 1, evictGraceMs: 0 })
    await all.store.pin(['example.com/m*'])
    await all.put(0)
    await expect.poll(() => all.events.map(({ kind }) => kind), soon).toEqual(['size-exceeded'])
    await all.store.unpin(['example.com/m*'])
    await expect.poll(() => all.held(), soon).toEqual([])
  })
})

/** What is done to a store, one after the other. */
type Step =
  | { readonly kind: 'put' | 'read' | 'pin' | 'unpin'; readonly n: number }
  | { readonly kind: 'shrink'; readonly zips: number }
  | { readonly kind: 'restart' }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('put' as const, 'read' as const, 'pin' as const, 'unpin' as const),
      n: fc.nat(6),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('shrink' as const), zips: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

/** The whole rule in a few lines. */
class Model {
  readonly usedMs = new Map<number, number>()
  readonly sizes = new Map<number, number>()
  readonly pinned = new Set<number>()

  shrink(targetBytes: number): void {
    const byAge = [...this.usedMs].toSorted((a, b) => a[1] - b[1])
    for (const [n] of byAge) {
      if (this.bytes() <= targetBytes) return
      if (!this.pinned.has(n)) this.usedMs.delete(n)
    }
  }

  bytes(): number {
    return [...this.usedMs.keys()].reduce((sum, n) => sum + (this.sizes.get(n) ?? 0), 0)
  }

  held(): number[] {
    return [...this.usedMs.keys()].toSorted((a, b) => a - b)
  }
}

async function take(step: Step, all: ClockedStore, model: Model): Promise<void> {
  switch (step.kind) {
    case 'put': {
      if (model.usedMs.has(step.n)) return
      model.sizes.set(step.n, (await all.put(step.n)).size)
      model.usedMs.set(step.n, all.nowMs)
      return
    }
    case 'read': {
      const bytes = await all.read(step.n)
      expect(bytes).toBe(model.usedMs.has(step.n) ? model.sizes.get(step.n) : undefined)
      if (bytes !== undefined) model.usedMs.set(step.n, all.nowMs)
      return
    }
    case 'pin':
      model.pinned.add(step.n)
      return await all.store.pin([`example.com/m${step.n}`])
    case 'unpin':
      model.pinned.delete(step.n)
      await all.store.unpin([`example.com/m${step.n}`])
      return
    case 'shrink':
      model.shrink(step.zips * zipBytes)
      await all.store.shrink(step.zips * zipBytes)
      return
    case 'restart':
      await all[Symbol.asyncDispose]()
      await all.reopen()
  }
}

test('whatever is done to a store, it holds what the rule of last use and pins says', async () => {
  const property = fc.asyncProperty(fc.array(anyStep, { maxLength: 30 }), async (steps) => {
    await using all = await ClockedStore.open()
    const model = new Model()
    for (const step of steps) {
      await take(step, all, model)
      expect(all.held()).toEqual(model.held())
      expect((await all.store.stats()).zipBytes).toBe(model.bytes())
      const used = [...all.store.list()].map(({ module, usedMs }) => [module.path, usedMs])
      const due = [...model.usedMs].map(([n, ms]) => [nth(n).path, ms])
      expect(new Map(used as [string, number][])).toEqual(new Map(due as [string, number][]))
    }
    expect(await all.files()).toBe(2 * model.usedMs.size)
  })
  await fc.assert(property, { numRuns: 12 })
})
