import type { MemoryBucket } from '@modmesh/fill/twins'
import { formatModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { remoteAvoidMs, remoteLies } from '../src/limits.ts'
import { askAll, askFor, fillBucket, isolated, kinds, worldWithBucket } from './support/bucket.ts'
import { bytesOf, patient, type Release, text, World } from './support/world.ts'

type Kind = (typeof kinds)[number]

/** What somebody who may write a bucket puts there in place of one object. */
interface Lie {
  readonly name: string
  readonly ask: Kind
  /** The part it stands in for. */
  readonly part: Kind | 'record'
  readonly version?: string
  readonly plant: (bucket: MemoryBucket, wanted: Release, other: Release) => void
}

const forgedText = (release: Release): string =>
  release.sums.record.text.replaceAll('h1:', 'h1:forged')

const lies: readonly Lie[] = [
  {
    name: 'a zip with one byte flipped',
    ask: 'zip',
    part: 'zip',
    plant: (bucket, { module, zip }) => {
      bucket.put(
        module,
        'zip',
        zip.map((byte, at) => (at === 500 ? byte ^ 1 : byte)),
      )
    },
  },
  {
    name: 'a zip with its last byte missing',
    ask: 'zip',
    part: 'zip',
    plant: (bucket, { module, zip }) => bucket.put(module, 'zip', zip.subarray(0, -1)),
  },
  {
    name: 'a zip of no bytes',
    ask: 'zip',
    part: 'zip',
    plant: (bucket, { module }) => bucket.put(module, 'zip', new Uint8Array()),
  },
  {
    name: 'the zip of another version',
    ask: 'zip',
    part: 'zip',
    plant: (bucket, { module }, other) => bucket.put(module, 'zip', other.zip),
  },
  {
    name: 'a go.mod with one line more',
    ask: 'mod',
    part: 'mod',
    plant: (bucket, { module, mod }) =>
      bucket.put(module, 'mod', Buffer.concat([mod, text('require evil.test/m v1.0.0\n')])),
  },
  {
    name: 'an empty go.mod',
    ask: 'mod',
    part: 'mod',
    plant: (bucket, { module }) => bucket.put(module, 'mod', new Uint8Array()),
  },
  {
    name: 'a page in place of a go.mod',
    ask: 'mod',
    part: 'mod',
    plant: (bucket, { module }) => bucket.put(module, 'mod', text('<!doctype html>')),
  },
  {
    name: 'an info of another version',
    ask: 'info',
    part: 'info',
    plant: (bucket, { module }, other) => bucket.put(module, 'info', other.info),
  },
  {
    name: 'an info that is no JSON',
    ask: 'info',
    part: 'info',
    plant: (bucket, { module }) => bucket.put(module, 'info', text('{"Version":')),
  },
  {
    name: 'an info whose time is not that of the pseudo-version',
    ask: 'info',
    part: 'info',
    version: 'v0.0.0-20240506070809-0123456789ab',
    plant: (bucket, { module }) =>
      bucket.put(
        module,
        'info',
        text(`{"Version":"${module.version}","Time":"2031-01-01T00:00:00Z"}`),
      ),
  },
  ...kinds.flatMap((ask): Lie[] => [
    {
      name: `a record with other hashes, asked for the ${ask}`,
      ask,
      part: 'record',
      plant: (bucket, release) =>
        bucket.putRecord(release.module, { ...release.sums.record, text: forgedText(release) }),
    },
    {
      name: `the true record of another version, asked for the ${ask}`,
      ask,
      part: 'record',
      plant: (bucket, { module }, other) => bucket.putRecord(module, other.sums.record),
    },
    {
      name: `a record with a tree head of its own, asked for the ${ask}`,
      ask,
      part: 'record',
      plant: (bucket, { module, sums }) =>
        bucket.putRecord(module, { ...sums.record, head: 'signed by evil.test' }),
    },
  ]),
]

describe('a bucket that holds', () => {
  test.for(lies)('$name is found out, and heals', async ({ ask, part, version, plant }) => {
    const { world, bucket } = worldWithBucket()
    const wanted = world.publish(version)
    fillBucket(bucket, wanted)
    plant(bucket, wanted, world.publish('v1.0.1'))
    const answer = await askFor(world, ask, wanted.module)
    const bytes = answer.value instanceof Uint8Array ? answer.value : await bytesOf(answer.value)
    expect(bytes).toEqual(wanted[ask])
    // With a forged record the hashes come from the database, and the file itself may be right.
    expect(answer.source.kind).toBe(part === 'record' ? 'remote' : 'upstream')
    const refused = world.events.filter((event) => event.kind === 'remote-refused')
    expect(refused.map(({ reason }) => reason.split(':')[0])).toEqual([part])
    await world.clock.settle()
    const right = part === 'record' ? wanted.sums.record : wanted[part]
    expect(bucket.objects.get(`${part} ${formatModuleVersion(wanted.module)}`)).toEqual(right)
  })

  test.for(lies)(
    '$name leads to no answer and to nothing in the store when there is nobody else',
    async ({ ask, version, plant }) => {
      const { world, bucket } = isolated()
      const wanted = world.release(version)
      fillBucket(bucket, wanted)
      plant(bucket, wanted, world.release('v1.0.1'))
      for (let n = 0; n < 2; n++) {
        const { code } = await world.failure(world.fill[ask](wanted.module, patient))
        expect(code).toMatch(/^(UPSTREAM_UNAVAILABLE|NO_PROOF)$/)
      }
      await world.clock.settle()
      expect(await world.store.findZip(wanted.module)).toBeUndefined()
      expect((await world.store.findRecord(wanted.module))?.[ask === 'zip' ? 'mod' : ask]).toBe(
        undefined,
      )
      expect(world.remote?.written).toEqual([])
    },
  )

  test('a zip and a record that agree with each other is refused all the same', async () => {
    const { world, bucket } = isolated()
    const [wanted, other] = [world.release(), world.release('v1.0.1')]
    fillBucket(bucket, wanted)
    bucket.put(wanted.module, 'zip', other.zip)
    const agreeing = other.sums.record.text.replaceAll('v1.0.1', 'v1.0.0')
    bucket.putRecord(wanted.module, { ...wanted.sums.record, text: agreeing })
    expect((await world.failure(world.fill.zip(wanted.module, patient))).code).toBe('NO_PROOF')
    expect(await world.store.findZip(wanted.module)).toBeUndefined()
  })

  test('nothing right at all costs no answer, and the next node needs nobody but the bucket', async () => {
    const { world, bucket } = worldWithBucket()
    const release = world.publish()
    const { module } = release
    bucket.put(module, 'zip', text('another zip'))
    bucket.put(module, 'mod', text('module example.com/other\n'))
    bucket.put(module, 'info', text('{"Version":"v9.9.9"}'))
    bucket.putRecord(module, { ...release.sums.record, text: forgedText(release) })
    for (const kind of kinds) {
      const answer = await askFor(world, kind, module)
      expect(answer.source.kind).toBe('upstream')
      // It is left alone after several wrong objects: what it was not asked for stays unseen.
      await world.clock.advance(remoteAvoidMs)
    }
    const healed = new World({ bucket })
    healed.log.add(module, { zip: release.sums.zip, mod: release.sums.mod })
    healed.upstream.isOn = false
    healed.db.fault = 'down'
    expect(await askAll(healed, release)).toEqual(['remote', 'remote', 'remote'])
  })
})

describe('a remote store that lies', () => {
  test('several times in a row is left alone for a while', async () => {
    const { world, bucket } = worldWithBucket()
    bucket.fault = 'wrong-bytes'
    const releases = Array.from({ length: remoteLies }, (_, n) => world.publish(`v1.${n}.0`))
    const [during, after] = [world.publish('v1.8.0'), world.publish('v1.9.0')]
    for (const release of [...releases, during, after]) {
      bucket.put(release.module, 'zip', release.zip)
    }
    for (const { module } of releases) await world.run(world.fill.zip(module, patient))
    const before = world.remote?.asked.length
    expect((await world.run(world.fill.zip(during.module, patient))).source.kind).toBe('upstream')
    expect(world.remote?.asked).toHaveLength(before ?? -1)
    bucket.fault = 'none'
    await world.clock.advance(remoteAvoidMs)
    expect((await world.run(world.fill.zip(after.module, patient))).source.kind).toBe('remote')
  })

  test('is not asked again for an object that was wrong', async () => {
    const { world, bucket, remote } = worldWithBucket()
    const { module, sums } = world.publish()
    remote.isWritable = false
    bucket.put(module, 'mod', text('module example.com/other\n'))
    bucket.putRecord(module, sums.record)

    const mods = () => remote.asked.filter((each) => each.startsWith('mod '))
    world.upstream.fault = 'down'
    for (let n = 0; n < 3; n++) await world.failure(world.fill.mod(module, patient))
    expect(mods()).toHaveLength(1)
    world.upstream.fault = 'none'
    expect((await world.run(world.fill.mod(module, patient))).source.kind).toBe('upstream')
    expect(mods()).toHaveLength(1)
  })
})
