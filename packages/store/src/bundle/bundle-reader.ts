import { createHash, hash } from 'node:crypto'
import { maxInventoryBytes } from '../limits.ts'
import { ByteSource } from './byte-source.ts'
import { BundleError } from './faults.ts'
import { type BundleItem, bytesOf, type Inventory, nameOf, parseInventory } from './inventory.ts'
import { bundleId, isSignedBy, signatureBytes, signerBytes } from './seal.ts'

/** The first bytes of every bundle. */
export const magic: Uint8Array = Buffer.from('modmesh-bundle\n\x01')
/** The length of the inventory, big-endian. */
const lengthBytes = 4

/** Bytes before the first thing in a bundle. */
export function frontBytes(inventoryBytes: number): number {
  return magic.length + lengthBytes + signerBytes + signatureBytes + inventoryBytes
}

/** Reads a bundle from front to back. What it gives was signed; whether that means anything is for others to say. */
export class BundleReader {
  readonly inventory: Inventory
  readonly id: string
  /** Of the whole bundle. */
  readonly size: number
  readonly #source: ByteSource

  private constructor(
    source: ByteSource,
    { signer, inventory }: { readonly signer: Uint8Array; readonly inventory: Uint8Array },
  ) {
    this.#source = source
    this.inventory = parseInventory(inventory)
    this.id = bundleId(inventory)
    this.size = frontBytes(inventory.length) + bytesOf(this.inventory.items)
    if (Buffer.compare(signer, this.inventory.signer) !== 0) {
      throw new BundleError('BUNDLE_ALTERED', 'it was signed anew with another key')
    }
  }

  /**
   * Reads up to the end of the inventory, and checks its signature. Throws BundleError: BUNDLE_FORMAT,
   * BUNDLE_TRUNCATED, BUNDLE_ALTERED.
   */
  static async open(chunks: AsyncIterable<Uint8Array>): Promise<BundleReader> {
    const source = new ByteSource(chunks)
    const first = await source.take(magic.length)
    if (!first.every((byte, i) => byte === magic[i])) {
      throw new BundleError('BUNDLE_FORMAT', 'not a bundle, or one of a later version of modmesh')
    }
    const length = Buffer.from(await source.take(lengthBytes)).readUInt32BE()
    if (length > maxInventoryBytes) {
      throw new BundleError('BUNDLE_FORMAT', `not a bundle: an inventory of ${length} bytes`)
    }
    const signer = await source.take(signerBytes)
    const signature = await source.take(signatureBytes)
    const inventory = await source.take(length)
    if (!isSignedBy(signer, inventory, signature)) {
      throw new BundleError('BUNDLE_ALTERED', 'its inventory is not what was signed')
    }
    return new BundleReader(source, { signer, inventory })
  }

  /** Reads one small thing whole. Throws BundleError: BUNDLE_TRUNCATED, BUNDLE_ALTERED. */
  async read(item: BundleItem): Promise<Uint8Array> {
    const bytes = await this.#source.take(item.size)
    if (hash('sha256', bytes) !== item.digest) throw altered(item)
    return bytes
  }

  /** Reads one thing in pieces; the last one comes only when all were right. Throws as `read`. */
  async *pieces(item: BundleItem): AsyncGenerator<Uint8Array> {
    const sha = createHash('sha256')
    let left = item.size
    for await (const piece of this.#source.pieces(item.size)) {
      sha.update(piece)
      left -= piece.length
      if (left === 0 && sha.digest('hex') !== item.digest) throw altered(item)
      yield piece
    }
  }

  /** Passes over one thing. Throws BundleError (BUNDLE_TRUNCATED). */
  async skip(item: BundleItem): Promise<void> {
    for await (const _piece of this.#source.pieces(item.size));
  }

  /** Checks that nothing comes after the last thing. Throws BundleError (BUNDLE_ALTERED). */
  async end(): Promise<void> {
    if (await this.#source.isAtEnd()) return
    throw new BundleError('BUNDLE_ALTERED', 'something was added at its end')
  }
}

function altered(item: BundleItem): BundleError {
  return new BundleError('BUNDLE_ALTERED', `${nameOf(item)} is not what was signed`)
}
