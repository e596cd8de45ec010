import { FetchError } from './fetch-error.ts'
import type { FallThrough } from './proxy-list.ts'
import { Turn } from './turn.ts'

/** Somebody of a list, and after which failures the next one is asked. */
export interface Candidate<T> {
  /** For messages. */
  readonly name: string
  readonly fallThrough: FallThrough
  /** Ends with its turn's signal. */
  readonly ask: (turn: Turn) => Promise<T>
  /** Whether it says anything at all to anybody, where that can be told. Never rejects. */
  readonly answers?: (() => Promise<boolean>) | undefined
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
 * Asks one after the other for at most `ms` in all, as cmd/go's TryProxies: 404 and 410 fall through always,
 * other failures after `|` only; the last failure that is not a 404 outranks those that are. Before a `|` nobody
 * who is silent, however often retried, takes the time of those behind. Throws AllFailedError, the caller's
 * reason, or what is no FetchError.
 */
export async function askInOrder<T>(
  candidates: readonly Candidate<T>[],
  { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
): Promise<T> {
  const endMs = performance.now() + ms
  const failures: FetchError[] = []
  for (const [i, candidate] of candidates.entries()) {
    signal.throwIfAborted()
    const leftMs = Math.max(endMs - performance.now(), 0)
    const behind = candidate.fallThrough === 'any' ? candidates.length - i - 1 : 0
    const shareMs = leftMs * shareOf(behind)
    const answers = behind > 0 ? candidate.answers : undefined
    using turn = new Turn({ name: candidate.name, signal, shareMs, leftMs, answers })
    try {
      return await candidate.ask(turn)
    } catch (error) {
      const failure = signal.aborted ? error : (turn.end ?? error)
      if (!(failure instanceof FetchError)) throw failure
      failures.push(failure)
      if (failure.failure !== 'absent' && candidate.fallThrough === 'absent') break
    }
  }
  const best = failures.findLast(({ failure }) => failure !== 'absent') ?? failures.at(-1)
  throw new AllFailedError(failures, best ?? new FetchError('absent', 'nobody to ask'))
}

/**
 * The part of the time left that one may be silent for, by how many can be asked after it. Half of it is shared out:
 * callers wait for other things too and may leave before all of it is gone.
 */
function shareOf(behind: number): number {
  return behind > 0 ? 1 / (2 * (behind + 1)) : 1
}
