import type { Clock } from '@modmesh/fill'
import type { FakeClock } from '@modmesh/fill/twins'

/** One life of a node on the world's clock: when the node is killed, none of its timers rings any more. */
export class SimClock implements Clock {
  readonly #clock: FakeClock
  readonly #cancels = new Set<() => void>()
  #isDead = false

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  /** Whether its life ended by a kill: what goes on of it is nobody's. */
  get isDead(): boolean {
    return this.#isDead
  }

  get pending(): number {
    return this.#cancels.size
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#isDead) return
      const end = () => {
        this.#cancels.delete(cancel)
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = () => {
        cancel()
        end()
        reject(signal.reason)
      }
      const cancel = this.#clock.after(ms, () => {
        end()
        resolve()
      })
      this.#cancels.add(cancel)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  kill(): void {
    this.#isDead = true
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }
}
