/** Why work is aborted whose result somebody else already has. One for all: making an error is slow. */
export const noLongerNeeded: Error = new Error('no longer needed')

/** The reason of an aborted signal as something that may be thrown. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new Error('aborted', { cause: signal.reason })
}

/** Marks a rejection as seen, where somebody else decides by it or nobody has to. */
export function handled<T>(work: Promise<T>): Promise<T> {
  // The rejection stays with `work`: this only keeps the runtime from calling it unhandled.
  work.catch(() => {})
  return work
}

/** Waits for `work`, but no longer than until the signal aborts: a port that ignores its signal holds up nobody. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(abortReason(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([aborted.promise, work])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Iterates until the source ends or the signal aborts; an abort ends it without an error. */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    while (!signal.aborted) {
      const next = await abortable(iterator.next(), signal)
      if (next.done === true) return
      yield next.value
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    // Not awaited: a generator that hangs in its own await would hold us too.
    const closing = iterator.return?.()
    if (closing !== undefined) void handled(closing)
  }
}

/** Work that is stopped as a whole: aborting it aborts every task started in it. */
export class Scope {
  readonly #controller = new AbortController()
  readonly #tasks = new Set<Promise<unknown>>()
  readonly #parent: AbortSignal
  readonly #onParentAbort = () => this.abort(abortReason(this.#parent))

  constructor(parent: AbortSignal) {
    this.#parent = parent
    if (parent.aborted) this.#onParentAbort()
    else parent.addEventListener('abort', this.#onParentAbort, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  abort(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** Starts a task that ends with the scope. Its rejection counts as seen. */
  start<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = handled(runTask(task, this.signal))
    const ended: Promise<unknown> = running.then(noop, noop).then(() => this.#tasks.delete(ended))
    this.#tasks.add(ended)
    return running
  }

  /** Aborts what still runs; resolves when all of it has ended. Never rejects. */
  async close(): Promise<void> {
    this.#parent.removeEventListener('abort', this.#onParentAbort)
    this.abort(noLongerNeeded)
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }
}

async function runTask<T>(
  task: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted()
  return await task(signal)
}

function noop(): void {}
