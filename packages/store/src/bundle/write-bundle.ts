import { createHash } from 'node:crypto'
import { pieceBytes } from '../limits.ts'
import { magic } from './bundle-reader.ts'
import { BundleSourceError } from './faults.ts'
import { type BundleItem, formatInventory, type Inventory, nameOf } from './inventory.ts'
import { signedBytes } from './seal.ts'

/** Where the bytes of a bundle come from, and who signs it. */
export interface BundleParts {
  readonly inventory: Inventory
  /** Signs with the Ed25519 key of the inventory's signer. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly read: (item: BundleItem) => AsyncIterable<Uint8Array>
}

/**
 * Writes a bundle, in pieces that may be used until the next one is asked for. Throws BundleSourceError when
 * something is no longer what the inventory says.
 */
export async function* writeBundle(parts: BundleParts): AsyncGenerator<Uint8Array> {
  const joined = Buffer.allocUnsafeSlow(pieceBytes)
  let filled = 0
  for await (const piece of piecesOf(parts)) {
    // Thousands of small files: joined, so that each write is worth its call.
    if (filled + piece.length > joined.length) {
      if (filled > 0) yield joined.subarray(0, filled)
      filled = 0
    }
    if (piece.length > joined.length) yield piece
    else {
      joined.set(piece, filled)
      filled += piece.length
    }
  }
  if (filled > 0) yield joined.subarray(0, filled)
}

async function* piecesOf({ inventory, sign, read }: BundleParts): AsyncGenerator<Uint8Array> {
  const list = formatInventory(inventory)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(list.length)
  yield magic
  yield length
  yield inventory.signer
  yield sign(signedBytes(list))
  yield list
  for (const item of inventory.items) yield* checked(item, read(item))
}

async function* checked(
  item: BundleItem,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const sha = createHash('sha256')
  let size = 0
  for await (const chunk of chunks) {
    sha.update(chunk)
    size += chunk.length
    if (size > item.size) throw new BundleSourceError(nameOf(item))
    yield chunk
  }
  if (size !== item.size || sha.digest('hex') !== item.digest) {
    throw new BundleSourceError(nameOf(item))
  }
}
