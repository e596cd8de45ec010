import type { PeerId } from '@modmesh/fill'
import { bodyLimits } from '../limits.ts'

/** Counts uploads per peer and in total; more than the limits get `busy` at once. */
export class UploadSlots {
  readonly #perPeer: number
  readonly #total: number
  readonly #byPeer = new Map<PeerId, number>()
  #taken = 0

  constructor(init: { readonly perPeer?: number; readonly total?: number } = {}) {
    this.#perPeer = init.perPeer ?? bodyLimits.uploadsPerPeer
    this.#total = init.total ?? bodyLimits.uploads
  }

  get taken(): number {
    return this.#taken
  }

  /** Takes a slot and returns what gives it back, or undefined when there is none. */
  take(peer: PeerId): (() => void) | undefined {
    const ofPeer = this.#byPeer.get(peer) ?? 0
    if (this.#taken >= this.#total || ofPeer >= this.#perPeer) return undefined
    this.#taken += 1
    this.#byPeer.set(peer, ofPeer + 1)
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      this.#taken -= 1
      const left = (this.#byPeer.get(peer) ?? 1) - 1
      if (left === 0) this.#byPeer.delete(peer)
      else this.#byPeer.set(peer, left)
    }
  }
}
