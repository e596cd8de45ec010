import { tileWidth } from './tile.ts'
import { hashBytes, hashNode } from './tlog.ts'

/** The hashes of a tile and of the complete subtrees inside it, each computed once. */
export class TileHashes {
  /** The tile as it is served. */
  readonly bytes: Uint8Array
  /** Row r holds the roots of the subtrees of 2^r hashes, side by side. */
  readonly #rows: Uint8Array[]

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#rows = [bytes]
  }

  /** The root of a full tile: the hash that its parent tile must hold. */
  root(): Uint8Array {
    return this.#row(8)
  }

  /** The root of the subtree at tree level `level` and `index`, which must lie inside this tile. */
  node(level: number, index: number): Uint8Array {
    const inRow = tileWidth / 2 ** (level % 8)
    const start = (index % inRow) * hashBytes
    return this.#row(level % 8).subarray(start, start + hashBytes)
  }

  #row(height: number): Uint8Array {
    const row = this.#rows[height] ?? pairs(this.#row(height - 1))
    this.#rows[height] = row
    return row
  }
}

function pairs(row: Uint8Array): Uint8Array {
  const above = new Uint8Array(Math.floor(row.length / hashBytes / 2) * hashBytes)
  for (let at = 0; at < above.length; at += hashBytes) {
    const left = row.subarray(2 * at, 2 * at + hashBytes)
    above.set(hashNode(left, row.subarray(2 * at + hashBytes, 2 * at + 2 * hashBytes)), at)
  }
  return above
}
