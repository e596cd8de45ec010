import type { Clock, PeerId } from '@modmesh/fill'
import type { ZipHash } from '@modmesh/module'
import { missingLimits } from '../limits.ts'

/** Holders that failed to deliver a content a moment ago: not offered again at once. */
export class Missing {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #until = new Map<string, number>()

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  note(peer: PeerId, zipHash: ZipHash): void {
    const key = `${peer} ${zipHash}`
    this.#until.delete(key)
    this.#until.set(key, this.#clock.monotonicMs() + missingLimits.forMs)
    if (this.#until.size <= missingLimits.entries) return
    const [oldest] = this.#until.keys()
    if (oldest !== undefined) this.#until.delete(oldest)
  }

  /** Forgets what a peer failed with: its link is a new one. */
  forget(peer: PeerId): void {
    for (const key of this.#until.keys()) if (key.startsWith(`${peer} `)) this.#until.delete(key)
  }

  has(peer: PeerId, zipHash: ZipHash): boolean {
    return (this.#until.get(`${peer} ${zipHash}`) ?? 0) > this.#clock.monotonicMs()
  }
}
