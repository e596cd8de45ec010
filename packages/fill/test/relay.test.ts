import { type FillEvent, type OwnerAnswer, type OwnerOutcome, PeerError } from '@modmesh/fill'
import type { FakePeer } from '@modmesh/fill/twins'
import { formatModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { maxInlineZipBytes, minComingBytes } from '../src/limits.ts'
import { bytesOf, patient, type Release, text, World } from './support/world.ts'

/** A world in which one peer owns every key. */
function owned(init: ConstructorParameters<typeof World>[0] = {}): {
  readonly world: World
  readonly owner: FakePeer
} {
  const world = new World(init)
  const owner = world.peers.add('owner')
  owner.canFetch = true
  world.peers.owner = (_key, { isTrusted }) => (isTrusted('owner') ? 'owner' : undefined)
  return { world, owner }
}

function outcomes(world: World): OwnerOutcome[] {
  return world.events.flatMap((event) => (event.kind === 'owner-asked' ? [event.outcome] : []))
}

/** What an owner says that has everything of a release but is asked only now. */
function has(release: Release, changed: object = {}): () => Promise<OwnerAnswer> {
  const { module, info, mod, sums } = release
  const record = { module, info, mod, record: sums.record, holdsZip: false, ...changed }
  return async () => ({ kind: 'record', record })
}

describe('with another owner', () => {
  test('one message to it answers, and nobody else hears of it', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = has(release)
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer).toEqual({
      value: release.mod,
      source: { kind: 'peer', peer: 'owner', via: 'owner' },
    })
    expect(owner.ownerAsked).toEqual(['mod example.com/mod@v1.0.0'])
    expect(world.peers.asked).toEqual([])
    expect(world.upstream.asked).toEqual([])
    expect(world.db.lookups).toBe(0)
    // What came along is not asked for again.
    expect((await world.run(world.fill.info(release.module, patient))).value).toEqual(release.info)
    const sums = await world.run(world.fill.sums(release.module, patient))
    expect(sums.zip).toBe(release.sums.zip)
    expect(owner.ownerAsked).toHaveLength(1)
  })

  test('a zip is fetched from it once it says that it is there', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = async (question) => {
      const holdsZip = question.what === 'zip'
      const { zip } = release.sums
      if (holdsZip && zip !== undefined) owner.zips.set(zip, release.zip)
      return await has(release, { holdsZip })()
    }
    owner.via = 'dht'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(await bytesOf(answer.value)).toEqual(release.zip)
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
    expect(owner.ownerAsked).toEqual(['sums example.com/mod@v1.0.0', 'zip example.com/mod@v1.0.0'])
    expect(world.upstream.asked).toEqual([])
  })

  test('a small zip that comes with the answer is verified as any other', async () => {
    const { world, owner } = owned()
    const releases = ['v1.0.0', 'v1.1.0'].map((version) => world.publish(version))
    const [good, bad] = releases
    if (good === undefined || bad === undefined) throw new Error('no release')
    owner.owns = async (question) => {
      const isGood = 'module' in question && question.module.version === 'v1.0.0'
      const answer = await has(isGood ? good : bad)()
      return question.what === 'zip' ? { ...answer, zip: good.zip } : answer
    }
    const answer = await world.run(world.fill.zip(good.module, patient))
    expect(await bytesOf(answer.value)).toEqual(good.zip)
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
    const other = await world.run(world.fill.zip(bad.module, patient))
    expect(await bytesOf(other.value)).toEqual(bad.zip)
    expect(other.source.kind).toBe('upstream')
    expect(world.blamed()).toEqual(['owner'])
  })

  test('a holder by inventory gives a zip before the owner is asked for it', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    world.holder('near', release)
    owner.owns = has(release)
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'near' })
    expect(owner.ownerAsked).toEqual(['sums example.com/mod@v1.0.0'])
  })

  test('equal requests ask it once', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = has(release)
    const all = Array.from({ length: 20 }, () => world.fill.mod(release.module, patient))
    await world.run(Promise.all(all))
    expect(owner.ownerAsked).toHaveLength(1)
  })

  test('it works on for the others when one client goes away', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = has(release)
    owner.delayMs = 100
    const client = new AbortController()
    const gone = world.fill.mod(release.module, { signal: client.signal })
    const stays = world.fill.mod(release.module, patient)
    client.abort(new Error('gone'))
    await expect(gone).rejects.toThrow('gone')
    expect((await world.run(stays)).value).toEqual(release.mod)
    expect(outcomes(world)).toEqual(['answered'])
  })

  test('private and unprovable paths never reach it', async () => {
    const { world, owner } = owned({ isPrivate: () => true })
    const release = world.publish()
    await world.run(world.fill.zip(release.module, patient))
    await world.run(world.fill.mod(release.module, patient))
    expect(owner.ownerAsked).toEqual([])
  })
})

