import type { PeerId } from '@modmesh/fill'
import { hasRoom, type UploadLimits } from './upload-limits.ts'

/** Who takes a slot. */
export interface Taker {
  readonly peer: PeerId
  /** A member of another site. */
  readonly isWan: boolean
}

/** Counts uploads per peer and in total; more than the limits get `busy` at once. */
export class UploadSlots {
  readonly #limits: UploadLimits
  readonly #byPeer = new Map<PeerId, number>()
  /** Those of other sites, who are in `#byPeer` too. */
  readonly #wanByPeer = new Map<PeerId, number>()
  #taken = 0
  #wanTaken = 0

  constructor(init: UploadLimits = {}) {
    this.#limits = init
  }

  get taken(): number {
    return this.#taken
  }

  /** Slots taken by members of other sites. */
  get wanTaken(): number {
    return this.#wanTaken
  }

  /** Slots that a peer has. */
  of(peer: PeerId): number {
    return this.#byPeer.get(peer) ?? 0
  }

  /** Takes a slot and returns what gives it back, or undefined when there is none. */
  take({ peer, isWan }: Taker): (() => void) | undefined {
    if (!this.#hasRoom(peer, isWan)) return undefined
    this.#count(peer, isWan, 1)
    let isTaken = true
    return () => {
      if (isTaken) this.#count(peer, isWan, -1)
      isTaken = false
    }
  }

  #hasRoom(peer: PeerId, isWan: boolean): boolean {
    const { all = {}, wan = {} } = this.#limits
    const ofPeer = this.of(peer)
    const running = { streams: this.#taken, peers: this.#byPeer.size }
    if (!hasRoom(all, running, ofPeer)) return false
    const wanRunning = { streams: this.#wanTaken, peers: this.#wanByPeer.size }
    return !isWan || hasRoom(wan, wanRunning, ofPeer)
  }

  #count(peer: PeerId, isWan: boolean, step: 1 | -1): void {
    this.#taken += step
    add(this.#byPeer, peer, step)
    if (!isWan) return
    this.#wanTaken += step
    add(this.#wanByPeer, peer, step)
  }
}

function add(counts: Map<PeerId, number>, peer: PeerId, step: 1 | -1): void {
  const count = (counts.get(peer) ?? 0) + step
  if (count === 0) counts.delete(peer)
  else counts.set(peer, count)
}
