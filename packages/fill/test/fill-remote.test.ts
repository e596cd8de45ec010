import { type RemoteFault } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { defaultBudgets } from '../src/budgets.ts'
import { fruitlessSearches } from '../src/limits.ts'
import { askAll, fillBucket, isolated, kinds, worldWithBucket } from './support/bucket.ts'
import { bytesOf, patient, text } from './support/world.ts'

describe('a remote store', () => {
  test('answers for everything of a module version, and upstream is not asked', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    fillBucket(bucket, release)
    expect(await askAll(world, release)).toEqual(['remote', 'remote', 'remote'])
    expect(world.upstream.asked).toEqual([])
    expect(world.db.lookups).toBe(0)
    expect(await world.store.findZip(release.module)).toBeDefined()
  })

  test('is enough for a node that can ask nobody else', async () => {
    const { world, bucket } = isolated()
    const release = world.release()
    fillBucket(bucket, release)
    expect(await askAll(world, release)).toEqual(['remote', 'remote', 'remote'])
  })

  test('comes after a peer that holds the zip', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    fillBucket(bucket, release)
    world.holder('near', release)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'near' })
    expect(world.remote?.asked).not.toContain('zip example.com/mod@v1.0.0')
  })

  test('stands in for peers that hold nothing', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    fillBucket(bucket, release)
    world.peers.add('empty')
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('remote')
    expect(world.upstream.asked).toEqual([])
  })

  test('that lacks it costs its own answer time and no more', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    bucket.delayMs = 30
    const startedMs = world.clock.monotonicMs()
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs() - startedMs).toBe(30)
  })

  test('that is down costs nothing', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    bucket.fault = 'down'
    const startedMs = world.clock.monotonicMs()
    expect(await askAll(world, release)).toEqual(['upstream', 'upstream', 'upstream'])
    expect(world.clock.monotonicMs()).toBe(startedMs)
  })

  test.for(['stall', 'hang'] satisfies RemoteFault[])(
    'that never answers (%s) costs its head start a few times, then nothing',
    async (fault) => {
      const { world, bucket } = worldWithBucket()
      bucket.fault = fault
      const costs: number[] = []
      for (let n = 0; n < 2 * fruitlessSearches; n++) {
        const { module } = world.publish(`v1.${n}.0`)
        const startedMs = world.clock.monotonicMs()
        const answer = await world.run(world.fill.mod(module, patient))
        expect(answer.source.kind).toBe('upstream')
        costs.push(world.clock.monotonicMs() - startedMs)
      }
      expect(Math.max(...costs)).toBeLessThanOrEqual(2 * defaultBudgets.remoteHeadStartMs)
      expect(costs.slice(fruitlessSearches)).toEqual(costs.slice(fruitlessSearches).map(() => 0))
    },
  )

  test('that lost its head start gets it back with the next object it has', async () => {
    const { world, bucket } = worldWithBucket()
    bucket.delayMs = 10
    for (let n = 0; n < fruitlessSearches; n++) {
      await world.run(world.fill.zip(world.publish(`v1.${n}.0`).module, patient))
    }
    world.upstream.delayMs = 50
    const [first, second] = [world.publish('v2.0.0+incompatible'), world.publish('v1.9.9')]
    fillBucket(bucket, first)
    fillBucket(bucket, second)
    expect((await world.run(world.fill.zip(first.module, patient))).source.kind).toBe('remote')
    const before = world.upstream.asked.length
    expect((await world.run(world.fill.zip(second.module, patient))).source.kind).toBe('remote')
    expect(world.upstream.asked).toHaveLength(before)
  })

  test.for(['cut', 'stall-body'] satisfies RemoteFault[])(
    'whose body fails (%s) is followed by upstream',
    async (fault) => {
      const { world, bucket } = worldWithBucket()
      const release = world.publish()
      fillBucket(bucket, release)
      bucket.fault = fault
      const startedMs = world.clock.monotonicMs()
      const answer = await world.run(world.fill.zip(release.module, patient))
      expect(answer.source.kind).toBe('upstream')
      expect(await bytesOf(answer.value)).toEqual(release.zip)
      const tookMs = world.clock.monotonicMs() - startedMs
      expect(tookMs).toBeLessThanOrEqual(fault === 'cut' ? 0 : defaultBudgets.stallMs)
    },
  )

  test('may begin a body anew', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    fillBucket(bucket, release)
    bucket.fault = 'restart'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('remote')
    expect(await bytesOf(answer.value)).toEqual(release.zip)
  })
})

describe('a remote store is never', () => {
  test('asked for what is private, nor given it', async () => {
    const { world, bucket } = worldWithBucket({
      isPrivate: (path) => path === 'corp.example/secret',
    })
    const release = world.publish('v1.0.0', 'corp.example/secret')
    fillBucket(bucket, { ...release, zip: text('planted') })
    const before = new Map(bucket.objects)
    expect(await askAll(world, release)).toEqual(['upstream', 'upstream', 'upstream'])
    expect(world.remote?.asked).toEqual([])
    expect(bucket.objects).toEqual(before)
  })

  test('asked for what nobody can prove', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    fillBucket(bucket, { ...release, zip: text('planted') })
    world.db.isOn = false
    expect(await askAll(world, release)).toEqual(['upstream', 'upstream', 'upstream'])
    expect(world.remote?.asked).toEqual([])
    expect(world.remote?.written).toEqual([])
  })
})

describe('without an upstream', () => {
  test('what the bucket lacks is not found', async () => {
    const { world } = isolated()
    for (const kind of kinds) {
      const { module } = world.release(`v1.0.${kinds.indexOf(kind)}`)
      expect((await world.failure(world.fill[kind](module, patient))).code).toBe('MODULE_NOT_FOUND')
    }
  })

  test('a dead bucket is trouble, never "not found"', async () => {
    const { world, bucket } = isolated()
    bucket.fault = 'down'
    for (const kind of kinds) {
      const { module } = world.release(`v1.0.${kinds.indexOf(kind)}`)
      const { code } = await world.failure(world.fill[kind](module, patient))
      expect(code).not.toBe('MODULE_NOT_FOUND')
    }
  })
})
