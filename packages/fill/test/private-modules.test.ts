import { HashChangedError, PublishersDisagreeError } from '@modmesh/fill'
import { hashAnything } from '@modmesh/fill/twins'
import { formatModuleVersion, hashMod, type ModHash, type ZipHash } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { FakePrivateMesh, statementBy } from './support/private-mesh.ts'
import {
  bytesOf,
  decode,
  patient,
  type Release,
  text,
  World,
  type WorldInit,
} from './support/world.ts'

interface Shared {
  readonly world: World
  readonly mesh: FakePrivateMesh
  readonly release: Release
  readonly hashes: { readonly zip: ZipHash; readonly mod: ModHash }
}

/** A node for which everything is private, in a mesh that shares it; upstream has nothing. */
function sharedWorld(init: WorldInit & { readonly upstream?: 'off' | 'on' } = {}): Shared {
  let mesh: FakePrivateMesh | undefined
  const { upstream = 'off', ...rest } = init
  const world = new World({
    isPrivate: (path) => path.startsWith('corp.example/'),
    privateMesh: (clock) => (mesh = new FakePrivateMesh(clock)),
    negativeTtlMs: 0,
    ...rest,
  })
  if (mesh === undefined) throw new Error('it was not made')
  world.upstream.isOn = upstream === 'on'
  const release = world.release('v1.0.0', 'corp.example/lib')
  const zip = hashAnything(release.module, release.zip)
  return { world, mesh, release, hashes: { zip, mod: hashMod(release.mod) } }
}

/** A member that holds all of a release, as `by` signed it. */
function member({ world, mesh, release, hashes }: Shared, id: string, by = 'alice', delayMs = 1) {
  const { module, info, mod } = release
  const published = statementBy(by, hashes)
  mesh.tell({ peer: id, module, info, mod, holdsZip: true, published }, delayMs)
  return world.holder(id, release)
}

const kept = ({ world, release }: Shared) =>
  world.firstHashes.kept.get(formatModuleVersion(release.module))