describe('a zip that the owner is still receiving', () => {
  /** An owner that receives for three seconds, and streams what it has meanwhile. */
  function receiving(sent: (zip: Uint8Array) => AsyncIterable<Uint8Array>): {
    readonly world: World
    readonly owner: FakePeer
    readonly release: Release
  } {
    const { world, owner } = owned()
    const release = world.publish('v1.0.0', 'example.com/large', 2_000_000)
    owner.via = 'dht'
    owner.noticeBytes = minComingBytes
    owner.coming = () => sent(release.zip)
    owner.owns = async (question) => {
      if (question.what !== 'zip') return await has(release)()
      await world.clock.sleep(3_000, patient)
      const { zip } = release.sums
      if (zip !== undefined) owner.zips.set(zip, release.zip)
      return await has(release, { holdsZip: true })()
    }
    return { world, owner, release }
  }

  test('is streamed, and not fetched once more when it is there', async () => {
    const { world, owner, release } = receiving(async function* (zip) {
      yield zip.subarray(0, 900_000)
      yield zip.subarray(900_000)
    })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(Buffer.compare(await bytesOf(answer.value), release.zip)).toBe(0)
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
    expect(owner.asked).toBe(0)
  })

  test('is fetched when it is there, where the stream broke off', async () => {
    const { world, owner, release } = receiving(async function* (zip) {
      yield zip.subarray(0, 900_000)
      throw new PeerError('owner', 'began anew', { fault: 'unable' })
    })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(Buffer.compare(await bytesOf(answer.value), release.zip)).toBe(0)
    expect(owner.asked).toBe(1)
    expect(world.upstream.asked).toEqual([])
  })

  test('blames nobody when it is wrong: it may be upstream that sent it so', async () => {
    const { world, owner, release } = receiving(async function* (zip) {
      yield zip.toReversed()
    })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(Buffer.compare(await bytesOf(answer.value), release.zip)).toBe(0)
    expect(owner.asked).toBe(1)
    expect(world.blamed()).toEqual([])
  })

  test('is used although the owner dies before it says that it is there', async () => {
    const { world, owner, release } = receiving(async function* (zip) {
      yield zip
    })
    const { owns } = owner
    owner.owns = async (question, peer) => {
      if (question.what !== 'zip') return await owns(question, peer)
      await world.clock.sleep(1_000, patient)
      throw new PeerError('owner', 'went away', { fault: 'unable' })
    }
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(Buffer.compare(await bytesOf(answer.value), release.zip)).toBe(0)
    expect(world.upstream.asked).toEqual([])
    expect(outcomes(world)).toEqual(['answered', 'gone'])
  })

  test('is given to others as it comes, and to its end', async () => {
    const { world } = owned()
    const { module, zip } = world.publish('v1.0.0', 'example.com/large', 2_000_000)
    world.upstream.bodyMs = 2_000
    const own = world.fill.answerSite({ what: 'zip', module }, { peer: 'asker', ...patient })
    const got: Uint8Array[] = []
    const stream = async (): Promise<void> => {
      for (let body: number | undefined; ; ) {
        const offset = got.reduce((sum, chunk) => sum + chunk.length, 0)
        const part = await world.fill.sitePart(module, { body, offset }, patient)
        if (part === undefined) throw new Error('no part')
        for await (const chunk of part.chunks) got.push(chunk.slice())
        if (part.isLast) return
        body = part.body
      }
    }
    await world.run(world.clock.sleep(500, patient))
    expect(world.fill.siteNotice({ what: 'zip', module }).bytes).toBe(1_000_000)
    await world.run(Promise.all([own, stream()]))
    expect(Buffer.compare(Buffer.concat(got), zip)).toBe(0)
    expect(world.upstream.asked.filter((what) => what.startsWith('zip'))).toHaveLength(1)
  })
})

