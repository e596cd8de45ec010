import { type RemoteFault } from '@modmesh/fill/twins'
import { formatModuleVersion, parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { defaultBudgets } from '../src/budgets.ts'
import type { FillEvent } from '../src/fill-event.ts'
import { maxParallelWrites, maxWaitingWrites, remoteWriteMs } from '../src/limits.ts'
import { RemoteLevel } from '../src/remote-level.ts'
import { WriteBack } from '../src/write-back.ts'
import { askAll, askFor, kinds, worldWithBucket } from './support/bucket.ts'
import { bytesOf, decode, patient, text, World } from './support/world.ts'

describe('what was answered is written back', () => {
  test('in all its parts, and another node needs nobody else', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    await askAll(world, release)
    await world.clock.settle()
    expect([...bucket.objects.keys()].toSorted()).toEqual(
      ['info', 'mod', 'record', 'zip'].map(
        (part) => `${part} ${formatModuleVersion(release.module)}`,
      ),
    )
    const other = new World({ bucket })
    other.log.add(release.module, { zip: release.sums.zip, mod: release.sums.mod })
    other.upstream.isOn = false
    other.db.fault = 'down'
    expect(await askAll(other, release)).toEqual(['remote', 'remote', 'remote'])
    await other.clock.settle()
    expect(other.remote?.written).toEqual([])
  })

  test('without its zip while only its go.mod was asked for', async () => {
    const { world, bucket } = worldWithBucket()
    const { module } = world.publish()
    await world.run(world.fill.mod(module, patient))
    await world.clock.settle()
    expect([...bucket.objects.keys()]).not.toContain(`zip ${formatModuleVersion(module)}`)
    expect([...bucket.objects.keys()]).toContain(`mod ${formatModuleVersion(module)}`)
  })

  test('not an info of a peer: it cannot be proven and would stay for ever', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.release()
    world.holder('peer', release)
    expect(await askAll(world, release)).toEqual(['peer', 'store', 'store'])
    await world.clock.settle()
    expect(new Set([...bucket.objects.keys()].map((key) => key.split(' ')[0]))).toEqual(
      new Set(['mod', 'record', 'zip']),
    )
  })

  test('not to a bucket that is only read', async () => {
    const { world, bucket } = worldWithBucket()
    world.remote!.isWritable = false
    await askAll(world, world.publish())
    await world.clock.settle()
    expect(bucket.objects.size).toBe(0)
  })

  test('when it was held before there was a bucket: at its next hit, which looks once', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    bucket.fault = 'down'
    await askAll(world, release)
    await world.clock.settle()
    expect(bucket.objects.size).toBe(0)
    bucket.fault = 'none'
    expect((await world.run(world.fill.zip(release.module, patient))).source.kind).toBe('store')
    await world.clock.settle()
    expect(bucket.objects.size).toBe(4)
    const told = world.events.filter((event) => event.kind === 'remote-write').length
    await world.run(world.fill.zip(release.module, patient))
    await world.clock.settle()
    expect(world.events.filter((event) => event.kind === 'remote-write')).toHaveLength(told)
  })

  test('behind the answer: a bucket that takes nothing delays nobody', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    await world.run(world.fill.info(release.module, patient))
    bucket.fault = 'hang'
    const startedMs = world.clock.monotonicMs()
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(decode(await bytesOf(answer.value))).toContain('zip of')
    const tookMs = world.clock.monotonicMs() - startedMs
    expect(tookMs).toBeLessThanOrEqual(2 * defaultBudgets.remoteHeadStartMs)
  })

  test('what waits at the end is written, within limits', async () => {
    const { world, bucket } = worldWithBucket()
    const releases = Array.from({ length: 20 }, (_, n) => world.publish(`v1.${n}.0`))
    bucket.delayMs = 5
    await Promise.all(releases.map(({ module }) => world.run(world.fill.zip(module, patient))))
    await world.run(world.fill[Symbol.asyncDispose]())
    const zips = [...bucket.objects.keys()].filter((key) => key.startsWith('zip'))
    expect(zips).toHaveLength(releases.length)
  })

  test.for(['stall', 'hang'] satisfies RemoteFault[])(
    'a bucket that hangs (%s) does not hold up the end',
    async (fault) => {
      const { world, bucket } = worldWithBucket()
      const { module } = world.publish()
      await world.run(world.fill.mod(module, patient))
      await world.clock.settle()
      bucket.fault = fault
      await world.run(world.fill.zip(module, patient))
      const startedMs = world.clock.monotonicMs()
      await world.run(world.fill[Symbol.asyncDispose]())
      expect(world.clock.monotonicMs() - startedMs).toBeLessThanOrEqual(1_000)
    },
  )

  test('each object once, however often it is answered while it is being written', async () => {
    const { world, bucket, remote } = worldWithBucket()
    const { module } = world.publish()
    bucket.fault = 'down'
    for (const kind of kinds) await askFor(world, kind, module)
    bucket.fault = 'none'
    bucket.delayMs = 5
    for (let n = 0; n < 6; n++) await world.run(world.fill.zip(module, patient))
    await world.clock.advance(1_000)
    expect(remote.written.toSorted()).toEqual(
      ['info', 'mod', 'record', 'zip'].map((part) => `${part} ${formatModuleVersion(module)}`),
    )
    expect(writes(world).map(({ outcome }) => outcome)).not.toContain('exists')
  })

  test('nor anything that was refused, upstream’s own included', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.release()
    const altered = release.zip.map((byte) => byte ^ 1)
    const mod = text('module example.com/other\n')
    world.upstream.publish(release.module, { zip: altered, mod, info: release.info })
    for (const kind of ['zip', 'mod'] as const) {
      const { code } = await world.failure(world.fill[kind](release.module, patient))
      expect(code).toBe('UPSTREAM_REFUSED')
    }
    await world.clock.settle()
    expect(bucket.objects.size).toBe(0)
  })

  test('a write that takes for ever is given up, and the next answer offers it again', async () => {
    const { world, bucket } = worldWithBucket()
    const { module } = world.publish()
    await world.run(world.fill.info(module, patient))
    await world.clock.settle()
    bucket.fault = 'hang'
    await world.run(world.fill.zip(module, patient))
    await world.clock.advance(remoteWriteMs)
    expect(writes(world).at(-1)).toMatchObject({ outcome: 'failed' })
    bucket.fault = 'none'
    expect((await world.run(world.fill.zip(module, patient))).source.kind).toBe('store')
    await world.clock.settle()
    expect(bucket.objects.has(`zip ${formatModuleVersion(module)}`)).toBe(true)
  })

  test('a disk that fails to give a zip back is told, and costs no answer', async () => {
    const { world, bucket } = worldWithBucket()
    const { module } = world.publish()
    const find = world.store.findZip.bind(world.store)
    world.store.findZip = async (asked) => {
      const held = await find(asked)
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.reject(new Error('EIO'))
      }
      return held && { ...held, read: broken }
    }
    await world.run(world.fill.mod(module, patient))
    await world.run(world.fill.zip(module, patient))
    await world.clock.settle()
    await world.run(world.fill.zip(module, patient))
    await world.clock.settle()
    expect(writes(world).at(-1)).toMatchObject({ part: 'zip', outcome: 'failed' })
    expect(bucket.objects.has(`zip ${formatModuleVersion(module)}`)).toBe(false)
  })
})

