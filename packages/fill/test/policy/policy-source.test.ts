import type { FakePeer } from '@modmesh/fill/twins'
import { formatModuleVersion, type ModuleVersion, parseVersionInfo } from '@modmesh/module'
import { afterEach, describe, expect, test } from 'vitest'
import type { ModuleSource } from '../../src/module-source.ts'
import { PolicyDeniedError, ValidatorUnavailableError } from '../../src/policy/policy-errors.ts'
import { parsePolicyRule } from '../../src/policy/policy-rule.ts'
import { PolicySource } from '../../src/policy/policy-source.ts'
import type { Validator, ValidatorVerdict } from '../../src/policy/validator.ts'
import { type FirstSeen, VersionTimes } from '../../src/policy/version-times.ts'
import { decode, patient, type Release, text, World } from '../support/world.ts'

const hour = 3_600_000
const day = 24 * hour
const path = 'example.com/mod'

/** First sights in memory, as the node keeps them in a file. */
class MemoryFirstSeen implements FirstSeen {
  readonly noted = new Map<string, number>()

  async see(module: ModuleVersion, nowMs: number): Promise<number> {
    const key = formatModuleVersion(module)
    const ms = this.noted.get(key) ?? nowMs
    this.noted.set(key, ms)
    return ms
  }
}

/** Denies the versions it is told to, and counts what it is asked. */
class ScriptedValidator implements Validator {
  readonly asked: string[] = []
  readonly denied = new Set<string>()
  isDown = false

  async check({ version }: ModuleVersion): Promise<ValidatorVerdict> {
    this.asked.push(version)
    if (this.isDown) throw new ValidatorUnavailableError('the validator is down')
    return this.denied.has(version) ? { kind: 'denied', reason: 'no!' } : { kind: 'allowed' }
  }
}

interface Setting {
  readonly world: World
  readonly source: PolicySource
  readonly firstSeen: MemoryFirstSeen
}

const closing: VersionTimes[] = []
afterEach(async () => {
  for (const times of closing.splice(0)) await times[Symbol.asyncDispose]()
})

function setUp(
  init: {
    readonly rules?: readonly string[]
    readonly minAgeMs?: number
    readonly validator?: Validator
  } = {},
): Setting {
  const world = new World()
  const { clock, store, upstream } = world
  const inner: ModuleSource = world.fill
  const firstSeen = new MemoryFirstSeen()
  const times = new VersionTimes(
    { source: inner, store, upstream, firstSeen, clock },
    { fetchTimeoutMs: 10_000 },
  )
  closing.push(times)
  const { rules = [], minAgeMs = 0, validator } = init
  const source = new PolicySource(
    { source: inner, times, clock, validator },
    {
      policy: { rules: rules.map(parsePolicyRule), minAgeMs },
      onEvent: (event) => world.events.push(event),
    },
  )
  return { world, source, firstSeen }
}

/** A release of upstream that was published so long before the clock's now. */
function publish(world: World, version: string, ageMs: number): Release {
  const release = world.publish(version, path)
  const time = new Date(world.clock.wallMs() - ageMs).toISOString()
  const info = text(JSON.stringify({ Version: version, Time: time }))
  world.upstream.publish(release.module, { info })
  return { ...release, info }
}

function offer(world: World, ...releases: readonly Release[]): void {
  const lines = releases.map(({ module }) => `${module.version}\n`).join('')
  world.upstream.lists.set(path, text(lines))
  const latest = releases.at(-1)
  if (latest !== undefined) world.upstream.latests.set(path, latest.info)
}

async function listOf({ world, source }: Setting, release: Release): Promise<string> {
  return decode((await world.run(source.list(release.module.path, patient))).value)
}

async function latestOf({ world, source }: Setting, release: Release): Promise<string> {
  const { value } = await world.run(source.latest(release.module.path, patient))
  return parseVersionInfo(value).version
}