describe('we help ourselves', () => {
  const nothing: OwnerAnswer = { kind: 'nothing' }
  const refused = (why: 'busy' | 'declined' | 'failed'): OwnerAnswer => ({ kind: 'refused', why })

  const cases: [string, (owner: FakePeer, release: Release) => void, OwnerOutcome, number][] = [
    ['it says that nobody has it', (owner) => (owner.owns = async () => nothing), 'nothing', 100],
    ['it is busy', (owner) => (owner.owns = async () => refused('busy')), 'busy', 100],
    ['it declines', (owner) => (owner.owns = async () => refused('declined')), 'declined', 100],
    ['it fails', (owner) => (owner.owns = async () => refused('failed')), 'failed', 100],
    ['it is silent', (owner) => (owner.isSilent = true), 'silent', 2_400],
    [
      'it works without end and without a byte',
      (owner) => (owner.owns = async () => undefined),
      'slow',
      66_000,
    ],
    [
      'it sends another go.mod',
      (owner, release) => (owner.owns = has(release, { mod: text('module evil\n') })),
      'lied',
      100,
    ],
    [
      'its record does not verify',
      (owner, release) =>
        (owner.owns = has(release, { record: { ...release.sums.record, text: 'forged\n' } })),
      'lied',
      100,
    ],
    [
      'it sends no record',
      (owner, release) => (owner.owns = has(release, { record: undefined })),
      'failed',
      100,
    ],
    [
      'the part is not in its answer',
      (owner, release) => (owner.owns = has(release, { mod: undefined })),
      'failed',
      100,
    ],
  ]
  test.for(cases)('when %s', async ([, spoil, outcome, withinMs]) => {
    const { world, owner } = owned()
    const release = world.publish()
    spoil(owner, release)
    const startedMs = world.clock.monotonicMs()
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.value).toEqual(release.mod)
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(withinMs)
    expect(outcomes(world)).toEqual([outcome])
    expect(world.blamed()).toEqual(outcome === 'lied' ? ['owner'] : [])
  })

  test('a silent owner costs one wait, not one per module', async () => {
    const { world, owner } = owned()
    owner.isSilent = true
    const releases = Array.from({ length: 20 }, (_, n) => world.publish(`v1.${n}.0`))
    const startedMs = world.clock.monotonicMs()
    for (const { module } of releases) await world.run(world.fill.mod(module, patient))
    expect(owner.ownerAsked).toHaveLength(1)
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(2_400 + 20 * 100)
  })

  test('not before the next owner was asked, where the first one failed', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.isSilent = true
    const next = world.peers.add('next')
    next.owns = has(release)
    world.peers.owner = (_key, { isTrusted }) => (isTrusted('owner') ? 'owner' : 'next')
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'next', via: 'owner' })
    expect(outcomes(world)).toEqual(['silent', 'answered'])
  })

  test('although the one that holds it is busy, and the owner declines', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = async () => ({ kind: 'refused', why: 'declined' })
    world.holder('a', release).fault = 'busy'
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs()).toBeLessThan(5_000)
  })

  test('where the owner has it and gives too much to others: it is asked for the next one', async () => {
    const { world, owner } = owned()
    const releases = ['v1.0.0', 'v1.1.0'].map((version) => world.publish(version))
    owner.fault = 'busy'
    for (const release of releases) {
      owner.owns = async (question) => {
        const { zip } = release.sums
        if (zip !== undefined) owner.zips.set(zip, release.zip)
        return await has(release, { holdsZip: question.what === 'zip' })()
      }
      const answer = await world.run(world.fill.zip(release.module, patient))
      expect(answer.source.kind).toBe('upstream')
    }
    const [first, second] = outcomes(world).filter((outcome) => outcome !== 'answered')
    expect([first, second]).toEqual(['busy', 'busy'])
    expect(world.blamed()).toEqual([])
  })

  test('after two owners that failed', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.isSilent = true
    for (const id of ['second', 'third']) world.peers.add(id).isSilent = true
    const ids = ['owner', 'second', 'third']
    world.peers.owner = (_key, { isTrusted }) => ids.find(isTrusted)
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(outcomes(world)).toEqual(['silent', 'silent'])
  })

  test('a zip that does not verify blames it, and upstream is asked', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.holds(release.module, { zip: { hash: release.sums.zip ?? failed(), bytes: release.zip } })
    owner.via = 'dht'
    owner.fault = 'wrong-bytes'
    owner.owns = has(release, { holdsZip: true })
    const answer = await world.run(world.fill.zip(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    // The twin offers it again as a holder in the DHT; a mesh avoids it.
    expect(new Set(world.blamed())).toEqual(new Set(['owner']))
    expect(outcomes(world)).toEqual(['answered', 'lied'])
  })

  test('an owner whose bytes keep coming is waited for longer than one without', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = async (_question, self) => {
      for (let n = 0; n < 30; n++) {
        await world.clock.sleep(4_000, patient)
        self.noticeBytes += 1_000
      }
      return await has(release)()
    }
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
  })

  test('an owner to whom a zip is told in parts is waited for as long as something comes', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    owner.owns = async (_question, self) => {
      for (let n = 1; n <= 30; n++) {
        await world.clock.sleep(4_000, patient)
        self.noticeMoves = n
      }
      return await has(release)()
    }
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
  })

  test('an owner that works for half of all the time there is gets company', async () => {
    const { world, owner } = owned({ budgets: { fetchTimeoutMs: 60_000 } })
    const release = world.publish()
    owner.owns = async () => undefined
    const startedMs = world.clock.monotonicMs()
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source.kind).toBe('upstream')
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(31_000)
  })

  test('an owner to whom something still comes then gets none', async () => {
    const { world, owner } = owned({ budgets: { fetchTimeoutMs: 60_000 } })
    const release = world.publish()
    owner.owns = async (_question, self) => {
      for (let n = 1; n <= 10; n++) {
        await world.clock.sleep(4_000, patient)
        self.noticeMoves = n
      }
      return await has(release)()
    }
    const answer = await world.run(world.fill.mod(release.module, patient))
    expect(answer.source).toEqual({ kind: 'peer', peer: 'owner', via: 'owner' })
    expect(world.upstream.asked).toEqual([])
  })
})

