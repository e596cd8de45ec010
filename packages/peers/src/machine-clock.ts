import type { Clock } from '@modmesh/fill'

/** The machine's time. Its timers keep no process alive. */
export const machineClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep,
}

/** Most sleeps here are deadlines that end early: those of `node:timers/promises` make an error with a stack then, which costs more than a question to a peer. */
function sleep(ms: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (signal.aborted) return Promise.reject(signal.reason)
  const onAbort = (): void => {
    clearTimeout(timer)
    reject(signal.reason)
  }
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', onAbort)
    resolve()
  }, ms).unref()
  signal.addEventListener('abort', onAbort, { once: true })
  return promise
}
