import { hash } from 'node:crypto'

/** Bytes of one SHA-256 hash. */
export const hashBytes = 32

/** Gives the hash of the complete subtree at `level` whose position among those of its level is `index`. */
export type NodeReader = (level: number, index: number) => Uint8Array

const leafPrefix = Uint8Array.of(0)
const nodeInput = new Uint8Array(1 + 2 * hashBytes)
nodeInput[0] = 1

/** The root of the tree without records (RFC 6962 §2.1). */
export const emptyRoot: Uint8Array = hash('sha256', '', 'buffer')

/** Hashes a record text as a leaf (RFC 6962 §2.1). */
export function hashLeaf(text: string | Uint8Array): Uint8Array {
  return hash('sha256', Buffer.concat([leafPrefix, Buffer.from(text)]), 'buffer')
}

/** Hashes two subtree roots into their parent (RFC 6962 §2.1). */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + hashBytes)
  return hash('sha256', nodeInput, 'buffer')
}

/** True when both hashes are the same bytes. */
export function equalHashes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** Computes the root of the first `size` records (RFC 6962 §2.1). */
export function treeRoot(size: number, node: NodeReader): Uint8Array {
  return size === 0 ? emptyRoot : rangeHash(0, size, node)
}

/** Proves that record `id` is in the tree of `size` records: the audit path of RFC 6962 §2.1.1, leaf first. */
export function proveRecord(size: number, id: number, node: NodeReader): Uint8Array[] {
  const path: Uint8Array[] = []
  let [low, high] = [0, size]
  while (high - low > 1) {
    const middle = low + splitPoint(high - low)
    path.push(id < middle ? rangeHash(middle, high, node) : rangeHash(low, middle, node))
    if (id < middle) high = middle
    else low = middle
  }
  return path.reverse()
}

/** True when `path` leads from the leaf of record `id` to `root` in a tree of `size` records. */
export function checkRecord(
  path: readonly Uint8Array[],
  tree: { readonly size: number; readonly root: Uint8Array },
  record: { readonly id: number; readonly leaf: Uint8Array },
): boolean {
  const sides = recordSides(tree.size, record.id)
  if (sides === undefined || sides.length !== path.length) return false
  let reached = record.leaf
  for (const [i, sibling] of path.entries()) {
    reached = sides[i] === 'left' ? hashNode(sibling, reached) : hashNode(reached, sibling)
  }
  return equalHashes(reached, tree.root)
}

/** Proves that the first `older` records of a tree of `size` are the tree of that size (RFC 6962 §2.1.2). */
export function proveTree(size: number, older: number, node: NodeReader): Uint8Array[] {
  const path: Uint8Array[] = []
  let [low, high] = [0, size]
  while (high !== older) {
    const middle = low + splitPoint(high - low)
    path.push(older <= middle ? rangeHash(middle, high, node) : rangeHash(low, middle, node))
    if (older <= middle) high = middle
    else low = middle
  }
  if (low > 0) path.push(rangeHash(low, high, node))
  return path.reverse()
}

/** True when `path` shows that the older tree is a prefix of the newer one. Sizes must not be 0. */
export function checkTree(
  path: readonly Uint8Array[],
  newer: { readonly size: number; readonly root: Uint8Array },
  older: { readonly size: number; readonly root: Uint8Array },
): boolean {
  if (older.size < 1 || older.size > newer.size) return false
  const sides = treeSides(newer.size, older.size)
  const startsInside = sides.includes('left')
  if (path.length !== sides.length + (startsInside ? 1 : 0)) return false
  const start = startsInside ? path[0] : older.root
  if (start === undefined) return false
  let [old, all] = [start, start]
  for (const [i, sibling] of path.slice(startsInside ? 1 : 0).entries()) {
    if (sides[i] === 'left') old = hashNode(sibling, old)
    all = sides[i] === 'left' ? hashNode(sibling, all) : hashNode(all, sibling)
  }
  return equalHashes(old, older.root) && equalHashes(all, newer.root)
}

/** On which side of the path each sibling stands, leaf first; undefined when the record is not in the tree. */
function recordSides(size: number, id: number): ('left' | 'right')[] | undefined {
  if (!Number.isSafeInteger(id) || id < 0 || id >= size) return undefined
  const sides: ('left' | 'right')[] = []
  let [low, high] = [0, size]
  while (high - low > 1) {
    const middle = low + splitPoint(high - low)
    sides.push(id < middle ? 'right' : 'left')
    if (id < middle) high = middle
    else low = middle
  }
  return sides.reverse()
}

function treeSides(size: number, older: number): ('left' | 'right')[] {
  const sides: ('left' | 'right')[] = []
  let [low, high] = [0, size]
  while (high !== older) {
    const middle = low + splitPoint(high - low)
    sides.push(older <= middle ? 'right' : 'left')
    if (older <= middle) high = middle
    else low = middle
  }
  return sides.reverse()
}

/** The hash of records low to high, a range that RFC 6962 splits off: `low` is a multiple of its left subtree. */
function rangeHash(low: number, high: number, node: NodeReader): Uint8Array {
  const roots: Uint8Array[] = []
  for (let start = low; start < high; ) {
    const level = floorLog2(high - start)
    roots.push(node(level, start / 2 ** level))
    start += 2 ** level
  }
  return roots.reduceRight((right, left) => hashNode(left, right))
}

/** The largest power of two below `count`. */
function splitPoint(count: number): number {
  return 2 ** floorLog2(count - 1)
}

/** Exact where Math.log2 alone rounds up: just below the large powers of two. */
function floorLog2(count: number): number {
  const level = Math.floor(Math.log2(count))
  return 2 ** level > count ? level - 1 : level
}