describe('a rule that denies', () => {
  test('keeps a version back in every form, and nobody is asked for it', async () => {
    const { world, source } = setUp({ rules: [`deny ${path}@v1.0.0 # known bad`] })
    const { module } = world.publish()
    for (const what of ['zip', 'mod', 'info'] as const) {
      const error = await world.failure(source[what](module, patient))
      expect(error).toBeInstanceOf(PolicyDeniedError)
      expect(error.message.split('\n')).toEqual([
        'example.com/mod@v1.0.0: refused by the policy of this node',
        'rule: deny example.com/mod@v1.0.0',
        'reason: known bad',
      ])
    }
    expect(world.upstream.asked).toEqual([])
    expect(world.kinds()).toEqual(['failed', 'failed', 'failed'])
  })

  test('keeps back what is held, too', async () => {
    const { world, source } = setUp({ rules: [`deny ${path}`] })
    const { module } = world.publish()
    await world.run(world.fill.zip(module, patient))
    await world.run(world.fill.mod(module, patient))
    const cachedOnly = { ...patient, cachedOnly: true }
    for (const what of ['zip', 'mod'] as const) {
      const error = await world.failure(source[what](module, cachedOnly))
      expect(error.code).toBe('POLICY')
    }
    expect(source.peek('mod', module.path, module.version)).toBeUndefined()
  })

  test('of a whole path answers lists and queries without asking anybody', async () => {
    const { world, source } = setUp({ rules: ['deny example.com'] })
    const { module } = world.release()
    for (const ask of [
      () => source.list(module.path, patient),
      () => source.latest(module.path, patient),
      () => source.query(module.path, 'main', patient),
    ]) {
      expect((await world.failure(ask())).code).toBe('POLICY')
    }
    expect(world.upstream.asked).toEqual([])
  })

  test('leaves denied versions out of the list, and @latest is the newest allowed one', async () => {
    const setting = setUp({ rules: [`deny ${path}@>=v1.2.0`] })
    const { world } = setting
    const releases = ['v1.0.0', 'v1.1.0', 'v1.1.1-rc.1', 'v1.2.0', 'v1.3.0'].map((version) =>
      world.publish(version, path),
    )
    offer(world, ...releases)
    const [first] = releases
    if (first === undefined) throw new Error('there are releases')
    expect(await listOf(setting, first)).toBe('v1.0.0\nv1.1.0\nv1.1.1-rc.1\n')
    expect(await latestOf(setting, first)).toBe('v1.1.0')
  })

  test('of all versions leaves an empty list, and @latest says why', async () => {
    const setting = setUp({ rules: [`deny ${path}@>=v0.0.0`] })
    const { world, source } = setting
    const release = world.publish('v1.0.0', path)
    offer(world, release)
    expect(await listOf(setting, release)).toBe('')
    const error = await world.failure(source.latest(release.module.path, patient))
    expect(error.message).toContain('v1.0.0: refused by the policy')
  })

  test('an allowed list is passed on as it is', async () => {
    const { world, source } = setUp({ rules: [`deny ${path}@v9.9.9`] })
    const { module } = world.publish()
    const bytes = text('v1.0.0 2024-01-01T00:00:00Z\n\nv1.1.0')
    world.upstream.lists.set(path, bytes)
    const { value, source: from } = await world.run(source.list(module.path, patient))
    expect(value).toEqual(bytes)
    expect(from.kind).toBe('upstream')
  })

  test('a branch that leads to a denied version is denied', async () => {
    const { world, source } = setUp({ rules: [`deny ${path}@v1.0.0`] })
    const { module, info } = world.publish()
    world.upstream.queries.set(`${path}@main`, info)
    expect((await world.failure(source.query(module.path, 'main', patient))).code).toBe('POLICY')
  })
})

