import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatTilePath, parseTilePath } from '../src/index.ts'
import { edgeTiles, parentTile, tileOfNode, widthInTree } from '../src/tile.ts'
import { TileHashes } from '../src/tile-hashes.ts'
import { logOf } from './setting.ts'

const tiles = fc.record({
  level: fc.integer({ min: 0, max: 63 }),
  index: fc.oneof(fc.nat({ max: 5000 }), fc.nat({ max: 2 ** 44 })),
  width: fc.integer({ min: 1, max: 256 }),
})

describe('tile paths', () => {
  test.for([
    ['tile/8/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/8/3/999.p/1', { level: 3, index: 999, width: 1 }],
    ['tile/8/0/x001/000', { level: 0, index: 1000, width: 256 }],
    ['tile/8/1/x001/x234/067.p/255', { level: 1, index: 1_234_067, width: 255 }],
    ['tile/8/63/005', { level: 63, index: 5, width: 256 }],
  ] as const)('%s is read and written', ([path, tile]) => {
    expect(parseTilePath(path)).toEqual(tile)
    expect(formatTilePath(tile)).toBe(path)
  })

  test('every tile is read back as it was written', () => {
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(formatTilePath(tile))).toEqual(tile)
      }),
    )
  })

  test('whatever is read is written back as it was', () => {
    const piece = fc.constantFrom(
      'tile',
      '8',
      '0',
      '000',
      'x001',
      '067',
      '.p',
      '/',
      'x',
      '067.p',
      '5',
    )
    const near = fc.array(piece, { maxLength: 9 }).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (path) => {
        try {
          expect(formatTilePath(parseTilePath(path))).toBe(path)
        } catch (error) {
          expect(error).toMatchObject({ code: 'SUMDB_NOT_FOUND' })
        }
      }),
      { numRuns: 500 },
    )
  })

  test.for([
    '',
    'tile',
    'tile/8/0',
    '/tile/8/0/000',
    'tile/8/0/000/',
    'tile/7/0/000',
    'tile/08/0/000',
    'tile/8/00/000',
    'tile/8/64/000',
    'tile/8/-1/000',
    'tile/8/data/000',
    'tile/8/0/0',
    'tile/8/0/0000',
    'tile/8/0/x000/001',
    'tile/8/0/001/000',
    'tile/8/0/x001',
    'tile/8/0/x001/x000',
    'tile/8/0/x01/000',
    'tile/8/0/00a',
    'tile/8/0/000.p/0',
    'tile/8/0/000.p/00',
    'tile/8/0/000.p/05',
    'tile/8/0/000.p/256',
    'tile/8/0/000.p/',
    'tile/8/0/000.p',
    'tile/8/0/.p/5',
    'tile/8/0/000.p/5/6',
    'tile/8/0/x999/x999/x999/x999/x999/x999/999',
    'Tile/8/0/000',
  ])('there is no tile %j', (path) => {
    expect(() => parseTilePath(path)).toThrow(expect.objectContaining({ code: 'SUMDB_NOT_FOUND' }))
  })
})

describe('tile coordinates', () => {
  const sizes = fc.oneof(fc.nat({ max: 70_000 }), fc.nat({ max: 2 ** 40 }))

  test('the edge tiles hold as many records as the tree has, and each is at its edge', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const edge = edgeTiles(size)
        expect(edge.reduce((sum, { level, width }) => sum + width * 256 ** level, 0)).toBe(size)
        for (const tile of edge) {
          expect(widthInTree(size, tile)).toBe(tile.width)
          expect(widthInTree(size, { ...tile, index: tile.index + 1 })).toBe(0)
        }
      }),
    )
  })

  test('a full tile in the tree has a parent that holds its root', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat({ max: 2 }), (size, any, level) => {
        const full = Math.floor(size / 256 ** (level + 1))
        fc.pre(full > 0)
        const index = any % full
        const parent = parentTile({ level, index })
        expect(parent).toEqual(tileOfNode(8 * (level + 1), index))
        expect(widthInTree(size, parent)).toBeGreaterThan(index % 256)
      }),
    )
  })

  test('every node inside a tile comes out of its bytes', () => {
    const fake = logOf(1000)
    for (const [level, count] of [0, 1, 2, 3, 4, 5, 6, 7].map((l) => [l, 2 ** l] as const)) {
      for (let index = 0; (index + 1) * count <= 1000; index++) {
        const place = tileOfNode(level, index)
        const bytes = fake.tile({ ...place, width: widthInTree(1000, place) })
        expect(new TileHashes(bytes).node(level, index)).toEqual(fake.node(level, index))
      }
    }
    expect(new TileHashes(fake.tile({ level: 0, index: 2, width: 256 })).root()).toEqual(
      fake.node(8, 2),
    )
  })
})
