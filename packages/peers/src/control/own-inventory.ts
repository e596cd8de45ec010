import type { ZipHash } from '@modmesh/module'
import { ContentSet, contentKey } from './content-set.ts'

/** Told of each content that became servable or ceased to be. */
export type InventoryListener = (key: Uint8Array, isHeld: boolean) => void

/** What this node can serve to members this instant, as content keys in memory. */
export class OwnInventory {
  readonly #keys = new ContentSet()
  readonly #listeners = new Set<InventoryListener>()

  #isComplete = false

  /** Whether everything is in here: what is not cannot be served. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** All that was held at the start is in here now. */
  complete(): void {
    this.#isComplete = true
  }

  get size(): number {
    return this.#keys.size
  }

  has(key: Uint8Array): boolean {
    return this.#keys.has(key)
  }

  add(zipHash: ZipHash): void {
    const key = contentKey(zipHash)
    if (this.#keys.add(key)) this.#tell(key, true)
  }

  remove(zipHash: ZipHash): void {
    const key = contentKey(zipHash)
    if (this.#keys.delete(key)) this.#tell(key, false)
  }

  /** All keys in one byte string. */
  toBytes(): Uint8Array {
    return this.#keys.toBytes()
  }

  /** Calls the listener at each change; returns a function that stops it. */
  onChange(listener: InventoryListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(key: Uint8Array, isHeld: boolean): void {
    for (const listener of this.#listeners) listener(key, isHeld)
  }
}
