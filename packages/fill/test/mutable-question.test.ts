import { ModuleNotFoundError, UpstreamUnavailableError } from '@modmesh/fill'
import { parseModulePath, parseVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { decode, patient, type Release, text, World } from './support/world.ts'

const path = parseModulePath('example.com/mod')
const pseudo = 'v0.0.0-20240506070809-0123456789ab'

async function hold(world: World, { module, zip, sums }: Release): Promise<void> {
  const staged = await world.store.stageZip(module)
  await staged.write(zip)
  await staged.verify(sums.zip, patient)
  await staged.commit(sums.proof)
}

async function holdMod(world: World, { module, mod, sums }: Release): Promise<void> {
  await world.store.putRecord({ module, mod: { bytes: mod, hash: sums.mod!, proof: sums.proof } })
}

describe('list', () => {
  test('is asked of upstream once within its life, and again after it', async () => {
    const world = new World({ ttlMs: 1000 })
    world.upstream.lists.set(path, text('v1.0.0\n'))
    const first = await world.run(world.fill.list(path, patient))
    expect(first.source.kind).toBe('upstream')
    expect(await world.run(world.fill.list(path, patient))).toMatchObject({
      source: { kind: 'store', level: 'memory' },
      ageMs: 0,
    })
    expect(world.upstream.asked).toHaveLength(1)
    await world.clock.advance(1000)
    world.upstream.lists.set(path, text('v1.0.0\nv1.1.0\n'))
    const later = await world.run(world.fill.list(path, patient))
    expect(decode(later.value)).toBe('v1.0.0\nv1.1.0\n')
  })

  test("never takes a peer's word while upstream speaks", async () => {
    const world = new World()
    world.upstream.lists.set(path, text('v1.0.0\n'))
    world.holder('a', world.release('v1.9.0'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.0.0\n')
    expect(world.peers.asked).toEqual([])
  })

  test("a dead upstream's older list stands in, and it is not asked for every request", async () => {
    const world = new World({ ttlMs: 1000, negativeTtlMs: 500 })
    world.upstream.lists.set(path, text('v1.0.0\n'))
    await world.run(world.fill.list(path, patient))
    await world.clock.advance(5000)
    world.upstream.fault = 'down'
    const stale = await world.run(world.fill.list(path, patient))
    expect(decode(stale.value)).toBe('v1.0.0\n')
    expect(stale.source).toEqual({ kind: 'stale', why: 'failed' })
    expect(stale.ageMs).toBe(5000)
    await world.run(world.fill.list(path, patient))
    expect(world.upstream.asked).toHaveLength(2)
    await world.clock.advance(500)
    world.upstream.fault = 'none'
    world.upstream.lists.set(path, text('v1.1.0\n'))
    expect(decode((await world.run(world.fill.list(path, patient))).value)).toBe('v1.1.0\n')
  })

  test('offline it is the union of what is held here and by peers, in order', async () => {
    const world = new World()
    world.upstream.isOn = false
    await hold(world, world.release('v1.10.0'))
    world.holder('a', world.release('v1.2.0'))
    world.holder('b', world.release('v1.9.0'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.2.0\nv1.9.0\nv1.10.0\n')
    expect(answer.source).toEqual({ kind: 'held' })
  })

  test('offline a version of which only the go.mod is here is left out: go could not get it', async () => {
    const world = new World()
    world.upstream.isOn = false
    await hold(world, world.release('v1.2.0'))
    await holdMod(world, world.release('v1.10.0'))
    const list = await world.run(world.fill.list(path, patient))
    expect(decode(list.value)).toBe('v1.2.0\n')
    const latest = await world.run(world.fill.latest(path, patient))
    expect(decode(latest.value)).toBe('{"Version":"v1.2.0"}')
  })

  test('offline a version whose go.mod is here and whose zip a peer has is in it', async () => {
    const world = new World()
    world.upstream.isOn = false
    await hold(world, world.release('v1.2.0'))
    const release = world.release('v1.10.0')
    await holdMod(world, release)
    world.holder('a', release)
    const list = await world.run(world.fill.list(path, patient))
    expect(decode(list.value)).toBe('v1.2.0\nv1.10.0\n')
  })

  test('offline, with nothing but go.mod files, it names these', async () => {
    const world = new World()
    world.upstream.isOn = false
    await holdMod(world, world.release('v1.10.0'))
    const list = await world.run(world.fill.list(path, patient))
    expect(decode(list.value)).toBe('v1.10.0\n')
  })

  test.for([
    ['a login page', '<!doctype html>\n<p>Please log in to v1.0.0</p>\n'],
    ['JSON', '{"versions":["v1.0.0"]}'],
    ['an .info', '{"Version":"v1.0.0"}\n'],
    ['bytes', '\u0000\u0001\ufffd'],
  ] as const)('%s is no list', async ([, wrong]) => {
    const world = new World({ ttlMs: 1000 })
    world.upstream.lists.set(path, text(wrong))
    expect(await world.failure(world.fill.list(path, patient))).toBeInstanceOf(
      UpstreamUnavailableError,
    )
    world.upstream.lists.set(path, text('v1.0.0\n'))
    await world.clock.advance(1000)
    await world.run(world.fill.list(path, patient))
    await world.clock.advance(1000)
    world.upstream.lists.set(path, text(wrong))
    const older = await world.run(world.fill.list(path, patient))
    expect(decode(older.value)).toBe('v1.0.0\n')
    expect(older.source).toEqual({ kind: 'stale', why: 'failed' })
  })

  test.for([
    ['empty', ''],
    ['blank', '\n \n'],
    ['with times', 'v1.0.0 2024-01-02T03:04:05Z\n'],
    ['with tabs', '\tv1.0.0\t2024-01-02T03:04:05Z\n'],
    ['with lines that go leaves out', 'master\nv1\nlatest\n'],
    ['without a last line end', 'v1.0.0'],
  ] as const)('one that is %s is passed on as it is', async ([, odd]) => {
    const world = new World()
    world.upstream.lists.set(path, text(odd))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe(odd)
  })

  test('a version that a peer invents is not in it', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'down'
    const release = world.release('v1.2.0')
    world.holder('a', release).versions.get(path)?.push(parseVersion('v1.9.9'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.2.0\n')
  })

  test('of a million invented versions the newest few are looked at, within the budget', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'down'
    const peer = world.holder('a', world.release('v1.2.0'))
    const invented = Array.from({ length: 100_000 }, (_, i) => parseVersion(`v1.0.${i}`))
    peer.versions.get(path)?.push(...invented)
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.2.0\n')
    expect(world.peers.asked.filter((asked) => asked === 'records')).toHaveLength(64)
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(5000)
  })

  test('a peer that invents thousands does not crowd out the others', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'down'
    const invented = Array.from({ length: 5000 }, (_, i) => parseVersion(`v1.99.${i}`))
    world.peers.add('liar').versions.set(path, invented)
    for (let minor = 0; minor < 20; minor++) world.holder('a', world.release(`v1.${minor}.0`))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value).split('\n').filter(Boolean)).toHaveLength(20)
  })

  test('versions proven before are not asked for again', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.holder('a', world.release('v1.2.0'))
    await world.run(world.fill.list(path, patient))
    await world.run(world.fill.list(path, patient))
    expect(world.peers.asked).toEqual(['versions', 'records', 'versions'])
  })

  test('a version that the path cannot have is not asked for', async () => {
    const world = new World()
    world.upstream.isOn = false
    const peer = world.holder('a', world.release('v1.2.0'))
    peer.versions.get(path)?.push(parseVersion('v7.0.0'))
    await world.run(world.fill.list(path, patient))
    expect(world.peers.asked).toEqual(['versions', 'records'])
  })

  test('silent peers do not hold it beyond the budget', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.holder('a', world.release('v1.2.0'))
    world.peers.add('b').isSilent = true
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.2.0\n')
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(1200)
  })

  test('pseudo-versions are left out, but make it an empty list and no 404', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.holder('a', world.release(pseudo))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('')
  })

  test('nothing held: not found when upstream is off, unavailable when it is dead', async () => {
    const world = new World()
    world.upstream.fault = 'down'
    const dead = await world.failure(world.fill.list(path, patient))
    expect(dead).toBeInstanceOf(UpstreamUnavailableError)
    world.upstream.isOn = false
    const off = await world.failure(world.fill.list(path, patient))
    expect(off).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBe(0)
  })

  test('an upstream that never answers leaves time for what is held', async () => {
    const world = new World({ budgets: { fetchTimeoutMs: 30_000 } })
    world.upstream.fault = 'hang'
    world.holder('a', world.release('v1.2.0'))
    const answer = await world.run(world.fill.list(path, patient))
    expect(decode(answer.value)).toBe('v1.2.0\n')
    expect(world.clock.monotonicMs()).toBeLessThan(30_000)
  })

  test('a private path is asked of no peer, not even offline', async () => {
    const world = new World({ isPrivate: () => true })
    world.upstream.isOn = false
    world.holder('a', world.release('v1.2.0'))
    expect(await world.failure(world.fill.list(path, patient))).toBeInstanceOf(ModuleNotFoundError)
    expect(world.peers.asked).toEqual([])
  })

  test('upstream that floods gets no memory', async () => {
    const world = new World()
    world.upstream.lists.set(path, new Uint8Array((4 << 20) + 1))
    const error = await world.failure(world.fill.list(path, patient))
    expect(error).toBeInstanceOf(UpstreamUnavailableError)
  })
})

