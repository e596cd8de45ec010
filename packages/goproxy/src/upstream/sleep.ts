import { setTimeout as sleep } from 'node:timers/promises'

/** Waits; rejects with the signal's own reason. */
export async function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}

/** The pause before another attempt, counted from 0: longer each time, and never in step with others. Milliseconds. */
export function backoffPauseMs(firstMs: number, attempt: number): number {
  return firstMs * 2 ** attempt * (0.5 + Math.random() / 2)
}
