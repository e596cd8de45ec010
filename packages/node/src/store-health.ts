import type { Clock, FillEvent } from '@modmesh/fill'
import type { DiskStore } from '@modmesh/store'
import { errorCode } from './errors.ts'
import { printableName } from './printable.ts'

/** After a failed write, and between looks whether one would work by now. Milliseconds. */
const recheckMs = 5_000

/** Why something could not be kept, and when that was last found. */
interface Failure {
  readonly reason: string
  foundMs: number
}

/** Whether answers can be kept: a write that failed counts until a zip is kept again, or a try finds that it could be. */
export class StoreHealth {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #store: Pick<DiskStore, 'canKeep'>
  #failure: Failure | undefined

  constructor(components: {
    readonly clock: Pick<Clock, 'monotonicMs'>
    readonly store: Pick<DiskStore, 'canKeep'>
  }) {
    this.#clock = components.clock
    this.#store = components.store
  }

  /** Takes note of one event of the fill. */
  record(event: FillEvent): void {
    if (event.kind === 'committed') this.#failure = undefined
    const isOurs = event.kind === 'failed' && errorCode(event.error) === 'STORE_WRITE'
    if (event.kind !== 'store-failed' && !isOurs) return
    const reason = printableName(event.error.message)
    this.#failure = { reason, foundMs: this.#clock.monotonicMs() }
  }

  /** Why the last thing could not be kept; undefined when it could be by now. */
  async failure(): Promise<string | undefined> {
    const failure = this.#failure
    const nowMs = this.#clock.monotonicMs()
    if (failure !== undefined && nowMs - failure.foundMs >= recheckMs) {
      // Whoever asks meanwhile is told what is known.
      failure.foundMs = nowMs
      const isWell = await this.#store.canKeep()
      // Not one that came meanwhile.
      if (isWell && this.#failure === failure) this.#failure = undefined
    }
    return this.#failure?.reason
  }
}
