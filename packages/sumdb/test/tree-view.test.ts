import { expect, test } from 'vitest'
import { CacheWriter } from '../src/cache-writer.ts'
import { openTreeHead } from '../src/index.ts'
import { Refusals } from '../src/refusals.ts'
import { TileHashes } from '../src/tile-hashes.ts'
import { TileReader } from '../src/tile-reader.ts'
import { TreeView } from '../src/tree-view.ts'
import { type MemoryOps, memoryOps } from '../testing/index.ts'
import { flip, logOf, signal } from './setting.ts'

const base = logOf(70_000, 25_600)
const options = { signal, reach: 'remote' } as const

function viewOf(size: number): { view: TreeView; reader: TileReader; ops: MemoryOps } {
  const ops = memoryOps(base)
  const reader = new TileReader({ ops, writer: new CacheWriter(ops), refusals: new Refusals(ops) })
  const view = new TreeView({ reader }, openTreeHead(base.noteAt(size), base.key))
  return { view, reader, ops }
}

test('a tile in memory counts only when this tree holds its root', async () => {
  const { view, reader, ops } = viewOf(70_000)
  const place = { level: 0, index: 100 }
  const good = base.tile({ ...place, width: 256 })
  reader.hold(place, new TileHashes(flip(good)))
  expect((await view.tile(place, options)).bytes).toEqual(good)
  expect(ops.reads).toContain('/tile/8/0/100')
  ops.reads.length = 0
  expect((await view.tile(place, options)).bytes).toEqual(good)
  expect(ops.reads).toEqual([])
})

test.for([
  { level: 0, index: 274 },
  { level: 1, index: 2 },
  { level: 3, index: 0 },
])('there is no tile beyond the tree: $level $index', async (place) => {
  const { view } = viewOf(70_000)
  await expect(view.tile(place, options)).rejects.toThrow(RangeError)
})

test('the root of any prefix comes out, and every record with its proof', async () => {
  const { view } = viewOf(70_000)
  for (const size of [0, 1, 255, 256, 257, 25_600, 65_535, 65_536, 65_537, 69_999, 70_000]) {
    expect(await view.prefixRoot(size, options), String(size)).toEqual(base.root(size))
  }
  for (const id of [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999]) {
    expect((await view.proveRecord(id, options)).leaf).toEqual(base.node(0, id))
  }
})

test('what is read under a tree that is not ours is written once it is', async () => {
  const { view, ops } = viewOf(70_000)
  await view.proveRecord(25_600, options)
  await new Promise(setImmediate)
  expect(ops.cache.size).toBe(0)
  view.trust()
  await new Promise(setImmediate)
  expect([...ops.cache.keys()].toSorted()).toEqual(
    ['0/100', '0/273', '1/000', '1/001', '2/000'].map((tile) => `/tile/8/${tile}`),
  )
  view.trust()
})
