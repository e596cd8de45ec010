import { FetchError } from './fetch-error.ts'
import type { FallThrough } from './proxy-list.ts'

/** Somebody of a list, and after which failures the next one is asked. */
export interface Candidate<T> {
  readonly fallThrough: FallThrough
  readonly ask: () => Promise<T>
}

/** Nobody of a list delivered. `failures` is never empty; `best` is the one that decides. */
export class AllFailedError extends Error {
  readonly code = 'ALL_FAILED'
  readonly best: FetchError
  readonly failures: readonly FetchError[]
  constructor(failures: readonly FetchError[], best: FetchError) {
    super(failures.map(({ message }) => message).join('\n'))
    this.name = 'AllFailedError'
    this.best = best
    this.failures = failures
  }
}

/**
 * Asks one after the other, as cmd/go's TryProxies: 404 and 410 fall through always, other failures after `|`
 * only; the last failure that is not a 404 outranks those that are. Throws AllFailedError, or what is no FetchError.
 */
export async function askInOrder<T>(candidates: readonly Candidate<T>[]): Promise<T> {
  const failures: FetchError[] = []
  for (const { ask, fallThrough } of candidates) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof FetchError)) throw error
      failures.push(error)
      if (error.failure !== 'absent' && fallThrough === 'absent') break
    }
  }
  const best = failures.findLast(({ failure }) => failure !== 'absent') ?? failures.at(-1)
  throw new AllFailedError(failures, best ?? new FetchError('absent', 'nobody to ask'))
}
