import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTilePath, tilePath } from '../src/layout.ts'

describe('a tile path', () => {
  test.for([
    ['/tile/8/0/000', { height: 8, level: 0, n: 0, width: 256 }],
    ['/tile/8/1/x001/234', { height: 8, level: 1, n: 1234, width: 256 }],
    ['/tile/8/0/x001/x234/067.p/5', { height: 8, level: 0, n: 1_234_067, width: 5 }],
  ] as const)('%s is read', ([path, tile]) => {
    expect(parseTilePath(path)).toEqual(tile)
  })

  test.for([
    '/tile/8/0',
    '/tile/8/0/',
    '/tile/8/0/00',
    '/tile/8/0/0000',
    '/tile/8/0/x000',
    '/tile/8/0/x000/001',
    '/tile/8/0/001/002',
    '/tile/8/0/x001/x002',
    '/tile/8/0/001.p/0',
    '/tile/8/0/001.p/256',
    '/tile/8/0/001.p/05',
    '/tile/8/0/001.p',
    '/tile/8/data/001',
    '/tile/08/0/001',
    '/tile/0/0/001',
    '/tile/8/64/001',
    '/tile/8/-1/001',
    '/tile/8/0/../001',
    'tile/8/0/001',
    '/tile/8/0/001/',
    '/tile/8/0/x999/x999/x999/x999/x999/x999/999',
  ])('%s is none', (path) => {
    expect(parseTilePath(path)).toBeUndefined()
  })

  test('reads back as it was written', () => {
    const tiles = fc
      .record({
        height: fc.integer({ min: 1, max: 30 }),
        level: fc.integer({ min: 0, max: 63 }),
        n: fc.maxSafeNat(),
        width: fc.nat(),
      })
      .map((tile) => ({ ...tile, width: (tile.width % 2 ** tile.height) + 1 }))
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath('/', tile))).toEqual(tile)
      }),
    )
  })
})
