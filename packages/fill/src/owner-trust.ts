import type { Clock } from './clock.ts'
import { ownerRestMaxMs, ownerRestMs, ownerTrialMs } from './limits.ts'
import type { PeerId } from './peers.ts'

interface Trouble {
  /** Not asked before, on the monotonic clock. */
  untilMs: number
  /** The next rest. */
  restMs: number
  /** One question tries it. */
  isTrial: boolean
}

/**
 * Which owners failed us a moment ago: they are not asked for a while, so that a hung or broken one
 * costs one wait and not one per module. After the rest one question tries it; the others go on
 * without it until that one was answered.
 */
export class OwnerTrust {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #troubles = new Map<PeerId, Trouble>()

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  readonly isTrusted = (peer: PeerId): boolean => {
    const trouble = this.#troubles.get(peer)
    return trouble === undefined || this.#clock.monotonicMs() >= trouble.untilMs
  }

  /** A question goes out to it. */
  asked(peer: PeerId): void {
    const trouble = this.#troubles.get(peer)
    if (trouble === undefined) return
    trouble.untilMs = this.#clock.monotonicMs() + ownerTrialMs
    trouble.isTrial = true
  }

  worked(peer: PeerId): void {
    this.#troubles.delete(peer)
  }

  /** Questions that fail together count once. */
  failed(peer: PeerId): void {
    const nowMs = this.#clock.monotonicMs()
    const trouble = this.#troubles.get(peer)
    if (trouble !== undefined && !trouble.isTrial && nowMs < trouble.untilMs) return
    const restMs = trouble?.restMs ?? ownerRestMs
    const next = { untilMs: nowMs + restMs, restMs: Math.min(ownerRestMaxMs, restMs * 2) }
    this.#troubles.set(peer, { ...next, isTrial: false })
  }
}
