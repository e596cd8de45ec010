import { UpstreamUnavailableError } from '@modmesh/fill'

/**
 * Runs work that is aborted with the caller's signal or after `ms`, whichever is first. Running out of time is an
 * UpstreamUnavailableError; the caller's own reason is passed on as it is.
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const deadline = AbortSignal.timeout(ms)
  try {
    return await work(AbortSignal.any([signal, deadline]))
  } catch (error) {
    if (signal.aborted || !deadline.aborted || error !== deadline.reason) throw error
    throw new UpstreamUnavailableError(`no answer from upstream within ${ms / 1_000} s`, {
      cause: error,
      timedOut: true,
    })
  }
}
