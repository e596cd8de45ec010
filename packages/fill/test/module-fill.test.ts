import { FillClosedError, ModuleNotFoundError } from '@modmesh/fill'
import { parseModulePath } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { decode, patient, text, World } from './support/world.ts'

const path = parseModulePath('example.com/mod')

describe('one fill for equal requests', () => {
  test('a hundred requests at once are one question to upstream', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.delayMs = 50
    const all = Array.from({ length: 100 }, () => world.fill.zip(module, patient))
    const answers = await world.run(Promise.all(all))
    expect(new Set(answers.map((answer) => answer.value.zipDigest)).size).toBe(1)
    expect(world.upstream.asked).toHaveLength(1)
    expect(world.events.filter((event) => event.kind === 'answered')).toHaveLength(100)
    expect(world.events.filter((event) => event.kind === 'committed')).toHaveLength(1)
  })

  test('a client that goes away ends its own wait only', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.delayMs = 50
    const client = new AbortController()
    const impatient = world.fill.zip(module, client)
    const patientOne = world.fill.zip(module, patient)
    await world.clock.advance(20)
    client.abort(new Error('gone'))
    await expect(impatient).rejects.toThrow('gone')
    expect((await world.run(patientOne)).source.kind).toBe('upstream')
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('a fill goes on when the last client has gone', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.delayMs = 50
    const client = new AbortController()
    const impatient = world.fill.zip(module, client)
    await world.clock.advance(20)
    client.abort(new Error('gone'))
    await expect(impatient).rejects.toThrow('gone')
    await world.clock.advance(100)
    expect(await world.store.findZip(module)).toBeDefined()
  })

  test('a client that has gone before it asked gets its own reason', async () => {
    const world = new World()
    const { module } = world.publish()
    const signal = AbortSignal.abort(new Error('gone'))
    expect((await world.failure(world.fill.zip(module, { signal }))).message).toBe('gone')
  })

  test('a failure is not shared with those who ask after it', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.fault = 'down'
    await world.failure(world.fill.zip(module, patient))
    world.upstream.fault = 'none'
    expect((await world.run(world.fill.zip(module, patient))).source.kind).toBe('upstream')
  })
})

describe('"not found" is remembered', () => {
  test("upstream's for its short life, in no time", async () => {
    const world = new World({ negativeTtlMs: 1000 })
    const release = world.release()
    world.upstream.delayMs = 100
    await world.failure(world.fill.info(release.module, patient))
    const error = await world.failure(world.fill.info(release.module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBe(100)
    expect(world.upstream.asked).toHaveLength(1)
    world.upstream.publish(release.module, release)
    await world.clock.advance(1000)
    expect((await world.run(world.fill.info(release.module, patient))).value).toEqual(release.info)
  })

  test("the mesh's for a second at most", async () => {
    const world = new World({ negativeTtlMs: 60_000 })
    world.upstream.isOn = false
    world.peers.add('a')
    const release = world.release()
    await world.failure(world.fill.mod(release.module, patient))
    await world.failure(world.fill.mod(release.module, patient))
    expect(world.peers.asked).toHaveLength(1)
    world.holder('a', release)
    await world.clock.advance(1000)
    expect((await world.run(world.fill.mod(release.module, patient))).value).toEqual(release.mod)
  })

  test('not when nobody was asked: the first peer changes it', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    await world.failure(world.fill.mod(release.module, patient))
    world.holder('a', release)
    expect((await world.run(world.fill.mod(release.module, patient))).value).toEqual(release.mod)
  })

  test('not against the store', async () => {
    const world = new World()
    const release = world.release()
    await world.failure(world.fill.info(release.module, patient))
    const info = { bytes: release.info, from: 'upstream' as const }
    await world.store.putRecord({ module: release.module, info })
    expect((await world.run(world.fill.info(release.module, patient))).value).toEqual(release.info)
  })

  test('not when upstream was dead', async () => {
    const world = new World()
    const { module, info } = world.publish()
    world.upstream.fault = 'down'
    await world.failure(world.fill.info(module, patient))
    world.upstream.fault = 'none'
    expect((await world.run(world.fill.info(module, patient))).value).toEqual(info)
  })
})

describe('from the store alone', () => {
  const cached = { ...patient, cachedOnly: true }

  test('what is held is answered, and what is not is not found without asking anybody', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release)
    for (const what of ['zip', 'mod', 'info'] as const) {
      const work = world.fill[what](release.module, cached)
      expect(await world.failure(work)).toBeInstanceOf(ModuleNotFoundError)
    }
    expect([...world.peers.asked, ...world.upstream.asked]).toEqual([])
    await world.run(world.fill.zip(release.module, patient))
    const answer = await world.run(world.fill.zip(release.module, cached))
    expect(answer.source).toEqual({ kind: 'store' })
  })

  test('lists are those of what is held', async () => {
    const world = new World()
    world.holder('a', world.release('v1.5.0'))
    expect(await world.failure(world.fill.list(path, cached))).toBeInstanceOf(ModuleNotFoundError)
    const { module, mod, sums } = world.release('v1.2.0')
    await world.store.putRecord({ module, mod: { bytes: mod, hash: sums.mod!, proof: sums.proof } })
    expect(decode((await world.run(world.fill.list(path, cached))).value)).toBe('v1.2.0\n')
    const latest = await world.run(world.fill.latest(path, cached))
    expect(decode(latest.value)).toBe('{"Version":"v1.2.0"}')
    expect([...world.peers.asked, ...world.upstream.asked]).toEqual([])
  })

  test('an older list of upstream counts', async () => {
    const world = new World({ ttlMs: 10 })
    world.upstream.lists.set(path, text('v1.0.0\n'))
    await world.run(world.fill.list(path, patient))
    await world.clock.advance(100)
    const answer = await world.run(world.fill.list(path, cached))
    expect(decode(answer.value)).toBe('v1.0.0\n')
    expect(world.upstream.asked).toHaveLength(1)
  })
})