describe('as the owner', () => {
  const asker = { peer: 'asker', ...patient }

  test('we answer from upstream, with all that proves it, and ask nobody else to', async () => {
    const { world, owner } = owned()
    const release = world.publish()
    const { module } = release
    const answer = await world.run(world.fill.answerSite({ what: 'mod', module }, asker))
    expect(answer).toMatchObject({
      kind: 'record',
      record: { module, mod: release.mod, record: release.sums.record, holdsZip: false },
    })
    expect(owner.ownerAsked).toEqual([])
    expect(world.upstream.asked).toEqual(['mod example.com/mod@v1.0.0'])
    expect(siteAnswers(world)).toEqual(['mod answered'])
  })

  test('a small zip comes along as soon as it is verified', async () => {
    const disk = Promise.withResolvers<void>()
    const onStep = (step: string): Promise<void> | void =>
      step === 'fsync-file' ? disk.promise : undefined
    const { world } = owned({ store: { onStep } })
    const { module, zip } = world.publish()
    const answer = await world.run(world.fill.answerSite({ what: 'zip', module }, asker))
    expect(answer).toMatchObject({ kind: 'record', zip })
    disk.resolve()
  })

  test('a large zip is told to be there when others can fetch it', async () => {
    const disk = Promise.withResolvers<void>()
    const onStep = (step: string): Promise<void> | void =>
      step === 'fsync-file' ? disk.promise : undefined
    const { world } = owned({ store: { onStep } })
    const { module } = world.publish('v1.0.0', 'example.com/large', maxInlineZipBytes + 1)
    let isAnswered = false
    const answering = world.fill.answerSite({ what: 'zip', module }, asker).then((answer) => {
      isAnswered = true
      return answer
    })
    const own = await world.run(world.fill.zip(module, patient))
    expect(own.value.size).toBe(maxInlineZipBytes + 1)
    expect(isAnswered).toBe(false)
    disk.resolve()
    expect(await world.run(answering)).toMatchObject({ kind: 'record', record: { holdsZip: true } })
    expect(world.upstream.asked.filter((what) => what.startsWith('zip'))).toHaveLength(1)
  })

  test('what upstream does not have is nothing, its trouble is a failure', async () => {
    const { world } = owned()
    const { module } = world.release()
    const question = { what: 'mod', module } as const
    expect(await world.run(world.fill.answerSite(question, asker))).toEqual({ kind: 'nothing' })
    const { world: other } = owned()
    const release = other.publish()
    other.upstream.fault = 'down'
    const failing = other.fill.answerSite({ what: 'mod', module: release.module }, asker)
    expect(await other.run(failing)).toEqual({ kind: 'refused', why: 'failed' })
  })

  test('private paths are declined without a look, and so is what we cannot ask upstream for', async () => {
    const { world } = owned({ isPrivate: () => true })
    const release = world.publish()
    const question = { what: 'zip', module: release.module } as const
    const declined = { kind: 'refused', why: 'declined' }
    expect(await world.run(world.fill.answerSite(question, asker))).toEqual(declined)
    expect(world.upstream.asked).toEqual([])
    const { world: offline } = owned()
    offline.upstream.isOn = false
    expect(await offline.run(offline.fill.answerSite(question, asker))).toEqual(declined)
  })

  test('we go on when the asker goes away', async () => {
    const { world } = owned()
    const { module, mod } = world.publish()
    const gone = new AbortController()
    const options = { peer: 'asker', signal: gone.signal }
    const answering = world.fill.answerSite({ what: 'mod', module }, options)
    await world.clock.settle()
    gone.abort(new Error('link closed'))
    await world.run(answering)
    expect((await world.run(world.fill.mod(module, patient))).value).toEqual(mod)
    expect(world.upstream.asked).toHaveLength(1)
  })

  test('two that take each other for the owner do not wait for each other', async () => {
    const a = owned()
    const b = owned()
    const { module, mod, info, zip } = a.world.publish()
    b.world.publish()
    const link = (from: FakePeer, to: World): void => {
      from.owns = async (question) =>
        'module' in question && formatModuleVersion(question.module) === formatModuleVersion(module)
          ? await to.fill.answerSite({ ...question, module }, asker)
          : undefined
    }
    link(a.owner, b.world)
    link(b.owner, a.world)
    const both = [a.world, b.world].map((world) => world.fill.mod(module, patient))
    let isDone = false
    void Promise.all(both).then(() => {
      isDone = true
    })
    for (let n = 0; n < 200 && !isDone; n++) {
      await a.world.clock.step()
      await b.world.clock.step()
    }
    expect((await Promise.all(both)).map((answer) => answer.value)).toEqual([mod, mod])
    expect(info.length + zip.length).toBeGreaterThan(0)
  })
})