describe('the row of what is to be written', () => {
  /** A write-back whose writers never get further than their first look at the store. */
  function stuck(): {
    readonly back: WriteBack
    readonly events: FillEvent[]
    looks: () => number
  } {
    const { clock, remote } = worldWithBucket().world
    if (remote === undefined) throw new Error('no remote store')
    const events: FillEvent[] = []
    let looks = 0
    const components = {
      level: new RemoteLevel({ store: remote, clock }, { headStartMs: 0, onRefused: () => {} }),
      checksumDb: { known: async () => undefined },
      clock,
      findRecord: async () => {
        looks++
        return await new Promise<undefined>(() => {})
      },
      findZip: async () => undefined,
    }
    const init = { isPrivate: () => false, onEvent: (event: FillEvent) => events.push(event) }
    return { back: new WriteBack(components, init), events, looks: () => looks }
  }
  const nth = (n: number) => parseModuleVersion('example.com/mod', `v1.${n}.0`)

  test('is bounded: what comes when it is full is dropped, and told', () => {
    const { back, events, looks } = stuck()
    const room = maxParallelWrites + maxWaitingWrites
    for (let n = 0; n < room; n++) back.offer(nth(n), { isNew: true })
    expect(events).toEqual([])
    back.offer(nth(room - 1), { isNew: true })
    expect(events).toEqual([])
    for (let n = room; n < room + 3; n++) back.offer(nth(n), { isNew: true })
    expect(events.map((event) => event.kind === 'remote-write' && event.outcome)).toEqual([
      'dropped',
      'dropped',
      'dropped',
    ])
    expect(looks()).toBe(maxParallelWrites)
  })
})

/** What was told of writes, in order. */
function writes(world: World): Extract<FillEvent, { readonly kind: 'remote-write' }>[] {
  return world.events.filter((event) => event.kind === 'remote-write')
}
