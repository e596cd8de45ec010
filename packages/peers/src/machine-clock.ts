import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@modmesh/fill'

/** The machine's time. Its timers keep no process alive. */
export const machineClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  async sleep(ms, { signal }) {
    try {
      await sleep(ms, undefined, { signal, ref: false })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  },
}
