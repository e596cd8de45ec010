import type { Refusal } from '../gate/refusal.ts'
import type { DialTarget } from './dial-target.ts'
import { maxLearnedPeers } from './limits.ts'

/** Keeps why dials of ours did not pass the gate until somebody asks: libp2p's own errors do not say. */
export class DialRefusals {
  readonly #byAddress = new Map<string, Refusal>()

  note(refusal: Refusal): void {
    if (refusal.direction !== 'outbound') return
    this.#byAddress.set(refusal.address, refusal)
    // The DHT dials too, and nobody asks for the reasons of its failures.
    const oldest = this.#byAddress.keys().next().value
    if (this.#byAddress.size > maxLearnedPeers && oldest !== undefined) {
      this.#byAddress.delete(oldest)
    }
  }

  /** Forgets what an address was refused for before. */
  forget(address: string): void {
    this.#byAddress.delete(address)
  }

  /** Gives why a target's addresses were refused, once. */
  take(target: DialTarget): readonly Refusal[] {
    const own = [...this.#byAddress].filter(
      ([address, { peer }]) =>
        address === target.address?.toString() ||
        (target.peer !== undefined && peer === target.peer),
    )
    for (const [address] of own) this.#byAddress.delete(address)
    return own.map(([, refusal]) => refusal)
  }
}
