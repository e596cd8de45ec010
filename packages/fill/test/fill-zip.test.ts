import {
  ModuleNotFoundError,
  NoProofError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import { brokenZip, type PeerFault } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { bytesOf, patient, World } from './support/world.ts'

describe('the happy ways', () => {
  test('alone, a zip comes from upstream, is verified by the database and kept', async () => {
    const world = new World()
    const { module, zip, sums } = world.publish()
    const answer = await world.run(world.fill.zip(module, patient))
    expect(answer.source).toEqual({ kind: 'upstream', from: world.upstream.from })
    expect(answer.value.proof).toEqual(sums.proof)
    expect(await bytesOf(answer.value)).toEqual(zip)
    const again = await world.run(world.fill.zip(module, patient))
    expect(again.source).toEqual({ kind: 'store' })
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('alone, upstream is asked at once and not after the database', async () => {
    const world = new World()
    const { module } = world.publish()
    world.db.delayMs = 400
    world.upstream.delayMs = 400
    await world.run(world.fill.zip(module, patient))
    expect(world.clock.monotonicMs()).toBe(400)
  })

  test('a holder in the inventory delivers, and upstream is never asked', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    expect(await bytesOf(answer.value)).toEqual(release.zip)
    expect(world.upstream.asked).toEqual([])
  })

  test('a record from a peer spares the database', async () => {
    const world = new World()
    const release = world.release()
    world.holder('a', release)
    await world.run(world.fill.zip(release.module, patient))
    expect(world.db.lookups).toBe(0)
  })

  test('what came along with the record is kept', async () => {
    const world = new World()
    const release = world.release()
    world.holder('a', release)
    await world.run(world.fill.zip(release.module, patient))
    const record = await world.store.findRecord(release.module)
    expect(record?.mod?.bytes).toEqual(release.mod)
    expect(record?.info).toEqual({ bytes: release.info, from: 'peer' })
  })

  test.for(['have', 'dht'] as const)(
    'a holder found by %s delivers without upstream',
    async (via) => {
      const world = new World()
      world.upstream.isOn = false
      const release = world.release()
      world.db.learn(release.module, release.sums)
      const peer = world.holder('a', release)
      Object.assign(peer, { via, rttMs: undefined, delayMs: 700 })
      const answer = await world.run(world.fill.zip(release.module, patient))
      expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    },
  )

  test('equally good holders share the load', async () => {
    const asked = new Set<string>()
    for (const turn of [0, 0.4, 0.9]) {
      const world = new World({ random: () => turn })
      const release = world.release()
      for (const id of ['a', 'b', 'c']) world.holder(id, release)
      const { source } = await world.run(world.fill.zip(release.module, patient))
      if (source.kind === 'peer') asked.add(source.peer)
    }
    expect([...asked].sort()).toEqual(['a', 'b', 'c'])
  })

  test('a body that upstream begins anew is not two bodies', async () => {
    const world = new World()
    const { module, zip } = world.publish()
    world.upstream.restartsBodies = true
    const answer = await world.run(world.fill.zip(module, patient))
    expect(await bytesOf(answer.value)).toEqual(zip)
  })
})

describe('budgets', () => {
  test('with no holder anywhere the mesh costs a miss no more than the head start', async () => {
    const world = new World()
    const release = world.publish()
    Object.assign(world.peers.add('a'), { isSilent: true, via: 'dht' })
    world.db.learn(release.module, release.sums)
    world.upstream.delayMs = 100
    await world.run(world.fill.zip(release.module, patient))
    expect(world.clock.monotonicMs()).toBe(120)
  })

  test('with all inventories known and no holder in them upstream is asked at once', async () => {
    const world = new World()
    const release = world.publish()
    world.peers.add('a').isSilent = true
    world.db.learn(release.module, release.sums)
    world.upstream.delayMs = 100
    await world.run(world.fill.zip(release.module, patient))
    expect(world.clock.monotonicMs()).toBe(100)
  })

  test('peers that leave every question open cost the head start twice at most', async () => {
    const world = new World()
    const { module } = world.publish()
    for (const id of ['a', 'b', 'c']) world.peers.add(id).isSilent = true
    world.upstream.delayMs = 100
    world.db.delayMs = 50
    await world.run(world.fill.zip(module, patient))
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(140)
  })

  test('a late first byte brings in the second holder, and its bytes are taken', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release).fault = 'stall-start'
    world.holder('b', release).rttMs = 50
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'b' })
    expect(world.clock.monotonicMs()).toBeLessThan(260)
    expect(world.upstream.asked).toEqual([])
  })

  test('a far holder is given its round trips before another joins', async () => {
    const world = new World()
    const release = world.publish()
    Object.assign(world.holder('a', release), { rttMs: 200, delayMs: 700 })
    world.holder('b', release).rttMs = 300
    world.db.learn(release.module, release.sums)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    expect(world.peers.peers.map((peer) => peer.asked)).toEqual([1, 0])
  })

  test('a lone holder that is late is joined by upstream', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release).fault = 'stall-start'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs()).toBeLessThan(260)
  })

  test('two late holders are joined by upstream when both windows are over', async () => {
    const world = new World()
    const release = world.publish()
    for (const id of ['a', 'b', 'c']) world.holder(id, release).fault = 'stall-start'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs()).toBeLessThan(520)
    expect(world.peers.peers.map((peer) => peer.asked)).toEqual([1, 1, 0])
  })

  test('a row of liars does not hold upstream off for longer than the budget of two', async () => {
    const world = new World()
    const release = world.publish()
    for (let i = 0; i < 9; i++) {
      Object.assign(world.holder(`liar${i}`, release), { fault: 'wrong-bytes', delayMs: 100 })
    }
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs()).toBeLessThan(720)
  })

  test.for(['stall-body', 'hang'] as const)('a body that stops (%s) is given up', async (fault) => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    world.holder('a', release).fault = fault
    world.holder('b', release).rttMs = 50
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'b' })
    expect(world.clock.monotonicMs()).toBeGreaterThanOrEqual(2000)
    expect(world.clock.monotonicMs()).toBeLessThan(2300)
  })

  test('a busy holder is waited for where there is nobody else, however long', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    Object.assign(world.holder('a', release), { fault: 'busy', busyTimes: 20 })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    expect(world.clock.monotonicMs()).toBeGreaterThanOrEqual(40_000)
    expect(world.blamed()).toEqual([])
  })

  test('a busy holder makes another one be asked, and upstream as for one that is late', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('a', release).fault = 'busy'
    world.holder('b', release).rttMs = 50
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'b' })
    expect(world.clock.monotonicMs()).toBeLessThan(260)
    const later = world.publish('v1.1.0')
    world.holder('c', later).fault = 'busy'
    const startedMs = world.clock.monotonicMs()
    const other = await world.run(world.fill.zip(later.module, patient))
    expect(other.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(520)
  })

  test('a holder that is busy for ever is not waited for beyond the deadline', async () => {
    const world = new World({ budgets: { fetchTimeoutMs: 30_000 } })
    world.upstream.isOn = false
    const release = world.release()
    world.holder('a', release).fault = 'busy'
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', timedOut: true })
    expect(world.clock.monotonicMs()).toBe(30_000)
  })

  test('a body that trickles is no progress', async () => {
    const world = new World()
    const release = world.publish('v1.0.0', 'example.com/mod', 1_000_000)
    world.holder('a', release).fault = 'trickle'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs()).toBeLessThan(4000)
  })

  test('everything hangs and ignores its signal: the deadline answers', async () => {
    const world = new World({ budgets: { fetchTimeoutMs: 30_000 } })
    const release = world.publish()
    world.holder('a', release).fault = 'hang'
    world.upstream.fault = 'hang'
    world.db.fault = 'hang'
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', timedOut: true })
    expect(world.clock.monotonicMs()).toBe(30_000)
  })
})

