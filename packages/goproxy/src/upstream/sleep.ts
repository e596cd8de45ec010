import { setTimeout as sleep } from 'node:timers/promises'

/** Waits; rejects with the signal's own reason. */
export async function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}
