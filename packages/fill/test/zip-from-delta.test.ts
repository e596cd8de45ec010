import { describe, expect, test } from 'vitest'
import { type DeltaFault, Deltas } from './support/deltas.ts'
import { bytesOf, patient, type Release, World } from './support/world.ts'

const files = 10

/** A node that lacks a release of ten files; with `holdsOld` it has the one before. */
async function lacking({ holdsOld = true }: { readonly holdsOld?: boolean } = {}) {
  const world = new World()
  const old = world.release('v1.0.0')
  const release = world.release('v1.1.0', undefined, files * 100)
  const deltas = new Deltas(world, release)
  if (holdsOld) await deltas.hold(world, old)
  return { world, release, deltas }
}

/** Asks for the zip, which must be the true one; tells where it came from. */
async function fetch(world: World, { module, zip }: Release): Promise<string> {
  const { value, source } = await world.run(world.fill.zip(module, patient))
  expect(await bytesOf(value)).toEqual(zip)
  return source.kind === 'peer' ? source.peer : source.kind
}

/** Whom a zip was asked of, and how that ended. */
function outcomes(world: World): unknown[] {
  return world.events.flatMap((event) =>
    event.kind === 'zip-asked' ? [[event.outcome, event.changes?.form]] : [],
  )
}

function formsOf(deltas: Deltas): string[] {
  return [...new Set(deltas.sent.map((file) => file.split(' ')[1] ?? ''))]
}

describe('a zip that a member of another site has', () => {
  test('comes in parts, packed against what both hold', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release)
    deltas.sharing.add('hq')
    expect(await fetch(world, release)).toBe('hq')
    expect(deltas.asked).toEqual(['hq'])
    expect(deltas.sent).toHaveLength(files)
    // Added files have nothing to be packed against.
    expect(formsOf(deltas)).toEqual(['P', 'S'])
    expect(outcomes(world)).toEqual([['gave', 'P']])
    expect([deltas.saved, deltas.released]).toEqual([['hq 950'], [true]])
    expect(world.peers.peers[0]?.asked).toBe(0)
  })

  test('is told against a sketch of what we alone hold', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release)
    await fetch(world, release)
    expect([deltas.asked, formsOf(deltas)]).toEqual([['hq sketch'], ['S']])
  })

  test('is told against nothing where we hold nothing', async () => {
    const { world, release, deltas } = await lacking({ holdsOld: false })
    deltas.holder(world, 'hq', release)
    await fetch(world, release)
    expect([deltas.asked, formsOf(deltas)]).toEqual([['hq'], ['S']])
  })

  test('is not asked for in parts when it is near', async () => {
    const { world, release, deltas } = await lacking()
    world.holder('near', release)
    expect(await fetch(world, release)).toBe('near')
    expect([deltas.asked, deltas.released]).toEqual([[], []])
  })

  test('shows those who wait for us that it comes along, before a byte of it is there', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release, 'stall')
    deltas.sharing.add('hq')
    const notice = () => world.fill.siteNotice({ what: 'zip', module: release.module })
    expect(notice()).toEqual({ bytes: 0, moves: 0 })
    const fetching = world.fill.zip(release.module, patient)
    const failed = expect(fetching).rejects.toThrow('404')
    await world.run(world.clock.sleep(100, patient))
    const { bytes, moves } = notice()
    expect([bytes, moves]).toEqual([0, expect.toSatisfy((value: number) => value > 10)])
    await world.run(failed)
  })

  test('comes as it is when the sender finds that better', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release, 'whole')
    expect(await fetch(world, release)).toBe('hq')
    expect(outcomes(world)).toEqual([['gave', 'whole']])
    // Nothing of it was spared.
    expect([deltas.sent, deltas.saved]).toEqual([[], []])
  })

  test('is fetched as a body when the sender says so', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release, 'elsewhere')
    expect(await fetch(world, release)).toBe('hq')
    expect([deltas.sent, world.peers.peers[0]?.asked]).toEqual([[], 1])
    expect(outcomes(world)).toEqual([['gave', undefined]])
  })
})

describe('a sender that lies is blamed, and the whole zip follows from elsewhere', () => {
  test.for<DeltaFault>([
    'lies-of-manifest',
    'lies-of-files',
    'wrong-whole',
    // Against nothing, and in one frame, an honest one tells what can be read.
    'collisions',
    'codec',
  ])('%s', async (fault) => {
    const { world, release, deltas } = await lacking()
    world.upstream.publish(release.module, release)
    deltas.holder(world, 'liar', release, fault)
    deltas.sharing.add('liar')
    expect(await fetch(world, release)).toBe('upstream')
    expect(world.blamed()).toEqual(['liar'])
    expect(deltas.saved).toEqual([])
    expect(deltas.asked.length).toBeLessThanOrEqual(3)
    expect(deltas.released).toEqual([false])
  })

  test('and the next member tells it, too', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'liar', release, 'lies-of-files')
    deltas.holder(world, 'honest', release)
    expect(await fetch(world, release)).toBe('honest')
    expect(world.blamed()).toEqual(['liar'])
    // The manifest was true: it verified by itself.
    expect(deltas.asked).toEqual(['liar sketch', 'honest manifest'])
  })
})

describe('what is nobody’s fault goes another way, and nobody is blamed', () => {
  test('files that cannot be unpacked against old ones come in one frame', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release, 'codec-of-P')
    deltas.sharing.add('hq')
    expect(await fetch(world, release)).toBe('hq')
    expect(deltas.asked).toEqual(['hq', 'hq manifest'])
    expect(deltas.sent.filter((file) => file.includes('P'))).toHaveLength(1)
    expect(deltas.sent.filter((file) => file.includes('S'))).toHaveLength(files)
    expect([outcomes(world), world.blamed()]).toEqual([[['gave', 'S']], []])
  })

  test('lines that look alike in a sketch are told without one', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release, 'collision')
    expect(await fetch(world, release)).toBe('hq')
    expect([deltas.asked, world.blamed()]).toEqual([['hq sketch', 'hq'], []])
  })

  test('a zip that our own disk gets wrong is fetched whole, from the same member', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'hq', release)
    deltas.isDiskWrong = true
    expect(await fetch(world, release)).toBe('hq')
    expect([world.peers.peers[0]?.asked, world.blamed(), deltas.saved]).toEqual([1, [], []])
  })

  test('one that stands still is given up for the next', async () => {
    const { world, release, deltas } = await lacking()
    deltas.holder(world, 'still', release, 'stall')
    deltas.holder(world, 'hq', release)
    expect(await fetch(world, release)).toBe('hq')
    expect([deltas.asked[0], world.blamed()]).toEqual(['still sketch', []])
  })

  test('a cut keeps the parts: the next member sends the rest only', async () => {
    const { world, release, deltas } = await lacking({ holdsOld: false })
    deltas.holder(world, 'cut', release, 'cut')
    deltas.holder(world, 'hq', release)
    expect(await fetch(world, release)).toBe('hq')
    expect(deltas.asked).toEqual(['cut', 'hq manifest'])
    const numbers = deltas.sent.map((file) => Number(file.split(' ')[2]))
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: files }, (_, n) => n))
    expect([deltas.sent.filter((file) => file.startsWith('cut')).length, world.blamed()]).toEqual([
      3,
      [],
    ])
    expect(deltas.released).toEqual([false, true])
  })
})
