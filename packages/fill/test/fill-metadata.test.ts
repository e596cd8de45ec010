import {
  ModuleNotFoundError,
  NoProofError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { fruitlessSearches } from '../src/limits.ts'
import { decode, patient, type Release, text, World } from './support/world.ts'

const pseudo = 'v0.0.0-20240506070809-0123456789ab'

/** Changes what a peer says of a release. */
function tamper(world: World, release: Release, change: object): void {
  const [peer] = world.peers.peers
  const key = formatModuleVersion(release.module)
  const record = peer?.records.get(key)
  if (peer === undefined || record === undefined) throw new Error('no record to change')
  peer.records.set(key, { ...record, ...change })
}

describe('.mod', () => {
  test('comes from upstream, is checked by the database, kept, and pulls no zip', async () => {
    const world = new World()
    const { module, mod, sums } = world.publish()
    const answer = await world.run(world.fill.mod(module, patient))
    expect(answer.value).toEqual(mod)
    expect(answer.source.kind).toBe('upstream')
    expect(world.upstream.asked).toEqual(['mod example.com/mod@v1.0.0'])
    const record = await world.store.findRecord(module)
    expect(record?.mod).toEqual({ bytes: mod, hash: sums.mod, proof: sums.proof })
    expect((await world.run(world.fill.mod(module, patient))).source).toEqual({
      kind: 'store',
      level: 'memory',
    })
  })

  test('of a member of another site is told to have come from there', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('away', release).far = { site: 'hq', rttMs: 40, bytesPerSecond: undefined }
    const mod = await world.run(world.fill.mod(release.module, patient))
    expect(mod.source).toEqual({ kind: 'peer', peer: 'away', isFar: true })
  })

  test('one message of a peer answers .mod and .info, and nobody else is asked', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release)
    const mod = await world.run(world.fill.mod(release.module, patient))
    expect(mod).toEqual({ value: release.mod, source: { kind: 'peer', peer: 'a' } })
    const info = await world.run(world.fill.info(release.module, patient))
    expect(info).toEqual({ value: release.info, source: { kind: 'store' } })
    expect(world.peers.asked).toEqual(['records'])
    expect(world.peers.peers[0]?.asked).toBe(0)
    expect(world.upstream.asked).toEqual([])
    expect(world.db.lookups).toBe(0)
  })

  test('is answered before the disk has it, and once only', async () => {
    const disk = Promise.withResolvers<void>()
    const world = new World({ store: { onStep: () => disk.promise } })
    const release = world.publish()
    expect((await world.run(world.fill.mod(release.module, patient))).value).toEqual(release.mod)
    const again = await world.run(world.fill.mod(release.module, patient))
    expect(again.source).toEqual({ kind: 'store', level: 'memory' })
    expect(world.upstream.asked).toHaveLength(1)
    disk.resolve()
    await world.clock.settle()
    expect((await world.store.findRecord(release.module))?.mod?.bytes).toEqual(release.mod)
  })

  test('is answered by a node whose disk is full, and told', async () => {
    const full = new Error('no space left')
    const world = new World({ store: { onStep: () => Promise.reject(full) } })
    const { module, mod } = world.publish()
    expect((await world.run(world.fill.mod(module, patient))).value).toEqual(mod)
    await world.clock.settle()
    expect(world.events).toContainEqual({ kind: 'store-failed', module, error: full })
  })

  test('a peer that changed it is blamed, and the next one answers', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    world.holder('liar', release)
    tamper(world, release, { mod: text('module example.com/evil\n') })
    world.holder('honest', release).delayMs = 40
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer).toEqual({ value: release.mod, source: { kind: 'peer', peer: 'honest' } })
    expect(world.blamed()).toEqual(['liar'])
  })

  test('changed by upstream it is refused, not kept, and heals', async () => {
    const world = new World()
    const release = world.publish()
    world.upstream.publish(release.module, { mod: text('module example.com/evil\n') })
    const error = await world.failure(world.fill.mod(release.module, patient))
    expect(error).toBeInstanceOf(UpstreamRefusedError)
    expect(error).toMatchObject({ expected: release.sums.mod })
    expect(world.kinds()).toContain('upstream-refused')
    expect(await world.store.findRecord(release.module)).toBeUndefined()
    world.upstream.publish(release.module, { mod: release.mod })
    expect((await world.run(world.fill.mod(release.module, patient))).value).toEqual(release.mod)
  })

  test('changed by upstream, a slower peer still answers', async () => {
    const world = new World()
    const release = world.publish()
    world.upstream.publish(release.module, { mod: text('module example.com/evil\n') })
    world.holder('a', release).delayMs = 100
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
  })

  test('without any proof it is not given, though upstream has it', async () => {
    const world = new World()
    const { module } = world.publish()
    world.db.fault = 'down'
    expect(await world.failure(world.fill.mod(module, patient))).toBeInstanceOf(NoProofError)
    expect(await world.store.findRecord(module)).toBeUndefined()
  })

  test('of a private module it is upstream that is believed', async () => {
    const world = new World({ isPrivate: () => true })
    const release = world.publish()
    world.holder('a', release)
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect((await world.store.findRecord(release.module))?.mod?.proof).toEqual({ kind: 'upstream' })
    expect(world.peers.asked).toEqual([])
    expect(world.db.lookups).toBe(0)
  })

  test('upstream dead and no peer: unavailable; upstream off: not found', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.fault = 'down'
    const dead = await world.failure(world.fill.mod(module, patient))
    expect(dead).toBeInstanceOf(UpstreamUnavailableError)
    world.upstream.isOn = false
    const off = await world.failure(world.fill.mod(module, patient))
    expect(off).toBeInstanceOf(ModuleNotFoundError)
  })

  test('a silent peer costs a miss the head start only', async () => {
    const world = new World()
    const { module } = world.publish()
    world.peers.add('a').isSilent = true
    await world.run(world.fill.mod(module, patient))
    expect(world.clock.monotonicMs()).toBe(20)
  })

  test('peers that knew nothing for a while cost nothing, until one knows something', async () => {
    const world = new World()
    const peer = world.peers.add('a')
    for (let n = 0; n < fruitlessSearches; n++) {
      await world.run(world.fill.mod(world.publish(`v1.0.${n}`).module, patient))
    }
    peer.isSilent = true
    const before = world.clock.monotonicMs()
    await world.run(world.fill.mod(world.publish('v2.0.0+incompatible').module, patient))
    expect(world.clock.monotonicMs()).toBe(before)
  })

  test('a silent peer delays a "no" of upstream by a have-query only', async () => {
    const world = new World()
    const { module } = world.release()
    world.peers.add('a').isSilent = true
    expect(await world.failure(world.fill.mod(module, patient))).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(150)
  })
})

