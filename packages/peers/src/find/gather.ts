/** What the parts of a gathering may do. */
export interface GatherTools<T> {
  /** Gives one finding to whoever iterates. */
  readonly push: (finding: T) => void
  /** Aborts when the iteration is left or the caller's signal aborts. */
  readonly signal: AbortSignal
}

/** Ends the parts of a gathering that nobody iterates any more. */
const left = new Error('no longer asked for')

/**
 * Yields findings as they come from work that runs on its own; ends when the work is done or the
 * signal aborts. Leaving the iteration ends the work. What the work throws is told to `failed`.
 */
export async function* gather<T>(
  work: (tools: GatherTools<T>) => Promise<void>,
  options: { readonly signal: AbortSignal; readonly failed: (error: unknown) => void },
): AsyncGenerator<T> {
  const findings: T[] = []
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  let more = Promise.withResolvers<void>()
  let isDone = false
  const finish = () => {
    isDone = true
    more.resolve()
  }
  const push = (finding: T) => {
    findings.push(finding)
    more.resolve()
  }
  signal.addEventListener('abort', finish, { once: true })
  work({ push, signal })
    .catch((error: unknown) => {
      if (!signal.aborted) options.failed(error)
    })
    .finally(finish)
  try {
    for (;;) {
      const finding = findings.shift()
      if (finding !== undefined) yield finding
      else if (isDone) return
      else {
        more = Promise.withResolvers<void>()
        await more.promise
      }
    }
  } finally {
    stop.abort(left)
  }
}
