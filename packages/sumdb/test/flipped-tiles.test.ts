import { describe, expect, test } from 'vitest'
import type { FakeSumdb } from '../testing/index.ts'
import { clientOf, filler, flip, logOf, signal, wanted } from './setting.ts'

/**
 * CVE-2026-56865: a client that counted subtree roots in place of tiles left up to two tiles of a
 * lookup unchecked, at sizes like the first three here. One tile is changed at a time: a test that
 * changes all at once cannot see it.
 */
const trees = [
  { size: 70_000, id: 25_600 },
  { size: 300, id: 5 },
  { size: 1000, id: 5 },
  { size: 65_536, id: 300 },
  { size: 65_537, id: 65_536 },
  { size: 65_792, id: 65_791 },
  { size: 256, id: 255 },
  { size: 255, id: 0 },
  { size: 1, id: 0 },
  { size: 131_073, id: 100_000 },
]
const logs = new Map<number, FakeSumdb>()
const longest = logOf(131_073, 25_600)
/** The log of a size, its wanted record moved out of the way: every record here is a filler. */
function fakeOf(size: number): FakeSumdb {
  const fake = logs.get(size) ?? longest.fork(size)
  logs.set(size, fake)
  return fake
}
const moduleOf = (id: number) => (id === 25_600 ? wanted : filler(id))

describe.for(trees)('a lookup of record $id in a tree of $size', ({ size, id }) => {
  const fake = fakeOf(size)
  const module = moduleOf(id)

  async function tilesRead(): Promise<string[]> {
    const { client, ops } = clientOf(fake)
    await client.lookup(module, { signal })
    const read = ops.reads.filter((path) => path.startsWith('/tile/')).map((path) => path.slice(1))
    expect(new Set(read).size).toBe(read.length)
    return read
  }

  test('is answered when all is right', async () => {
    const { client } = clientOf(fake)
    expect((await client.lookup(module, { signal })).proof.record).toBe(id)
  })

  test('is refused for every tile of which one bit is flipped, anywhere in it', async () => {
    for (const path of await tilesRead()) {
      const width = Number(path.split('.p/')[1] ?? 256)
      for (const at of [0, 16 * width + 3, 32 * width - 1]) {
        const { client, ops } = clientOf(fake)
        fake.faults.flippedTiles.set(path, at)
        const lookup = client.lookup(module, { signal })
        await expect(lookup, `${path} byte ${at}`).rejects.toMatchObject({
          code: 'SUMDB_UNTRUSTED',
        })
        await client.settled()
        expect([...ops.cache.keys()].filter((key) => key.startsWith('/lookup/'))).toEqual([])
        expect(await client.known(module)).toBeUndefined()
        fake.faults.flippedTiles.clear()
        expect((await client.lookup(module, { signal })).proof.record).toBe(id)
      }
    }
  })

  test('is refused for every tile that is cut, stretched or swapped with zeros', async () => {
    for (const path of await tilesRead()) {
      const changes = [
        (bytes: Uint8Array) => bytes.subarray(0, -1),
        (bytes: Uint8Array) => bytes.subarray(0, -32),
        (bytes: Uint8Array) => Buffer.concat([bytes, bytes]),
        (bytes: Uint8Array) => new Uint8Array(bytes.length),
        () => new Uint8Array(),
      ]
      for (const change of changes) {
        const { client } = clientOf(fake)
        fake.faults.editBody = (asked, body) => (asked === `/${path}` ? change(body) : body)
        const lookup = client.lookup(module, { signal })
        await expect(lookup, path).rejects.toMatchObject({ code: 'SUMDB_UNTRUSTED' })
        fake.faults.editBody = (_, body) => body
      }
    }
  })

  test('goes on when a cached tile is rotten, which is dropped and read again', async () => {
    const { client, ops } = clientOf(fake)
    await client.lookup(module, { signal })
    await client.settled()
    const tiles = [...ops.cache.keys()].filter((key) => key.startsWith('/tile/'))
    for (const path of tiles) {
      const good = ops.cache.get(path)!
      ops.cache.set(path, flip(good, good.length - 1))
      ops.cache.delete('/lookup/example.com/!wanted@v1.2.3')
      ops.cache.delete(`/lookup/filler.test/m${id}@v1.0.0`)
      ops.reads.length = 0
      const restarted = clientOf(fake, ops).client
      expect((await restarted.lookup(module, { signal })).proof.record).toBe(id)
      await restarted.settled()
      expect(ops.cache.get(path)).toEqual(good)
      expect(ops.reads.filter((read) => read.startsWith(`${path}`)).length, path).toBe(1)
    }
  })
})

test('a peer that flips a tile is passed by: the database itself is asked', async () => {
  const fake = fakeOf(70_000)
  for (const path of ['tile/8/0/100', 'tile/8/1/000', 'tile/8/1/001.p/17', 'tile/8/0/273.p/112']) {
    const { client, ops } = clientOf(fake)
    const honest = ops.readRemote
    ops.readRemote = async (asked, options) => {
      const bytes = await honest(asked, options)
      return options.databaseOnly !== true && asked === `/${path}` ? flip(bytes, 40) : bytes
    }
    expect((await client.lookup(wanted, { signal })).proof.record).toBe(25_600)
    expect(ops.reads).toContain(`!/${path}`)
  }
})

test('a peer that flips a tile is to blame when the database cannot be asked', async () => {
  const fake = fakeOf(70_000)
  const { client, ops } = clientOf(fake)
  const honest = ops.readRemote
  ops.readRemote = async (asked, options) => {
    const bytes = await honest(asked, options)
    if (options.databaseOnly === true) throw new Error('no way to the database')
    return asked === '/tile/8/0/100' ? flip(bytes, 40) : bytes
  }
  await expect(client.lookup(wanted, { signal })).rejects.toMatchObject({ code: 'SUMDB_UNTRUSTED' })
})

test('a full tile stands in for a missing partial one', async () => {
  const fake = fakeOf(131_073)
  const { client, ops } = clientOf(fake)
  fake.faults.shownSize = 70_000
  for (const path of ['tile/8/0/273.p/112', 'tile/8/1/001.p/17']) fake.faults.missingTiles.add(path)
  expect((await client.lookup(wanted, { signal })).proof.record).toBe(25_600)
  expect(ops.reads).toContain('/tile/8/0/273')
  fake.faults.shownSize = undefined
  fake.faults.missingTiles.clear()
})

test('a tile that the database lacks is its trouble, and never an unknown module', async () => {
  const fake = fakeOf(70_000)
  fake.faults.missingTiles.add('tile/8/0/100')
  const { client } = clientOf(fake)
  await expect(client.lookup(wanted, { signal })).rejects.toMatchObject({
    code: 'SUMDB_UNAVAILABLE',
  })
  fake.faults.missingTiles.clear()
})