describe('latest', () => {
  test('comes from upstream', async () => {
    const world = new World()
    world.upstream.latests.set(path, text('{"Version":"v1.0.0"}'))
    const answer = await world.run(world.fill.latest(path, patient))
    expect(decode(answer.value)).toBe('{"Version":"v1.0.0"}')
  })

  test('offline it is the .info of the best release held or proven', async () => {
    const world = new World()
    world.upstream.isOn = false
    const best = world.release('v1.2.0')
    world.holder('a', best)
    world.holder('a', world.release('v1.3.0-rc.1'))
    world.holder('b', world.release(pseudo))
    const answer = await world.run(world.fill.latest(path, patient))
    expect(decode(answer.value)).toBe(decode(best.info))
    expect(answer.source).toEqual({ kind: 'held' })
  })

  test('offline with pseudo-versions only it is the newest of them', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release(pseudo)
    world.holder('a', release)
    const answer = await world.run(world.fill.latest(path, patient))
    expect(decode(answer.value)).toBe(decode(release.info))
  })

  test('offline without its .info it names the version alone', async () => {
    const world = new World()
    world.upstream.isOn = false
    const { module, mod, sums } = world.release('v1.2.0')
    await world.store.putRecord({ module, mod: { bytes: mod, hash: sums.mod!, proof: sums.proof } })
    const answer = await world.run(world.fill.latest(path, patient))
    expect(decode(answer.value)).toBe('{"Version":"v1.2.0"}')
  })

  test('a login page is no answer', async () => {
    const world = new World()
    world.upstream.latests.set(path, text('<html>'))
    const error = await world.failure(world.fill.latest(path, patient))
    expect(error).toBeInstanceOf(UpstreamUnavailableError)
  })
})

describe('a branch query', () => {
  test('is asked of upstream only', async () => {
    const world = new World()
    world.upstream.queries.set(`${path}@main`, text(`{"Version":"${pseudo}"}`))
    const answer = await world.run(world.fill.query(path, 'main', patient))
    expect(decode(answer.value)).toBe(`{"Version":"${pseudo}"}`)
    await world.run(world.fill.query(path, 'main', patient))
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('offline is not found; with upstream dead unavailable', async () => {
    const world = new World()
    world.holder('a', world.release('v1.2.0'))
    world.upstream.fault = 'down'
    const dead = await world.failure(world.fill.query(path, 'main', patient))
    expect(dead).toBeInstanceOf(UpstreamUnavailableError)
    world.upstream.fault = 'offline'
    const off = await world.failure(world.fill.query(path, 'main', patient))
    expect(off).toBeInstanceOf(ModuleNotFoundError)
  })
})
