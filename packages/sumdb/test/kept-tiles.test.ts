import { describe, expect, test } from 'vitest'
import { formatTilePath, SumdbUnavailableError } from '../src/index.ts'
import { edgeTiles, parentTile, tileWidth, widthInTree } from '../src/tile.ts'
import { clientOf, logOf, signal } from './setting.ts'

const unavailable = { code: 'SUMDB_UNAVAILABLE' }
const base = logOf(200_000, 25_600)
const offline = () => Promise.reject(new SumdbUnavailableError('offline'))
const upper = (ops: { cache: Map<string, Uint8Array> }) =>
  [...ops.cache.keys()].filter((path) => !path.startsWith('/tile/8/0/')).toSorted()

/** What go reads to see that the tree of `older` is a prefix of the tree of `size` (x/mod tlog.TreeHash). */
function prefixTiles(size: number, older: number): string[] {
  const paths = new Set<string>()
  for (const tile of [...edgeTiles(size), ...edgeTiles(older)]) {
    for (let place = { level: tile.level, index: tile.index }; ; place = parentTile(place)) {
      const width = widthInTree(size, place)
      paths.add(formatTilePath({ ...place, width }))
      if (width < tileWidth) break
    }
  }
  return [...paths]
}

describe('keeping the upper tiles', () => {
  test('brings in every tile of level 1 and up, at most four at once', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    const honest = ops.readRemote
    let [running, most] = [0, 0]
    ops.readRemote = async (path, options) => {
      if (path.startsWith('/tile/8/1/00') && !path.includes('.p/')) most = Math.max(most, ++running)
      await new Promise(setImmediate)
      const bytes = await honest(path, options)
      if (path.startsWith('/tile/8/1/00') && !path.includes('.p/')) running--
      return bytes
    }
    await client.keepTiles({ signal })
    await client.settled()
    expect(upper(ops)).toEqual(
      ['000', '001', '002', '003'].map((k) => `/tile/8/1/${k}`).concat('/tile/8/2/000'),
    )
    expect(ops.cache.get('/tile/8/1/003')).toHaveLength((781 - 3 * 256) * 32)
    expect(most).toBeLessThanOrEqual(4)
  })

  test('again costs nothing, after a restart no fetch, and after growth the new tiles only', async () => {
    const fake = base.fork(200_000)
    fake.faults.shownSize = 140_000
    const { client, ops } = clientOf(fake)
    await client.mergeHead(fake.noteAt(140_000), { signal })
    await client.keepTiles({ signal })
    await client.settled()
    ops.reads.length = 0
    const cacheReads: string[] = []
    const readCache = ops.readCache
    ops.readCache = (path) => {
      cacheReads.push(path)
      return readCache(path)
    }
    await client.keepTiles({ signal })
    expect(cacheReads).toEqual([])
    const { client: restarted } = clientOf(fake, ops)
    await restarted.keepTiles({ signal })
    expect(ops.reads).toEqual([])
    expect(cacheReads.toSorted()).toEqual(upper(ops))
    cacheReads.length = 0
    await restarted.mergeHead(fake.noteAt(200_000), { signal })
    await restarted.keepTiles({ signal })
    expect(cacheReads).not.toContain('/tile/8/1/000')
    await restarted.settled()
    expect(
      ops.reads.filter((path) => path === '/tile/8/1/000' || path === '/tile/8/1/001'),
    ).toEqual([])
    expect(ops.cache.get('/tile/8/1/002')).toHaveLength(8192)
    expect(upper(ops)).toHaveLength(5)
  })

  test('goes on where it was stopped', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    const stop = new AbortController()
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      if (path === '/tile/8/1/001') {
        stop.abort(new Error('stopped'))
        options.signal.throwIfAborted()
      }
      return honest(path, options)
    }
    await expect(client.keepTiles({ signal: stop.signal })).rejects.toThrow('stopped')
    await expect(client.keepTiles({ signal: stop.signal })).rejects.toThrow('stopped')
    ops.readRemote = offline
    await expect(client.keepTiles({ signal })).rejects.toMatchObject(unavailable)
    ops.readRemote = honest
    await client.keepTiles({ signal })
    await client.settled()
    expect(upper(ops)).toHaveLength(5)
  })

  test('without a head, or with a small one, has nothing to do', async () => {
    const { client, ops } = clientOf(base)
    await client.keepTiles({ signal })
    await client.mergeHead(base.noteAt(255), { signal })
    await client.keepTiles({ signal })
    expect(ops.reads).toEqual([])
  })

  test('writes a tile that is in memory but was not written before', async () => {
    const { client, ops } = clientOf(base)
    const write = ops.writeCache
    ops.writeCache = () => Promise.reject(new Error('disk full'))
    await client.mergeHead(base.noteAt(), { signal })
    await client.answerTile('tile/8/1/001', { signal })
    await client.settled()
    expect(ops.cache.size).toBe(0)
    ops.writeCache = write
    await client.keepTiles({ signal })
    await client.settled()
    expect(upper(ops)).toHaveLength(5)
  })
})

describe('keeping the tiles for a client with a head of its own', () => {
  test.for([0, 1, 255, 256, 1000, 65_535, 65_536, 100_000, 131_073, 199_999, 200_000])(
    'at %d makes all that go will ask answerable offline',
    async (size) => {
      const { client, ops } = clientOf(base)
      await client.mergeHead(base.noteAt(), { signal })
      await client.keepClientHead(size, { signal })
      await client.answerTile('tile/8/2/000.p/1', { signal })
      await client.settled()
      ops.readRemote = offline
      const { client: restarted } = clientOf(base, ops)
      for (const path of prefixTiles(200_000, size)) {
        expect(await restarted.answerTile(path, { signal }), path).toEqual(base.serve(`/${path}`))
      }
      for (const tile of edgeTiles(size)) {
        const path = formatTilePath(tile)
        expect(await restarted.answerTile(path, { signal }), path).toEqual(base.serve(`/${path}`))
      }
    },
  )

  test('newer than ours looks at latest once', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(1000), { signal })
    await client.keepClientHead(150_000, { signal })
    expect((await client.head())?.size).toBe(200_000)
    expect(ops.reads.filter((path) => path === '/latest')).toHaveLength(1)
    await expect(client.keepClientHead(200_001, { signal })).rejects.toMatchObject(unavailable)
  })

  test('without a head takes the first one', async () => {
    const { client } = clientOf(base)
    await client.keepClientHead(1000, { signal })
    expect((await client.head())?.size).toBe(200_000)
  })
})