describe('a minimum age', () => {
  test('keeps back what upstream published since, and says until when', async () => {
    const { world, source } = setUp({ minAgeMs: 7 * day })
    const young = publish(world, 'v1.1.0', 5 * hour)
    const old = publish(world, 'v1.0.0', 8 * day)
    for (const what of ['info', 'mod', 'zip'] as const) {
      const failed: Promise<unknown> = source[what](young.module, patient)
      const error = await world.failure(failed)
      expect(error.message.split('\n')).toEqual([
        'example.com/mod@v1.1.0: refused by the policy of this node',
        'too new: published 5h ago',
        'the minimum age here is 7d: to be had in 7d',
      ])
      const answered: Promise<unknown> = source[what](old.module, patient)
      await world.run(answered)
    }
    expect(world.upstream.asked.filter((asked) => asked.startsWith('info'))).toHaveLength(2)
    await world.clock.advance(7 * day - 5 * hour)
    expect((await world.run(source.zip(young.module, patient))).value.size).toBe(1000)
  })

  test('a time in the future is no age', async () => {
    const { world, source } = setUp({ minAgeMs: hour })
    const { module } = publish(world, 'v1.0.0', -day)
    const error = await world.failure(source.mod(module, patient))
    expect(error.message).toContain('published in the future')
  })

  test('list and @latest show what is old enough in each release line', async () => {
    const setting = setUp({ minAgeMs: 7 * day })
    const { world } = setting
    const releases = [
      publish(world, 'v1.0.0', 90 * day),
      publish(world, 'v1.0.1', hour),
      publish(world, 'v1.1.0', 60 * day),
      publish(world, 'v1.2.0', 30 * day),
      publish(world, 'v1.2.1', 2 * day),
      publish(world, 'v1.2.2', day),
    ]
    offer(world, ...releases)
    const [first] = releases
    if (first === undefined) throw new Error('there are releases')
    expect(await listOf(setting, first)).toBe('v1.0.0\nv1.1.0\nv1.2.0\n')
    expect(await latestOf(setting, first)).toBe('v1.2.0')
  })

  test('a list of thousands costs a bounded number of questions, once', async () => {
    const setting = setUp({ minAgeMs: 7 * day })
    const { world } = setting
    const old = publish(world, 'v0.0.0', 90 * day)
    const names = Array.from({ length: 2_000 }, (_, i) => `v1.${i >> 1}.${i % 2}`)
    world.upstream.lists.set(path, text(names.map((name) => `${name}\n`).join('')))
    await listOf(setting, old)
    const asked = world.upstream.asked.length
    expect(asked).toBeLessThan(80)
  })

  test('a time that a peer gives does not count: upstream is asked', async () => {
    const { world, source } = setUp({ minAgeMs: 7 * day })
    const young = publish(world, 'v1.0.0', hour)
    const peer = lyingPeer(world, young)
    await world.run(world.fill.info(young.module, patient))
    const error = await world.failure(source.zip(young.module, patient))
    expect(error.message).toContain('published 60m ago')
    expect(peer.id).toBe('liar')
  })

  test('with upstream down it counts from when the proven record was first seen here', async () => {
    const { world, source, firstSeen } = setUp({ minAgeMs: 7 * day })
    const release = world.release()
    lyingPeer(world, release)
    world.upstream.fault = 'down'
    const error = await world.failure(source.zip(release.module, patient))
    expect(error.message).toContain('first seen by this node 0s ago')
    expect([...firstSeen.noted.keys()]).toEqual(['example.com/mod@v1.0.0'])
    await world.clock.advance(7 * day)
    expect((await world.run(source.zip(release.module, patient))).source.kind).toBe('peer')
  })

  test('what nobody can prove is not seen: asking early makes nothing old', async () => {
    const { world, source, firstSeen } = setUp({ minAgeMs: 7 * day })
    const { module } = world.release()
    world.upstream.fault = 'down'
    world.db.fault = 'down'
    const error = await world.failure(source.zip(module, patient))
    expect(error.code).toBe('UPSTREAM_UNAVAILABLE')
    expect(firstSeen.noted.size).toBe(0)
  })

  test('what upstream does not have is not found, and no word of policy', async () => {
    const { world, source } = setUp({ minAgeMs: 7 * day })
    const { module } = world.publish('v1.0.0', path)
    const none = { ...module, version: module.version.replace('0.0', '0.9') }
    const error = await world.failure(source.zip(none as ModuleVersion, patient))
    expect(error.code).toBe('MODULE_NOT_FOUND')
  })

  test.for([
    { name: 'no time', info: { Version: 'v1.0.0' } },
    { name: 'the zero time', info: { Version: 'v1.0.0', Time: '0001-01-01T00:00:00Z' } },
  ])('an .info with $name counts from first sight', async ({ info }) => {
    const { world, source } = setUp({ minAgeMs: day })
    const { module } = world.publish()
    world.upstream.publish(module, { info: text(JSON.stringify(info)) })
    const error = await world.failure(source.mod(module, patient))
    expect(error.message).toContain('first seen by this node')
  })

  test('a pseudo-version has its time in its name', async () => {
    const { world, source } = setUp({ minAgeMs: 7 * day })
    const young = world.publish('v0.0.0-20231114120000-abcdefabcdef', path)
    const old = world.publish('v0.0.0-20231001120000-abcdefabcdef', path)
    const error = await world.failure(source.mod(young.module, patient))
    expect(error.message).toContain('published 10h ago')
    await world.run(source.mod(old.module, patient))
  })

  test('a rule may ask for another one', async () => {
    const { world, source } = setUp({
      minAgeMs: 7 * day,
      rules: [`allow ${path}@v1.0.1 min-age=0`],
    })
    const urgent = publish(world, 'v1.0.1', hour)
    const other = publish(world, 'v1.0.2', hour)
    await world.run(source.zip(urgent.module, patient))
    expect((await world.failure(source.zip(other.module, patient))).code).toBe('POLICY')
  })

  test('offline, held versions of upstream keep their age, and nobody is asked', async () => {
    const { world, source } = setUp({ minAgeMs: 7 * day })
    const old = publish(world, 'v1.0.0', 8 * day)
    await world.run(source.zip(old.module, patient))
    world.upstream.isOn = false
    world.upstream.asked.length = 0
    const cachedOnly = { ...patient, cachedOnly: true }
    expect((await world.run(source.zip(old.module, cachedOnly))).source.kind).toBe('store')
    expect(world.upstream.asked).toEqual([])
  })
})

