import type { Clock } from '@modmesh/fill'

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

/** A clock that stands still until told otherwise. */
export class ManualClock implements Clock {
  #now = 1_000
  #sleepers: Sleeper[] = []

  monotonicMs(): number {
    return this.#now
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#now
  }

  get sleeping(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  /** Moves time on, waking sleepers in order and letting their work happen in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const next = this.#sleepers.toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.#now = Math.max(this.#now, next.at)
      this.#sleepers = this.#sleepers.filter((other) => other !== next)
      next.wake()
    }
    this.#now = end
    await settle()
  }
}

/** Lets all promise work that is ready happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
