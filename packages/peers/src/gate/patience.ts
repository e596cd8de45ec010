/** Parts into which a wait is cut: one of them may be lost to a standstill of our own. */
const slices = 8

/** A time for a peer to answer in; `signal` aborts when it is over. */
export interface Patience extends Disposable {
  readonly signal: AbortSignal
}

/**
 * Gives a peer time, milliseconds. What passes while our own event loop stands still is not held
 * against it: its bytes may lie unread in the socket, and are read before the next slice is over.
 */
export function patience(ms: number): Patience {
  const over = new AbortController()
  let left = slices
  let timer: NodeJS.Timeout
  const wait = (): void => {
    timer = setTimeout(() => {
      left -= 1
      if (left > 0) wait()
      else over.abort(new DOMException('the time is over', 'TimeoutError'))
    }, ms / slices).unref()
  }
  wait()
  return { signal: over.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}
