import type { OwnerAnswer, OwnerOutcome } from '@modmesh/fill'
import type { FakePeer } from '@modmesh/fill/twins'
import type { ModulePath } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { decode, patient, type Release, text, World } from './support/world.ts'

const from = 'https://upstream.example'

/** A world in which one peer owns every key, and proves every release that is known to the log. */
function owned(init: ConstructorParameters<typeof World>[0] = {}): {
  readonly world: World
  readonly owner: FakePeer
  readonly releases: readonly Release[]
  readonly path: ModulePath
} {
  const world = new World(init)
  const owner = world.peers.add('owner')
  owner.canFetch = true
  world.peers.owner = (_key, { isTrusted }) => (isTrusted('owner') ? 'owner' : undefined)
  const releases = ['v1.0.0', 'v1.1.0'].map((version) => world.publish(version))
  const [first] = releases
  if (first === undefined) throw new Error('no release')
  world.upstream.lists.set(first.module.path, text('v1.0.0\nv1.1.0\n'))
  world.upstream.latests.set(first.module.path, releases[1]?.info ?? text(''))
  return { world, owner, releases, path: first.module.path }
}

/** Answers lists and latest with these bytes, and anything else as if asked for a record. */
function says(owner: FakePeer, releases: readonly Release[], bytes: Uint8Array, ageMs = 0): void {
  owner.owns = async (question): Promise<OwnerAnswer> => {
    if (!('module' in question)) return { kind: 'bytes', bytes, from, ageMs }
    const { version } = question.module
    const release = releases.find(({ module }) => module.version === version)
    if (release === undefined) return { kind: 'nothing' }
    const { module, info, mod, sums } = release
    return { kind: 'record', record: { module, info, mod, record: sums.record, holdsZip: false } }
  }
}

function outcomes(world: World): OwnerOutcome[] {
  return world.events.flatMap((event) =>
    event.kind === 'owner-asked' && event.what !== 'sums' ? [event.outcome] : [],
  )
}

describe('a list', () => {
  test('is asked of the owner once, and is fresh for as long as upstream said it', async () => {
    const { world, owner, releases, path } = owned({ ttlMs: 10_000 })
    says(owner, releases, text('v1.0.0\nv1.1.0\n'), 4_000)
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.0.0\nv1.1.0\n')
    expect(answer).toMatchObject({
      source: { kind: 'peer', peer: 'owner', via: 'owner' },
      ageMs: 4_000,
    })
    expect(world.upstream.asked).toEqual([])
    expect((await world.run(world.fill.list(path, patient))).source.kind).toBe('store')
    expect(owner.ownerAsked).toEqual(['list example.com/mod', 'sums example.com/mod@v1.1.0'])
    await world.run(world.clock.sleep(6_001, patient))
    await world.run(world.fill.list(path, patient))
    expect(owner.ownerAsked.filter((what) => what.startsWith('list'))).toHaveLength(2)
  })

  test('that offers a version which nobody can prove is refused, and upstream is asked', async () => {
    const { world, owner, releases, path } = owned()
    says(owner, releases, text('v1.0.0\nv1.1.0\nv9.9.9\n'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.0.0\nv1.1.0\n')
    expect(answer.source.kind).toBe('upstream')
  })

  test('that hides what is held here gets it back', async () => {
    const { world, owner, releases, path } = owned()
    says(owner, releases, text('v1.0.0\n'))
    const held = releases[1]
    if (held === undefined) throw new Error('no release')
    await world.run(world.fill.mod(held.module, patient))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.0.0\nv1.1.0\n')
  })

  test('older than it may be is not taken', async () => {
    const { world, owner, releases, path } = owned({ ttlMs: 10_000 })
    says(owner, releases, text('v1.0.0\n'), 10_001)
    const answer = await world.run(world.fill.list(path, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(outcomes(world)).toEqual(['failed'])
  })

  test('that is none is refused', async () => {
    const { world, owner, releases, path } = owned()
    says(owner, releases, text('<html>please log in</html>'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(outcomes(world)).toEqual(['lied'])
  })
})

test('latest is never below what is held here', async () => {
  const { world, owner, releases, path } = owned()
  const [old, held] = releases
  if (old === undefined || held === undefined) throw new Error('no release')
  says(owner, releases, old.info)
  await world.run(world.fill.info(held.module, patient))
  await world.run(world.fill.mod(held.module, patient))
  const answer = await world.run(world.fill.latest(path, patient))
  expect(decode(answer.value)).toBe(decode(held.info))
})

describe('as the owner', () => {
  const asker = { peer: 'asker', ...patient }

  test('we give upstream’s fresh word with its age, and ask nobody else', async () => {
    const { world, owner, path } = owned({ ttlMs: 10_000 })
    const asked = { what: 'list', path } as const
    const first = await world.run(world.fill.answerSite(asked, asker))
    expect(first).toEqual({ kind: 'bytes', bytes: text('v1.0.0\nv1.1.0\n'), from, ageMs: 0 })
    await world.run(world.clock.sleep(3_000, patient))
    expect(await world.run(world.fill.answerSite(asked, asker))).toMatchObject({ ageMs: 3_000 })
    expect(world.upstream.asked).toEqual(['list example.com/mod'])
    expect(owner.ownerAsked).toEqual([])
  })

  test('we give no older answer for a fresh one, and none of another owner', async () => {
    const { world, owner, releases, path } = owned({ ttlMs: 1_000 })
    const asked = { what: 'list', path } as const
    says(owner, releases, text('v1.0.0\nv1.1.0\n'))
    await world.run(world.fill.list(path, patient))
    const refused = { kind: 'refused', why: 'declined' }
    expect(await world.run(world.fill.answerSite(asked, asker))).toEqual(refused)
    await world.run(world.clock.sleep(1_001, patient))
    world.upstream.fault = 'down'
    expect(await world.run(world.fill.answerSite(asked, asker))).toEqual(refused)
  })
})