describe('.info', () => {
  test('of upstream needs no proof, but the version asked for', async () => {
    const world = new World()
    const release = world.publish()
    world.db.fault = 'down'
    const answer = await world.run(world.fill.info(release.module, patient))
    expect(answer.value).toEqual(release.info)
    const other = world.publish('v1.1.0')
    world.upstream.publish(other.module, { info: release.info })
    const error = await world.failure(world.fill.info(other.module, patient))
    expect(error).toBeInstanceOf(UpstreamRefusedError)
    expect(error).toMatchObject({ expected: 'version v1.1.0', actual: 'version v1.0.0' })
  })

  test('a login page of upstream is refused', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.publish(module, { info: text('<html>please log in</html>') })
    const error = await world.failure(world.fill.info(module, patient))
    expect(error).toBeInstanceOf(UpstreamRefusedError)
  })

  test('of a peer is not taken without a proof that the version exists', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    world.holder('liar', release)
    tamper(world, release, { record: undefined })
    world.db.fault = 'down'
    const error = await world.failure(world.fill.info(release.module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
  })

  const wrong: [string, string, string][] = [
    ['another version', 'v1.0.0', '{"Version":"v1.0.1"}'],
    ['no JSON', 'v1.0.0', 'Version: v1.0.0'],
    ['a time that is none', 'v1.0.0', '{"Version":"v1.0.0","Time":"yesterday"}'],
    ['another time than its name', pseudo, `{"Version":"${pseudo}","Time":"2024-05-06T07:08:10Z"}`],
    ['no time where the name has one', pseudo, `{"Version":"${pseudo}"}`],
  ]
  test.for(wrong)(
    'a peer that sends %s is blamed, and upstream answers',
    async ([, version, info]) => {
      const world = new World()
      const release = world.publish(version)
      world.holder('liar', release)
      tamper(world, release, { info: text(info) })
      const answer = await world.run(world.fill.info(release.module, patient))
      expect(answer.source.kind).toBe('upstream')
      expect(decode(answer.value)).toBe(decode(release.info))
      expect(world.blamed()).toEqual(['liar'])
    },
  )

  test('of a pseudo-version is taken from a peer when its time is the one in the name', async () => {
    const world = new World()
    const release = world.release(pseudo)
    world.holder('a', release)
    const answer = await world.run(world.fill.info(release.module, patient))
    expect(answer).toEqual({ value: release.info, source: { kind: 'peer', peer: 'a' } })
  })
})