/** A peer that says of every release that it is very old. */
function lyingPeer(world: World, release: Release): FakePeer {
  const { version } = release.module
  const info = text(JSON.stringify({ Version: version, Time: '2009-11-10T23:00:00Z' }))
  return world.holder('liar', { ...release, info })
}

describe('a validator', () => {
  test('is asked for versions, and its reason is told', async () => {
    const validator = new ScriptedValidator()
    const { world, source } = setUp({ validator })
    const bad = world.publish('v1.1.0', path)
    const good = world.publish('v1.0.0', path)
    validator.denied.add('v1.1.0')
    const error = await world.failure(source.zip(bad.module, patient))
    expect(error.message).toContain('the validator says:\nno!')
    await world.run(source.zip(good.module, patient))
    expect(validator.asked).toEqual(['v1.1.0', 'v1.0.0'])
    expect(source.peek('info', good.module.path, good.module.version)).toBeUndefined()
  })

  test('takes the newest versions it denies off the list, and off @latest', async () => {
    const validator = new ScriptedValidator()
    const setting = setUp({ validator })
    const { world } = setting
    const releases = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0'].map((v) => world.publish(v, path))
    offer(world, ...releases)
    validator.denied.add('v1.3.0').add('v1.2.0')
    const [first] = releases
    if (first === undefined) throw new Error('there are releases')
    expect(await listOf(setting, first)).toBe('v1.0.0\nv1.1.0\n')
    expect(await latestOf(setting, first)).toBe('v1.1.0')
  })

  test('that is down is our trouble, and no refusal', async () => {
    const validator = new ScriptedValidator()
    validator.isDown = true
    const { world, source } = setUp({ validator })
    const { module } = world.publish()
    const error = await world.failure(source.mod(module, patient))
    expect(error.code).toBe('VALIDATOR_UNAVAILABLE')
    expect(world.upstream.asked).toEqual([])
  })

  test('is not asked about what a rule denies', async () => {
    const validator = new ScriptedValidator()
    const { world, source } = setUp({ validator, rules: ['deny example.com'] })
    await world.failure(source.mod(world.publish().module, patient))
    expect(validator.asked).toEqual([])
  })
})
