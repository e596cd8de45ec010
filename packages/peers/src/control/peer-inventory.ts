import { ProtocolError } from '../errors.ts'
import { ContentSet, splitKeys } from './content-set.ts'
import { controlLimits } from './limits.ts'
import { contentKeyBytes, type InventoryFrame } from './message.ts'

/** Frames of one full inventory: 62 hold the largest; a peer may send small ones. */
const mostUnendedFrames = 10_000

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
  /** Frames and claims since a full inventory began that has not ended. */
  #frames = 0
  #claims = 0

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

  /**
   * Takes a frame in. After a gap everything is refused until the next full inventory. Throws
   * ProtocolError for one that does not end: twice of what is kept, in so many frames, is more than
   * anybody holds.
   */
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
    if (!this.#isComplete) this.#countUnended(frame)
    return 'taken'
  }

  #countUnended(frame: InventoryFrame): void {
    this.#frames += 1
    this.#claims += (frame.added.length + frame.removed.length) / contentKeyBytes
    const most = 2 * this.#maxEntries
    // Changes are told in between, a few to a frame.
    if (this.#claims <= most && this.#frames <= mostUnendedFrames) return
    this.#clear()
    throw new ProtocolError('sends an inventory that does not end')
  }

  #clear(): void {
    this.#frames = 0
    this.#claims = 0
    this.#keys.clear()
    this.#isComplete = false
  }

  #lose(): InventoryOutcome {
    this.#clear()
    this.#next = undefined
    return 'gap'
  }
}
