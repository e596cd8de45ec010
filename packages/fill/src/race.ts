import { abortable, handled, Scope, until } from './scope.ts'

/** One way to an answer. Ends early when its signal aborts. */
export type Branch<T> = (signal: AbortSignal) => Promise<T>

/** Every branch of a race failed. */
export class AllFailedError extends Error {
  readonly code = 'ALL_FAILED'
  readonly errors: readonly unknown[]
  constructor(errors: readonly unknown[]) {
    super('every way to an answer failed')
    this.name = 'AllFailedError'
    this.errors = errors
  }
}

/** Thrown by a branch whose failure decides the race: the others are not waited for. */
export class DecidingError extends Error {
  readonly code = 'DECIDING'
  override readonly cause: unknown
  constructor(cause: unknown) {
    super('decided by one branch')
    this.name = 'DecidingError'
    this.cause = cause
  }
}

/**
 * Runs branches as they come, at most `limit` at a time; the first that succeeds wins and the others
 * are aborted. Throws AllFailedError, or the signal's reason. Losers that linger are given to
 * `background`.
 */
export async function firstSuccess<T>(
  branches: Iterable<Branch<T>> | AsyncIterable<Branch<T>>,
  options: {
    readonly signal: AbortSignal
    readonly background: (task: Promise<unknown>) => void
    readonly limit?: number
  },
): Promise<T> {
  const scope = new Scope(options.signal)
  const errors: unknown[] = []
  const won = Promise.withResolvers<T>()
  void handled(won.promise)
  const running = new Set<Promise<void>>()
  const run = (branch: Branch<T>) => {
    const task = runBranch(branch).finally(() => running.delete(task))
    running.add(task)
  }
  const runBranch = async (branch: Branch<T>) => {
    try {
      won.resolve(await scope.start(branch))
    } catch (error) {
      errors.push(error instanceof DecidingError ? error.cause : error)
      if (error instanceof DecidingError) won.reject(new AllFailedError([...errors]))
    }
  }
  const runAll = async () => {
    for await (const branch of asAsync(branches, scope.signal)) {
      while (running.size >= (options.limit ?? Number.POSITIVE_INFINITY)) {
        await Promise.race(running)
      }
      run(branch)
    }
    while (running.size > 0) await Promise.race(running)
    won.reject(new AllFailedError(errors))
  }
  scope.start(runAll).catch((error: unknown) => won.reject(new AllFailedError([...errors, error])))
  try {
    return await abortable(won.promise, options.signal)
  } finally {
    options.background(scope.close())
  }
}

async function* asAsync<T>(
  branches: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  if (Symbol.asyncIterator in branches) yield* until(branches, signal)
  else yield* branches
}
