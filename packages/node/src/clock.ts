import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@modmesh/fill'

/** The machine's own time. */
export const machineClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (ms, { signal }) => {
    try {
      await sleep(ms, undefined, { signal })
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    }
  },
}
