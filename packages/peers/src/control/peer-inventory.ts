import { controlLimits } from '../limits.ts'
import { ContentSet, splitKeys } from './content-set.ts'
import type { InventoryFrame } from './message.ts'

/** What came of a frame: taken in, or a gap that only a full inventory heals. */
export type InventoryOutcome = 'taken' | 'gap'

/**
 * What one peer says it can serve this instant. Hints: a claim that fails is dropped at once.
 * Entries beyond the limit are not kept; the peer is then asked as if they were not held.
 */
export class PeerInventory {
  readonly #keys = new ContentSet()
  readonly #maxEntries: number
  #next: number | undefined
  #isComplete = false

  constructor(maxEntries: number = controlLimits.inventoryEntries) {
    this.#maxEntries = maxEntries
  }

  get size(): number {
    return this.#keys.size
  }

  /** Whether a full inventory arrived and no frame was missed since. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  has(key: Uint8Array): boolean {
    return this.#keys.has(key)
  }

  /** Forgets one claim, until the peer makes it again. */
  drop(key: Uint8Array): void {
    this.#keys.delete(key)
  }

  /** Takes a frame in. After a gap everything is refused until the next full inventory. */
  apply(frame: InventoryFrame): InventoryOutcome {
    if (frame.full) this.#clear()
    else if (frame.seq !== this.#next) return this.#lose()
    this.#next = frame.seq + 1
    for (const key of splitKeys(frame.removed)) this.#keys.delete(key)
    for (const key of splitKeys(frame.added)) {
      if (this.#keys.size >= this.#maxEntries) break
      this.#keys.add(key)
    }
    if (frame.last) this.#isComplete = true
    return 'taken'
  }

  #clear(): void {
    this.#keys.clear()
    this.#isComplete = false
  }

  #lose(): InventoryOutcome {
    this.#clear()
    this.#next = undefined
    return 'gap'
  }
}