describe('events', () => {
  test('each request ends with one, with source, bytes and time', async () => {
    const world = new World()
    const { module, zip } = world.publish()
    world.upstream.delayMs = 30
    await world.run(world.fill.zip(module, patient))
    await world.run(world.fill.zip(module, patient))
    const source = { kind: 'upstream', from: world.upstream.from }
    const request = { what: 'zip', path: module.path, version: module.version }
    const bytes = zip.length
    const asked = { module, asked: { kind: 'upstream' }, outcome: 'gave', error: undefined, bytes }
    expect(world.events).toEqual([
      { kind: 'upstream-chosen', what: 'zip', module, why: 'no-peers' },
      { kind: 'zip-asked', ...asked, tookMs: 30 },
      { kind: 'committed', module, source, bytes },
      { kind: 'answered', ...request, source, bytes, tookMs: 30 },
      { kind: 'answered', ...request, source: { kind: 'store' }, bytes, tookMs: 0 },
    ])
  })

  test('a failure is told with its error', async () => {
    const world = new World()
    world.upstream.fault = 'down'
    const error = await world.failure(world.fill.list(path, patient))
    const told = { kind: 'failed', what: 'list', path, version: undefined, error, tookMs: 0 }
    expect(world.events).toEqual([told])
  })
})

describe('closing', () => {
  test('ends every wait and leaves nothing behind', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release).fault = 'stall-body'
    world.upstream.fault = 'stall'
    const waits = [
      world.fill.zip(release.module, patient),
      world.fill.mod(world.publish('v1.0.1').module, patient),
      world.fill.list(path, patient),
    ].map((wait) => world.failure(wait))
    await world.clock.advance(300)
    await world.fill[Symbol.asyncDispose]()
    for (const error of await Promise.all(waits)) expect(error).toBeInstanceOf(FillClosedError)
    expect(world.clock.pending).toBe(0)
    expect(world.store.staged).toBe(0)
  })

  test('waits for a commit that is under way', async () => {
    const disk = Promise.withResolvers<void>()
    const world = new World({
      store: { onStep: (step) => (step === 'index' ? disk.promise : undefined) },
    })
    const release = world.publish()
    await world.run(world.fill.zip(release.module, patient))
    let isClosed = false
    const closing = world.fill[Symbol.asyncDispose]().then(() => {
      isClosed = true
    })
    await world.clock.settle()
    expect(isClosed).toBe(false)
    disk.resolve()
    await closing
    expect(await world.store.findZip(release.module)).toBeDefined()
  })

  test('refuses what is asked after it', async () => {
    const world = new World()
    await world.fill[Symbol.asyncDispose]()
    expect(await world.failure(world.fill.list(path, patient))).toBeInstanceOf(FillClosedError)
  })

  test('a deadline does not cut a commit in half', async () => {
    const disk = Promise.withResolvers<void>()
    const world = new World({
      budgets: { fetchTimeoutMs: 100 },
      store: { onStep: (step) => (step === 'rename' ? disk.promise : undefined) },
    })
    const release = world.publish()
    await world.run(world.fill.zip(release.module, patient))
    await world.clock.advance(1_000)
    expect(world.kinds()).not.toContain('store-failed')
    disk.resolve()
    await world.clock.settle()
    expect(world.kinds()).toContain('committed')
    expect(await world.store.findZip(release.module)).toBeDefined()
  })
})
