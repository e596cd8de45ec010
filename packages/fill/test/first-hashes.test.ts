import { acceptChange, HashChangedError } from '@modmesh/fill'
import { hashAnything } from '@modmesh/fill/twins'
import { formatModuleVersion, hashMod, type ModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { type Release, World } from './support/world.ts'

const patient = { signal: new AbortController().signal }
const otherZip = new Uint8Array(1000).fill(7)
const otherMod = new TextEncoder().encode('module example.com/mod\n// moved\n')

/** A node for which everything is private, and a release that upstream has. */
function privateWorld(): { readonly world: World; readonly release: Release } {
  const world = new World({ isPrivate: () => true, negativeTtlMs: 0 })
  return { world, release: world.publish() }
}

function kept(world: World, module: ModuleVersion): unknown {
  return world.firstHashes.kept.get(formatModuleVersion(module))
}

/** As after an eviction: the next request asks upstream again. */
async function loseAll(world: World): Promise<void> {
  await world.clock.settle()
  world.store.disk.zips.clear()
  world.store.disk.records.clear()
}

describe('of a version that nobody can prove', () => {
  test('the first hashes are kept', async () => {
    const { world, release } = privateWorld()
    const { module, sums } = release
    await world.run(world.fill.mod(module, patient))
    expect(kept(world, module)).toEqual({ module, mod: sums.mod })
    await world.run(world.fill.zip(module, patient))
    expect(kept(world, module)).toEqual({ module, mod: sums.mod, zip: sums.zip })
  })

  test('another zip is refused with both hashes, and nothing of it is kept', async () => {
    const { world, release } = privateWorld()
    const { module, sums } = release
    await world.run(world.fill.zip(module, patient))
    await loseAll(world)
    world.upstream.publish(module, { zip: otherZip })
    const error = await world.failure(world.fill.zip(module, patient))
    const seen = hashAnything(module, otherZip)
    expect(error).toBeInstanceOf(HashChangedError)
    expect(error).toMatchObject({ code: 'HASH_CHANGED', part: 'zip', first: sums.zip, seen })
    expect(error.message).toContain(`first ${sums.zip}`)
    expect(error.message).toContain(`now   ${seen} from https://upstream.example`)
    expect(error.message).toContain('modmesh accept example.com/mod@v1.0.0')
    expect(world.events).toContainEqual({ kind: 'hash-changed', module, error })
    expect(await world.store.findZip(module)).toBeUndefined()
    expect(kept(world, module)).toMatchObject({ zip: sums.zip, changed: { zip: seen } })
  })

  test('another go.mod is refused, and stays so while upstream sends it', async () => {
    const { world, release } = privateWorld()
    const { module, sums } = release
    world.firstHashes.kept.set(formatModuleVersion(module), { module, mod: sums.mod! })
    world.upstream.publish(module, { mod: otherMod })
    for (const _ of [1, 2]) {
      const error = await world.failure(world.fill.mod(module, patient))
      expect(error).toMatchObject({ part: 'mod', first: sums.mod, seen: hashMod(otherMod) })
    }
    expect(await world.store.findRecord(module)).toBeUndefined()
  })

  test('a conflict is over when upstream sends the first again', async () => {
    const { world, release } = privateWorld()
    const { module, sums } = release
    const first = { module, zip: sums.zip!, mod: sums.mod! }
    world.firstHashes.kept.set(formatModuleVersion(module), first)
    world.upstream.publish(module, { zip: otherZip, mod: otherMod })
    await world.failure(world.fill.zip(module, patient))
    await world.failure(world.fill.mod(module, patient))
    world.upstream.publish(module, release)
    await world.run(world.fill.zip(module, patient))
    expect(kept(world, module)).toMatchObject({ ...first, changed: { mod: hashMod(otherMod) } })
    expect(kept(world, module)).not.toHaveProperty('changed.zip')
    await world.run(world.fill.mod(module, patient))
    expect(kept(world, module)).toEqual(first)
  })

  test('what is the same as ever writes nothing', async () => {
    const { world, release } = privateWorld()
    const { module } = release
    await world.run(world.fill.zip(module, patient))
    await loseAll(world)
    const { writes } = world.firstHashes
    await world.run(world.fill.zip(module, patient))
    expect(world.firstHashes.writes).toBe(writes)
  })

  test('nothing is answered when the first hash cannot be kept', async () => {
    const { world, release } = privateWorld()
    world.firstHashes.error = new Error('disk full')
    expect((await world.failure(world.fill.zip(release.module, patient))).message).toBe('disk full')
    expect((await world.failure(world.fill.mod(release.module, patient))).message).toBe('disk full')
    expect(await world.store.findZip(release.module)).toBeUndefined()
  })

  test('a go.sum decides, and no first hash is looked at', async () => {
    const { world, release } = privateWorld()
    const { module } = release
    const zip = hashAnything(module, otherZip)
    world.firstHashes.kept.set(formatModuleVersion(module), { module, zip })
    world.db.learn(module, { ...release.sums, proof: { kind: 'go-sum' } })
    await world.run(world.fill.zip(module, patient))
    expect(kept(world, module)).toEqual({ module, zip })
  })
})

test('a version that the checksum database proves has no first hash', async () => {
  const world = new World()
  const { module } = world.publish()
  await world.run(world.fill.zip(module, patient))
  await world.run(world.fill.mod(module, patient))
  expect(world.firstHashes.kept.size).toBe(0)
})

test('after an accepted change its hash is the first, and that of the other part is open', () => {
  const { world, release } = privateWorld()
  const { module, sums } = release
  const seen = hashAnything(module, otherZip)
  const changed = { zip: seen, from: 'direct', atMs: world.clock.wallMs() }
  const entry = { module, zip: sums.zip!, mod: sums.mod!, changed }
  expect(acceptChange(entry, 42)).toEqual({ module, zip: seen, acceptedMs: 42 })
})

test('a part that is forgotten is asked for anew', async () => {
  const { world, release } = privateWorld()
  const { module } = release
  await world.run(world.fill.info(module, patient))
  await loseAll(world)
  await world.run(world.fill.info(module, patient))
  expect(world.upstream.asked).toHaveLength(1)
  world.fill.forget(module)
  await world.run(world.fill.info(module, patient))
  expect(world.upstream.asked).toHaveLength(2)
})

test('what came from version control is told as such', async () => {
  const { world, release } = privateWorld()
  const { module } = release
  world.upstream.via = 'direct'
  world.upstream.lists.set(module.path, new TextEncoder().encode('v1.0.0\n'))
  const direct = { kind: 'direct' }
  expect((await world.run(world.fill.info(module, patient))).source).toEqual(direct)
  expect((await world.run(world.fill.mod(module, patient))).source).toEqual(direct)
  expect((await world.run(world.fill.zip(module, patient))).source).toEqual(direct)
  expect((await world.run(world.fill.list(module.path, patient))).source).toEqual(direct)
})
