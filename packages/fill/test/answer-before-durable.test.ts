import { describe, expect, test } from 'vitest'
import { commitSteps } from '../contract/memory-zip-store.ts'
import { maxUnwrittenZips } from '../src/limits.ts'
import { bytesOf, patient, World } from './support/world.ts'

/** A disk that stops before a step until it is let go, or fails there. */
function slowAt(step: string) {
  const disk = Promise.withResolvers<void>()
  const world = new World({ store: { onStep: (at) => (at === step ? disk.promise : undefined) } })
  return { world, disk }
}

describe('a zip whose commit is on its way', () => {
  test.for(commitSteps)('is answered while the disk is at %s', async (step) => {
    const { world, disk } = slowAt(step)
    const release = world.publish()
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(await bytesOf(answer.value)).toEqual(release.zip)
    expect(world.kinds()).not.toContain('committed')
    // Peers are given what the store finds: nothing before it is durable.
    expect(await world.store.findZip(release.module)).toBeUndefined()
    expect(await world.store.findContent(answer.value.zipHash)).toBeUndefined()
    disk.resolve()
    await world.clock.settle()
    expect(world.kinds()).toContain('committed')
    expect(await world.store.findZip(release.module)).toBeDefined()
  })

  test('answers others too, and is fetched once', async () => {
    const { world, disk } = slowAt('fsync-file')
    const release = world.publish()
    const ask = () => world.run(world.fill.zip(release.module, patient))
    const answers = [...(await Promise.all([ask(), ask()])), await ask(), await ask()]
    for (const { value } of answers) expect(await bytesOf(value)).toEqual(release.zip)
    expect(answers.map(({ source }) => source.kind)).toEqual([
      'upstream',
      'upstream',
      'store',
      'store',
    ])
    expect(world.upstream.asked.filter((what) => what.startsWith('zip'))).toHaveLength(1)
    disk.resolve()
    await world.clock.settle()
    expect(world.kinds().filter((kind) => kind === 'committed')).toHaveLength(1)
  })

  test.for(commitSteps)(
    'stays answered when the disk fails at %s, and is fetched anew',
    async (step) => {
      const { world, disk } = slowAt(step)
      const release = world.publish()
      const { value } = await world.run(world.fill.zip(release.module, patient))
      const full = new Error('no space left')
      disk.reject(full)
      await world.clock.settle()
      expect(world.events).toContainEqual({
        kind: 'store-failed',
        module: release.module,
        error: full,
      })
      expect(world.kinds()).not.toContain('committed')
      expect(await bytesOf(value)).toEqual(release.zip)
      expect(await world.store.findZip(release.module)).toBeUndefined()
      expect(world.store.staged).toBe(0)
      const again = await world.run(world.fill.zip(release.module, patient))
      expect(again.source.kind).toBe('upstream')
      expect(world.blamed()).toEqual([])
    },
  )

  test('waits for the disk where too many others are on their way', async () => {
    const { world, disk } = slowAt('fsync-file')
    const releases = Array.from({ length: maxUnwrittenZips + 2 }, (_, i) =>
      world.publish(`v1.0.${i}`, 'example.com/mod', 64),
    )
    const first = releases.slice(0, maxUnwrittenZips)
    for (const { module } of first) await world.run(world.fill.zip(module, patient))
    let answered = 0
    const late = releases.slice(maxUnwrittenZips).map(async ({ module }) => {
      await world.fill.zip(module, patient)
      answered += 1
    })
    await world.clock.settle()
    expect(answered).toBe(0)
    disk.resolve()
    await Promise.all(late)
    expect(answered).toBe(late.length)
  })
})