describe('liars', () => {
  const lies: [PeerFault, boolean][] = [
    ['wrong-bytes', true],
    ['garbage', true],
    ['short-body', false],
    ['refuse', false],
  ]
  test.for(lies)('a peer with %s is passed over (blamed: %s)', async ([fault, isBlamed]) => {
    const world = new World()
    const release = world.publish()
    world.holder('bad', release).fault = fault
    world.holder('good', release).rttMs = 50
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'good' })
    expect(await bytesOf(answer.value)).toEqual(release.zip)
    expect(world.blamed()).toEqual(isBlamed ? ['bad'] : [])
    expect(world.kinds().filter((kind) => kind === 'peer-blamed')).toHaveLength(isBlamed ? 1 : 0)
  })

  test('a zip that breaks the rules is blamed on its sender', async () => {
    const world = new World()
    const release = world.publish()
    world.holder('bad', { ...release, zip: brokenZip })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.blamed()).toEqual(['bad'])
  })

  test('a zip without end is cut off and blamed on its sender', async () => {
    const world = new World({ store: { maxZipBytes: 5000 } })
    const release = world.publish()
    world.holder('bad', { ...release, zip: new Uint8Array(20_000) })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.blamed()).toEqual(['bad'])
  })

  test('a forged record is blamed and never believed', async () => {
    const world = new World()
    const release = world.publish()
    const forged = { ...release.sums.record, text: 'example.com/mod v1.0.0 h1:forged=\n' }
    const sums = { ...release.sums, record: forged }
    world.holder('liar', { ...release, sums, zip: new Uint8Array(10) })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(await bytesOf(answer.value)).toEqual(release.zip)
    expect(world.blamed()).toContain('liar')
  })

  test("another module version's record is blamed", async () => {
    const world = new World()
    const release = world.publish()
    const other = world.release('v1.0.1')
    const liar = world.holder('liar', release, { withZip: false })
    const key = 'example.com/mod@v1.0.0'
    liar.records.set(key, { ...liar.records.get(key)!, module: other.module })
    await world.run(world.fill.zip(release.module, patient))
    expect(world.blamed()).toEqual(['liar'])
  })

  test('with nobody but a liar nothing is answered and nothing kept', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    world.holder('liar', release).fault = 'wrong-bytes'
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toBeInstanceOf(UpstreamUnavailableError)
    expect(await world.store.findZip(release.module)).toBeUndefined()
  })

  test('a peer is asked once in one fill', async () => {
    const world = new World()
    world.upstream.isOn = false
    const release = world.release()
    const liar = world.holder('liar', release)
    liar.fault = 'wrong-bytes'
    await world.failure(world.fill.zip(release.module, patient))
    expect(liar.asked).toBe(1)
  })
})

