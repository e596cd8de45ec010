import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkRecord, checkTree, hashLeaf, proveRecord, proveTree, treeRoot } from '../src/index.ts'
import { emptyRoot, type NodeReader } from '../src/tlog.ts'
import { flip } from './setting.ts'

/** RFC 6962 §2.1, word by word. */
const sha = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const split = (n: number): number => (n <= 2 ? 1 : 2 * split(Math.ceil(n / 2)))
function naiveRoot(leaves: readonly string[]): Uint8Array {
  if (leaves.length === 0) return sha()
  if (leaves.length === 1) return sha(Buffer.of(0), Buffer.from(leaves[0]!))
  const k = split(leaves.length)
  return sha(Buffer.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)))
}

const texts = (count: number) => Array.from({ length: count }, (_, i) => `record ${i}\n`)
const reader =
  (leaves: readonly string[]): NodeReader =>
  (level, index) =>
    naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))
const sizes = fc.integer({ min: 1, max: 70 })

describe('RFC 6962 trees', () => {
  test('the known hashes of no record and of an empty record come out', () => {
    expect(Buffer.from(emptyRoot).toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    )
    expect(treeRoot(0, reader([]))).toEqual(emptyRoot)
    expect(hashLeaf('é')).toEqual(hashLeaf(Buffer.from('é')))
    expect(Buffer.from(hashLeaf('')).toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    )
  })

  test('the root equals that of a naive tree at every size', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 70 }), (leaves) => {
        expect(treeRoot(leaves.length, reader(leaves))).toEqual(naiveRoot(leaves))
      }),
    )
  })

  test('sizes just below large powers of two are split exactly', () => {
    const size = 2 ** 50 - 1
    const levels: number[] = []
    treeRoot(size, (level, index) => {
      levels.push(level)
      expect((index + 1) * 2 ** level).toBeLessThanOrEqual(size)
      return emptyRoot
    })
    expect(levels).toEqual(Array.from({ length: 50 }, (_, i) => 49 - i))
    expect(proveRecord(size, 0, () => emptyRoot)).toHaveLength(50)
  })
})

describe('record proofs', () => {
  test('a proof of any record checks, and has the length that the RFC allows', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, any) => {
        const [id, leaves] = [any % size, texts(size)]
        const path = proveRecord(size, id, reader(leaves))
        const tree = { size, root: naiveRoot(leaves) }
        expect(checkRecord(path, tree, { id, leaf: hashLeaf(leaves[id]!) })).toBe(true)
        expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)))
      }),
    )
  })

  test('no changed hash, leaf, id, size, root or length passes', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, any) => {
        const [id, leaves] = [any % size, texts(size)]
        const path = proveRecord(size, id, reader(leaves))
        const tree = { size, root: naiveRoot(leaves) }
        const record = { id, leaf: hashLeaf(leaves[id]!) }
        for (const i of path.keys()) {
          const changed = path.map((hash, j) => (i === j ? flip(hash, any % 32) : hash))
          expect(checkRecord(changed, tree, record)).toBe(false)
          expect(checkRecord(path.toSpliced(i, 1), tree, record)).toBe(false)
        }
        expect(checkRecord([...path, emptyRoot], tree, record)).toBe(false)
        expect(checkRecord(path, { ...tree, root: flip(tree.root) }, record)).toBe(false)
        expect(checkRecord(path, tree, { ...record, leaf: flip(record.leaf) })).toBe(false)
        for (let other = -1; other <= size; other++) {
          if (other !== id) expect(checkRecord(path, tree, { ...record, id: other })).toBe(false)
        }
      }),
      { numRuns: 40 },
    )
  })

  test.for([-1, 5, 0.5, Number.NaN, Infinity, 2 ** 60])('record %d of five is in no tree', (id) => {
    const record = { id, leaf: emptyRoot }
    expect(checkRecord([], { size: 5, root: emptyRoot }, record)).toBe(false)
  })
})

describe('tree proofs', () => {
  test('the proof of any older tree checks', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, any) => {
        const older = 1 + (any % size)
        const leaves = texts(size)
        const path = proveTree(size, older, reader(leaves))
        const before = { size: older, root: naiveRoot(leaves.slice(0, older)) }
        expect(checkTree(path, { size, root: naiveRoot(leaves) }, before)).toBe(true)
      }),
    )
  })

  test('no proof joins trees that differ in a common record, and no changed hash passes', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (size, any, which) => {
        const older = 1 + (any % size)
        const leaves = texts(size)
        const newer = { size, root: naiveRoot(leaves) }
        const before = { size: older, root: naiveRoot(leaves.slice(0, older)) }
        const path = proveTree(size, older, reader(leaves))
        for (const i of path.keys()) {
          const changed = path.map((hash, j) => (i === j ? flip(hash, any % 32) : hash))
          expect(checkTree(changed, newer, before)).toBe(false)
          expect(checkTree(path.toSpliced(i, 1), newer, before)).toBe(false)
        }
        expect(checkTree([...path, emptyRoot], newer, before)).toBe(false)
        const forked = leaves.with(which % older, 'forged\n').slice(0, older)
        expect(checkTree(path, newer, { size: older, root: naiveRoot(forked) })).toBe(false)
        expect(checkTree(path, { ...newer, root: flip(newer.root) }, before)).toBe(false)
      }),
      { numRuns: 40 },
    )
  })

  test('an empty, a larger or a proofless older tree is refused', () => {
    const tree = { size: 5, root: emptyRoot }
    expect(checkTree([], tree, { size: 0, root: emptyRoot })).toBe(false)
    expect(checkTree([], tree, { size: 6, root: emptyRoot })).toBe(false)
    expect(checkTree([], tree, { size: 3, root: emptyRoot })).toBe(false)
    expect(checkTree([], tree, tree)).toBe(true)
  })
})