describe('a private version that a publisher signed', () => {
  test('comes from a member, whole, and says who vouches for it', async () => {
    const shared = sharedWorld()
    const { world, release, hashes } = shared
    member(shared, 'bob')
    const { module } = release
    expect(decode((await world.run(world.fill.info(module, patient))).value)).toBe(
      decode(release.info),
    )
    expect((await world.run(world.fill.mod(module, patient))).value).toEqual(release.mod)
    const { value, source } = await world.run(world.fill.zip(module, patient))
    expect(await bytesOf(value)).toEqual(release.zip)
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
    expect(value.proof).toEqual({ kind: 'publisher', peer: 'peer-of-alice', name: 'alice' })
    const { publisher, statement } = statementBy('alice', hashes)
    expect(kept(shared)).toEqual({ module, ...hashes, published: { publisher, statement } })
    expect(world.upstream.asked).toEqual([])
  })

  test('is not asked for where private modules are not shared', async () => {
    const shared = sharedWorld()
    member(shared, 'bob')
    shared.mesh.isOn = false
    const error = await shared.world.failure(shared.world.fill.zip(shared.release.module, patient))
    expect(error.code).toBe('MODULE_NOT_FOUND')
    expect(shared.mesh.asked).toEqual([])
  })

  test('never has public modules asked of these members', async () => {
    const { world, mesh } = sharedWorld({ upstream: 'on' })
    const { module } = world.publish('v1.0.0', 'example.com/public')
    await world.run(world.fill.zip(module, patient))
    await world.run(world.fill.list(module.path, patient).catch(() => undefined))
    expect(mesh.asked).toEqual([])
  })

  test('other bytes are refused, their sender is blamed, and the next member gives it', async () => {
    const shared = sharedWorld()
    member(shared, 'liar').fault = 'wrong-bytes'
    member(shared, 'bob', 'alice', 5)
    const { world, release } = shared
    const { source } = await world.run(world.fill.zip(release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
    expect(world.blamed()).toEqual(['liar'])
  })

  test('another go.mod than the signed one is refused, and its sender is blamed', async () => {
    const shared = sharedWorld()
    const { world, mesh, release, hashes } = shared
    const { module, info } = release
    const published = statementBy('alice', hashes)
    const mod = text('module corp.example/lib\n// evil\n')
    mesh.tell({ peer: 'liar', module, info, mod, holdsZip: false, published })
    const error = await world.failure(world.fill.mod(module, patient))
    // Somebody says to have it: that is no "not found".
    expect(error.code).toBe('UPSTREAM_UNAVAILABLE')
    expect(new Set(world.blamed())).toEqual(new Set(['liar']))
    member(shared, 'bob')
    expect((await world.run(world.fill.mod(module, patient))).value).toEqual(release.mod)
  })

  test('is refused while two publishers disagree, and both are named with what they said', async () => {
    const shared = sharedWorld()
    const { world, mesh, release, hashes } = shared
    const { module } = release
    member(shared, 'bob')
    const other = { zip: hashAnything(module, text('other')), mod: hashes.mod }
    const published = statementBy('mallory', other)
    const files = { info: undefined, mod: undefined, holdsZip: true }
    mesh.tell({ peer: 'carl', module, ...files, published }, 50)
    for (const ask of [world.fill.zip(module, patient), world.fill.info(module, patient)]) {
      const error = await world.failure(ask)
      expect(error).toBeInstanceOf(PublishersDisagreeError)
      for (const said of ['alice', 'mallory', hashes.zip, other.zip]) {
        expect(error.message).toContain(said)
      }
    }
    expect(world.events).toContainEqual(expect.objectContaining({ kind: 'published-refused' }))
    expect(kept(shared)).toBeUndefined()
    expect(await world.store.findZip(module)).toBeUndefined()
  })

  test('is what its publisher said last, where he said two things', async () => {
    const shared = sharedWorld()
    const { world, mesh, release, hashes } = shared
    const { module } = release
    const older = { zip: hashAnything(module, text('older')), mod: hashes.mod }
    const published = statementBy('alice', older, 999)
    const files = { info: undefined, mod: undefined, holdsZip: true }
    mesh.tell({ peer: 'carl', module, ...files, published })
    member(shared, 'bob')
    const { value } = await world.run(world.fill.zip(module, patient))
    expect(value.zipHash).toBe(hashes.zip)
  })

  test.for([{ atMs: 1 }, { atMs: 1_000_000 }])(
    'is not changed once it was seen by a statement of $atMs with another hash',
    async ({ atMs }) => {
      const shared = sharedWorld()
      const { world, mesh, release, hashes } = shared
      const { module } = release
      world.firstHashes.kept.set(formatModuleVersion(module), { module, ...hashes })
      const other = { zip: hashAnything(module, text('other')), mod: hashes.mod }
      const published = statementBy('alice', other, atMs)
      const files = { info: undefined, mod: undefined, holdsZip: true }
      mesh.tell({ peer: 'carl', module, ...files, published })
      const error = await world.failure(world.fill.zip(module, patient))
      expect(error).toBeInstanceOf(HashChangedError)
      expect(error).toMatchObject({ first: hashes.zip, seen: other.zip, from: 'publisher alice' })
      const changed = {
        zip: other.zip,
        from: 'publisher alice',
        atMs: expect.any(Number) as number,
      }
      expect(kept(shared)).toEqual({ module, ...hashes, changed })
    },
  )

  test('that somebody accepted anew is not taken back by what was said before', async () => {
    const shared = sharedWorld()
    const { world, mesh, release, hashes } = shared
    const { module } = release
    const acceptedMs = 5_000
    world.firstHashes.kept.set(formatModuleVersion(module), { module, ...hashes, acceptedMs })
    const other = { zip: hashAnything(module, text('other')), mod: hashes.mod }
    const files = { info: undefined, mod: undefined, holdsZip: true }
    for (const by of ['alice', 'mallory']) {
      mesh.tell({ peer: 'carl', module, ...files, published: statementBy(by, other, 5_000) })
    }
    expect(await world.failure(world.fill.zip(module, patient))).toMatchObject({
      code: 'MODULE_NOT_FOUND',
    })
    expect(kept(shared)).toEqual({ module, ...hashes, acceptedMs })
    member(shared, 'bob')
    expect((await world.run(world.fill.zip(module, patient))).value.zipHash).toBe(hashes.zip)
    // What is said after it is a change again.
    mesh.tell({ peer: 'carl', module, ...files, published: statementBy('alice', other, 5_001) })
    await world.clock.settle()
    world.store.disk.zips.clear()
    expect(await world.failure(world.fill.zip(module, patient))).toBeInstanceOf(HashChangedError)
  })

  test('whose statement does not count is not found, and the error says why', async () => {
    const { world, mesh, release } = sharedWorld()
    mesh.refusal = 'the peer was revoked'
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error.code).toBe('MODULE_NOT_FOUND')
    expect(error.message).toContain('no statement of a publisher counts\nthe peer was revoked')
  })
})

describe('with an upstream of its own', () => {
  test('a member still answers first', async () => {
    const shared = sharedWorld({ upstream: 'on' })
    const { world, release } = shared
    world.upstream.publish(release.module, release)
    member(shared, 'bob')
    const { source } = await world.run(world.fill.zip(release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
  })

  test('upstream answers when members have nothing, after 150 ms at most when one hangs', async () => {
    const { world, mesh, release } = sharedWorld({ upstream: 'on' })
    mesh.hangs = true
    world.upstream.publish(release.module, release)
    const beganMs = world.clock.monotonicMs()
    const { source } = await world.run(world.fill.zip(release.module, patient))
    expect(source.kind).toBe('upstream')
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(300)
    expect(world.events).toContainEqual(
      expect.objectContaining({ kind: 'upstream-chosen', why: 'not-published' }),
    )
  })

  test('a member that hangs costs no more once another one has told', async () => {
    const shared = sharedWorld()
    shared.mesh.hangs = true
    member(shared, 'bob')
    const beganMs = shared.world.clock.monotonicMs()
    await shared.world.run(shared.world.fill.zip(shared.release.module, patient))
    expect(shared.world.clock.monotonicMs() - beganMs).toBeLessThan(300)
  })

  test('a member that has the statement alone does not cut short one that has the zip, too', async () => {
    const shared = sharedWorld()
    const { mesh, release, hashes, world } = shared
    const files = { info: undefined, mod: undefined, holdsZip: false }
    const published = statementBy('alice', hashes)
    mesh.tell({ peer: 'quick', module: release.module, ...files, published })
    member(shared, 'bob', 'alice', 2_000)
    expect((await world.run(world.fill.mod(release.module, patient))).value).toEqual(release.mod)
    const { source } = await world.run(world.fill.zip(release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
  })

  test('a member that lies quickly does not keep the zip of a slow one away', async () => {
    const shared = sharedWorld()
    member(shared, 'liar').fault = 'wrong-bytes'
    member(shared, 'bob', 'alice', 2_000)
    const { source } = await shared.world.run(shared.world.fill.zip(shared.release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
  })

  test('members that are slow are asked again when upstream does not let this host in', async () => {
    const shared = sharedWorld({ upstream: 'on' })
    member(shared, 'bob', 'alice', 400)
    const { source } = await shared.world.run(shared.world.fill.zip(shared.release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'bob' })
    expect(shared.world.upstream.asked).toHaveLength(1)
  })

  test('other bytes of upstream than a publisher signed are refused', async () => {
    const shared = sharedWorld({ upstream: 'on' })
    const { world, release, hashes } = shared
    member(shared, 'liar').fault = 'wrong-bytes'
    const zip = new Uint8Array(1000).fill(9)
    world.upstream.publish(release.module, { ...release, zip })
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toMatchObject({ code: 'HASH_CHANGED', first: hashes.zip })
  })
})

describe('versions of a private path', () => {
  test('are those that members have a statement for', async () => {
    const shared = sharedWorld()
    const { world, mesh, release } = shared
    member(shared, 'bob')
    const list = await world.run(world.fill.list(release.module.path, patient))
    expect(decode(list.value)).toBe('v1.0.0\n')
    expect(list.source).toEqual({ kind: 'held' })
    expect(mesh.asked).toContain('corp.example/lib@v1.0.0')
    const latest = await world.run(world.fill.latest(release.module.path, patient))
    expect(JSON.parse(decode(latest.value))).toMatchObject({ Version: 'v1.0.0' })
  })

  test('are found where upstream says that there is nothing, as it does to who may not see it', async () => {
    const shared = sharedWorld({ upstream: 'on' })
    member(shared, 'bob')
    const { world, release } = shared
    const list = await world.run(world.fill.list(release.module.path, patient))
    expect(decode(list.value)).toBe('v1.0.0\n')
    expect(world.upstream.asked).toEqual(['list corp.example/lib'])
  })

  test('are not found where nobody has any', async () => {
    const { world, release } = sharedWorld({ upstream: 'on' })
    const error = await world.failure(world.fill.list(release.module.path, patient))
    expect(error.code).toBe('MODULE_NOT_FOUND')
  })
})

describe('a version that was seen before', () => {
  test('is asked of its origin itself, not of what was once fetched from there', async () => {
    const { world, mesh, release } = sharedWorld({ upstream: 'on' })
    mesh.isOn = false
    const { module } = release
    const forgotten: string[] = []
    Object.assign(world.upstream, {
      forget: async (what: typeof module) => void forgotten.push(formatModuleVersion(what)),
    })
    world.upstream.publish(module, release)
    await world.run(world.fill.zip(module, patient))
    expect(forgotten).toEqual([])
    await world.clock.settle()
    world.store.disk.zips.clear()
    await world.run(world.fill.zip(module, patient))
    expect(forgotten).toEqual(['corp.example/lib@v1.0.0'])
  })
})
