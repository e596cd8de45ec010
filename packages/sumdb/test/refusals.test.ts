import { formatModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import type { FakeSumdb } from '../testing/index.ts'
import { clientOf, filler, logOf, signal, wanted } from './setting.ts'

const untrusted = { code: 'SUMDB_UNTRUSTED' }

interface Case {
  readonly name: string
  readonly plant: (fake: FakeSumdb) => void
  /** Of the refused answer. */
  readonly path: string
}

const size = 70_000
const base = logOf(size)
const lookup = '/lookup/example.com/!wanted@v1.2.3'

const cases: readonly Case[] = [
  {
    name: 'the record of another module',
    plant: (fake) =>
      fake.faults.swappedRecords.set(formatModuleVersion(wanted), 'filler.test/m5@v1.0.0'),
    path: lookup,
  },
  {
    name: 'a record that is not in the tree',
    plant: (fake) => {
      fake.faults.editBody = (path, body) =>
        path === lookup ? Buffer.from(Buffer.from(body).toString().replace('h1:', 'h1:AAAA')) : body
    },
    path: lookup,
  },
  {
    name: 'a note with a bad signature',
    plant: (fake) => {
      fake.faults.editNote = (note) => note.replace(/\n(\d+)\n/u, (_, n: string) => `\n${n}0\n`)
    },
    path: lookup,
  },
  {
    name: "a note of another database's name",
    plant: (fake) => {
      fake.faults.editNote = (note) => note.replace('— sum.test', '— sum.evil')
    },
    path: lookup,
  },
  {
    name: 'a flipped leaf tile',
    plant: (fake) => fake.faults.flippedTiles.set('tile/8/0/136', 5),
    path: '/tile/8/0/136',
  },
  {
    name: 'a flipped tile above it',
    plant: (fake) => fake.faults.flippedTiles.set('tile/8/1/000', 5),
    path: '/tile/8/1/000',
  },
  {
    name: 'a flipped tile at the edge',
    plant: (fake) => fake.faults.flippedTiles.set('tile/8/2/000.p/1', 5),
    path: '/tile/8/2/000.p/1',
  },
  {
    name: 'a tile that is cut short',
    plant: (fake) => {
      fake.faults.editBody = (path, body) =>
        path === '/tile/8/1/000' ? body.subarray(0, 4_000) : body
    },
    path: '/tile/8/1/000',
  },
]

describe('what the database sent and does not verify', () => {
  test.for(cases)('is kept as evidence: $name', async ({ plant, path }) => {
    const fake = base.fork(size)
    const { client, ops } = clientOf(fake)
    plant(fake)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
    await client.settled()
    expect(client.refusedAnswers).toBe(ops.refused.length)
    const kept = ops.refused.find((answer) => answer.path === path)
    expect(Buffer.from(kept?.bytes ?? [])).toEqual(Buffer.from(fake.serve(path)))
    expect(kept?.reason.length).toBeGreaterThan(10)
    const last = ops.refused.at(-1)
    expect(client.lastRefusal).toEqual({ path: last?.path, reason: last?.reason })
    // Nothing of it was believed, and nothing of it was stored.
    expect(await client.known(wanted)).toBeUndefined()
    expect([...ops.cache.keys()].filter((key) => key.startsWith('/lookup/'))).toEqual([])
  })

  test('says which signed tree it does not agree with', async () => {
    const fake = base.fork(size)
    const { client, ops } = clientOf(fake)
    fake.faults.flippedTiles.set('tile/8/0/136', 5)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
    await client.settled()
    const tile = ops.refused.find(({ path }) => path === '/tile/8/0/136')
    expect(tile?.head).toBe(fake.noteAt())
  })

  test('is kept also as `latest`', async () => {
    const fake = logOf(300)
    const { client, ops } = clientOf(fake)
    fake.faults.editNote = (note) => note.replace('sum.test', 'sum.evil')
    await expect(client.answerLatest({ signal })).rejects.toMatchObject(untrusted)
    await client.settled()
    expect(ops.refused.map(({ path }) => path)).toEqual(['/latest'])
  })

  test('is refused also when the disk will not take the evidence', async () => {
    const fake = base.fork(size)
    const { client, ops } = clientOf(fake)
    ops.keepRefused = () => Promise.reject(new Error('disk full'))
    fake.faults.flippedTiles.set('tile/8/1/000', 5)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
    fake.faults.flippedTiles.clear()
    expect((await client.lookup(wanted, { signal })).zip).toBeDefined()
  })

  test('leaves nothing behind when all is well', async () => {
    const fake = base.fork(size)
    const { client, ops } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.lookup(filler(3), { signal })
    await client.settled()
    expect([client.refusedAnswers, ops.refused, ops.evidence]).toEqual([0, [], []])
  })
})