describe('sums', () => {
  test('come from a peer, and what came along is kept', async () => {
    const world = new World()
    const release = world.release()
    world.holder('a', release)
    const sums = await world.run(world.fill.sums(release.module, patient))
    expect(sums).toMatchObject({ zip: release.sums.zip, mod: release.sums.mod })
    expect(world.db.lookups).toBe(0)
    await world.clock.settle()
    expect((await world.store.findRecord(release.module))?.mod?.bytes).toEqual(release.mod)
  })

  test('come from the database when peers do not answer', async () => {
    const world = new World()
    const { module } = world.release()
    world.peers.add('a').isSilent = true
    await world.run(world.fill.sums(module, patient))
    expect(world.clock.monotonicMs()).toBe(20)
  })

  test('that a liar forged are blamed on it', async () => {
    const world = new World()
    world.db.fault = 'down'
    const release = world.release()
    world.holder('liar', release)
    tamper(world, release, { record: { ...release.sums.record, head: 'signed by me' } })
    const error = await world.failure(world.fill.sums(release.module, patient))
    expect(error).toBeInstanceOf(NoProofError)
    expect(world.blamed()).toEqual(['liar'])
  })

  test('of a private path are never asked for', async () => {
    const world = new World({ isPrivate: () => true })
    const { module } = world.release()
    expect(await world.failure(world.fill.sums(module, patient))).toBeInstanceOf(NoProofError)
    expect(world.db.lookups).toBe(0)
  })
})

describe('a cold build', () => {
  test('costs peers a question per version at first, and then next to none', async () => {
    const world = new World()
    world.peers.add('knows nothing')
    for (let n = 0; n < 100; n++) {
      const { module } = world.publish(`v1.${n}.0`)
      await world.run(world.fill.info(module, patient))
      await world.run(world.fill.mod(module, patient))
    }
    const searches = world.peers.asked.filter((what) => what === 'records').length
    expect(searches).toBeGreaterThanOrEqual(fruitlessSearches)
    expect(searches).toBeLessThan(fruitlessSearches + 30)
  })

  test('still hears peers when upstream is late', async () => {
    const world = new World()
    const peer = world.peers.add('a')
    for (let n = 0; n < 50; n++)
      await world.run(world.fill.mod(world.publish(`v1.${n}.0`).module, patient))
    const release = world.release('v2.0.0+incompatible')
    world.holder(peer.id, release)
    world.upstream.fault = 'stall'
    world.db.fault = 'stall'
    const startedMs = world.clock.monotonicMs()
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(300)
  })
})