function siteAnswers(world: World): string[] {
  const answers = world.events.filter(
    (event): event is Extract<FillEvent, { kind: 'site-answered' }> =>
      event.kind === 'site-answered',
  )
  return answers.map(({ what, outcome }) => `${what} ${outcome}`)
}

function failed(): never {
  throw new Error('no hash')
}

describe('a large zip that was cut on the way through an owner', () => {
  const large = 3 << 20

  test('goes on where its holder was cut, once the owner declined', async () => {
    const { world, owner } = owned()
    const release = world.publish('v1.0.0', 'example.com/mod', large)
    const a = Object.assign(world.holder('a', release), { fault: 'short-body', endsTimes: 2 })
    owner.owns = async ({ what }) =>
      what === 'sums' ? await has(release)() : { kind: 'refused', why: 'declined' }
    const { source } = await world.run(world.fill.zip(release.module, patient))
    expect(source).toEqual({ kind: 'peer', peer: 'a' })
    expect(owner.ownerAsked.map((asked) => asked.split(' ')[0])).toEqual(['sums', 'zip'])
    expect(a.sent).toBe(large)
    expect(world.upstream.asked).toEqual([])
  })

  test('goes on at another one where the owner itself was cut', async () => {
    const { world, owner } = owned()
    const release = world.publish('v1.0.0', 'example.com/mod', large)
    const b = Object.assign(world.holder('b', release), { via: 'have' })
    const { zip } = release.sums
    owner.via = 'have'
    owner.fault = 'short-body'
    owner.owns = async () => {
      if (zip !== undefined) owner.zips.set(zip, release.zip)
      return await has(release, { holdsZip: true })()
    }
    const { value } = await world.run(world.fill.zip(release.module, patient))
    expect(Buffer.compare(await bytesOf(value), release.zip)).toBe(0)
    expect(owner.sent).toBe(large / 2)
    expect(b.sent).toBe(large / 2)
    expect(world.upstream.asked).toEqual([])
    expect(world.blamed()).toEqual([])
  })

  test('is not kept when nobody goes on with it', async () => {
    const { world, owner } = owned()
    const release = world.publish('v1.0.0', 'example.com/mod', large)
    world.upstream.isOn = false
    Object.assign(world.holder('a', release), { fault: 'short-body' })
    owner.owns = async () => ({ kind: 'refused', why: 'declined' })
    await world.failure(world.fill.zip(release.module, patient))
    expect(world.store.staged).toBe(0)
  })
})
