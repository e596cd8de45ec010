import type { FillEvent } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { StoreHealth } from '../src/store-health.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const failed: FillEvent = { kind: 'store-failed', module, error: new Error('disk \u001bfull') }
const committed: FillEvent = { kind: 'committed', module, source: { kind: 'held' }, bytes: 1 }

/** A store whose disk is well or not, and a clock. */
function setUp() {
  const world = { nowMs: 0, isWell: false, tries: 0, during: () => {} }
  const canKeep = async (): Promise<boolean> => {
    world.tries += 1
    world.during()
    return world.isWell
  }
  const clock = { monotonicMs: () => world.nowMs }
  return { world, health: new StoreHealth({ clock, store: { canKeep } }) }
}

describe('a store', () => {
  test('in which nothing failed is not tried', async () => {
    const { world, health } = setUp()
    health.record(committed)
    world.nowMs = 60_000
    expect(await health.failure()).toBeUndefined()
    expect(world.tries).toBe(0)
  })

  test('in which a write failed is failing, in printable words, until a zip is kept', async () => {
    const { world, health } = setUp()
    health.record(failed)
    expect(await health.failure()).toBe('disk \\u001bfull')
    health.record(committed)
    expect(await health.failure()).toBeUndefined()
    expect(world.tries).toBe(0)
  })

  test('that could not take a zip in is failing, and one that was asked in vain is not', async () => {
    const { health } = setUp()
    const error = Object.assign(new Error('cannot write a zip'), { code: 'STORE_WRITE' })
    const asked = { kind: 'failed', what: 'zip', ...module, tookMs: 1 } as const
    health.record({ ...asked, error: new Error('not found') })
    expect(await health.failure()).toBeUndefined()
    health.record({ ...asked, error })
    expect(await health.failure()).toBe('cannot write a zip')
  })

  test('is tried once in five seconds, however often somebody asks, and is well when that works', async () => {
    const { world, health } = setUp()
    health.record(failed)
    world.nowMs = 4_999
    expect(await health.failure()).toBeDefined()
    expect(world.tries).toBe(0)
    world.nowMs = 5_000
    expect(await Promise.all([health.failure(), health.failure()])).not.toContain(undefined)
    world.isWell = true
    expect(await health.failure()).toBeDefined()
    expect(world.tries).toBe(1)
    world.nowMs = 10_000
    expect(await health.failure()).toBeUndefined()
    expect(await health.failure()).toBeUndefined()
    expect(world.tries).toBe(2)
  })

  test('in which a write fails while it is tried is still failing', async () => {
    const { world, health } = setUp()
    health.record(failed)
    world.nowMs = 5_000
    world.isWell = true
    world.during = () => health.record(failed)
    expect(await health.failure()).toBeDefined()
  })
})