describe('wrong bytes from upstream', () => {
  test('end the request with both hashes, are not kept, and heal when upstream heals', async () => {
    const world = new World()
    const release = world.publish()
    world.upstream.publish(release.module, { zip: new Uint8Array(1000) })
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toBeInstanceOf(UpstreamRefusedError)
    expect(error).toMatchObject({ expected: release.sums.zip, from: world.upstream.from })
    expect(error.message).toContain(String(release.sums.zip))
    expect(world.kinds()).toContain('upstream-refused')
    expect(await world.store.findZip(release.module)).toBeUndefined()
    world.upstream.publish(release.module, { zip: release.zip })
    const healed = await world.run(world.fill.zip(release.module, patient))
    expect(await bytesOf(healed.value)).toEqual(release.zip)
  })

  test('do not keep a peer from delivering', async () => {
    const world = new World()
    const release = world.publish()
    world.upstream.publish(release.module, { zip: new Uint8Array(1000) })
    world.db.learn(release.module, release.sums)
    Object.assign(world.holder('a', release), { via: 'dht', delayMs: 300 })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'a' })
    expect(world.kinds()).toContain('upstream-refused')
  })
})

describe('who could be asked decides the error', () => {
  test('nobody to ask at all: not found, at once', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'stall'
    const { module } = world.release()
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBe(0)
  })

  test('upstream off and no peer has it: not found, though the database is out of reach', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'down'
    world.peers.add('a')
    const { module } = world.release()
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
  })

  test('upstream off and only peers that do not answer: not found within their budget', async () => {
    const world = new World()
    world.upstream.isOn = false
    world.db.fault = 'down'
    world.peers.add('a').isSilent = true
    const { module } = world.release()
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(5000)
  })

  test('upstream off and a peer that may hold the proven zip does not say: no "not found"', async () => {
    const world = new World()
    const { module } = world.publish()
    await world.run(world.fill.sums(module, patient))
    world.upstream.isOn = false
    Object.assign(world.peers.add('a'), { via: 'have', isSilent: true })
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(UpstreamUnavailableError)
    expect(error).toMatchObject({ timedOut: true })
  })

  test('upstream says no: not found', async () => {
    const world = new World()
    const { module } = world.release()
    expect(await world.failure(world.fill.zip(module, patient))).toBeInstanceOf(ModuleNotFoundError)
  })

  test('upstream says no: a silent peer delays that by the time of a have-query only', async () => {
    const world = new World()
    const { module } = world.release()
    world.peers.add('a').isSilent = true
    expect(await world.failure(world.fill.zip(module, patient))).toBeInstanceOf(ModuleNotFoundError)
    expect(world.clock.monotonicMs()).toBeLessThanOrEqual(200)
  })

  test('the database does not know it: not found', async () => {
    const world = new World()
    const { module, zip, mod } = new World().release()
    world.upstream.publish(module, { zip, mod })
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
    expect(await world.store.findZip(module)).toBeUndefined()
  })

  test('an upstream that is down is no "not found"', async () => {
    const world = new World()
    const { module } = world.publish()
    world.upstream.fault = 'down'
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(UpstreamUnavailableError)
  })

  test('no verified record and the database down: no proof, though upstream has the bytes', async () => {
    const world = new World()
    const { module } = world.publish()
    world.db.fault = 'down'
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(NoProofError)
    expect(await world.store.findZip(module)).toBeUndefined()
  })

  test('a forked log gives no new trust', async () => {
    const world = new World()
    const { module } = world.publish()
    world.db.fault = 'fork'
    const error = await world.failure(world.fill.zip(module, patient))
    expect(error).toBeInstanceOf(NoProofError)
    expect(error.cause).toMatchObject({ code: 'SUMDB_FORK' })
  })

  test('a disk that fails is the error, and nobody is blamed', async () => {
    const full = new Error('no space left')
    const world = new World({
      store: { onStep: () => Promise.reject(full) },
    })
    const release = world.publish()
    world.holder('a', release)
    expect(await world.failure(world.fill.zip(release.module, patient))).toBe(full)
    expect(world.blamed()).toEqual([])
  })
})

