import type { Clock } from './clock.ts'
import { UpstreamUnavailableError } from './errors.ts'
import { Scope } from './scope.ts'

/**
 * Runs work in a scope of its own, which ends with it, for at most `ms`. Throws UpstreamUnavailableError
 * (timed out) then, or the signal's reason. What lingers is given to `background`.
 */
export async function withTimeLimit<T>(
  clock: Clock,
  limit: {
    readonly ms: number
    /** For the error: what did not come in time. */
    readonly what?: string
    readonly signal: AbortSignal
    readonly background: (task: Promise<unknown>) => void
  },
  work: (scope: Scope) => Promise<T>,
): Promise<T> {
  const { ms, what, signal, background } = limit
  const scope = new Scope(signal)
  const expired = scope.start(async (ended): Promise<never> => {
    await clock.sleep(ms, { signal: ended })
    const message = `no answer within ${ms} ms`
    throw new UpstreamUnavailableError(what === undefined ? message : `${what}: ${message}`, {
      timedOut: true,
    })
  })
  try {
    return await Promise.race([scope.start(() => work(scope)), expired])
  } finally {
    background(scope.close())
  }
}