describe('paths that cannot be proven', () => {
  test('a private zip comes from upstream only, and neither peers nor database hear of it', async () => {
    const world = new World({ isPrivate: () => true })
    const release = world.publish()
    world.holder('a', release)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(answer.value.proof).toEqual({ kind: 'upstream' })
    expect(world.peers.asked).toEqual([])
    expect(world.db.lookups).toBe(0)
  })

  test('with the database off the same holds', async () => {
    const world = new World()
    world.db.isOn = false
    const release = world.publish()
    world.holder('a', release)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.value.proof).toEqual({ kind: 'upstream' })
    expect(world.peers.asked).toEqual([])
  })

  test('a go.sum that pins a private zip is enforced', async () => {
    const world = new World({ isPrivate: () => true })
    const release = world.publish()
    world.db.learn(release.module, { ...release.sums, proof: { kind: 'go-sum' } })
    world.upstream.publish(release.module, { zip: new Uint8Array(7) })
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toBeInstanceOf(UpstreamRefusedError)
  })

  test('a private zip with a peer only is not found', async () => {
    const world = new World({ isPrivate: () => true })
    world.upstream.isOn = false
    const release = world.release()
    world.holder('a', release)
    const error = await world.failure(world.fill.zip(release.module, patient))
    expect(error).toBeInstanceOf(ModuleNotFoundError)
  })
})
