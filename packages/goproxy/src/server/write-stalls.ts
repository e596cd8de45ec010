import type { ServerResponse } from 'node:http'

interface Watched {
  flushed: number
  /** Looks since it last moved. */
  looks: number
}

/** Looks within the limit: one of them may be lost to a standstill of our own, after which bytes may go on at once. */
const looksUntilStalled = 4

/**
 * Cuts clients that ask and never read: Node would hold their answers for ever. Progress is bytes that left
 * our buffers for the kernel's.
 */
export class WriteStalls implements Disposable {
  readonly #watched = new Map<ServerResponse, Watched>()
  readonly #timer: NodeJS.Timeout

  constructor(stallMs: number) {
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, stallMs / looksUntilStalled))
    this.#timer.unref()
  }

  watch(response: ServerResponse): void {
    this.#watched.set(response, { flushed: 0, looks: 0 })
    response.once('close', () => this.#watched.delete(response))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    for (const [response, watched] of this.#watched) {
      const { socket } = response
      const pending = response.writableLength + (socket?.writableLength ?? 0)
      const flushed = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0)
      // Nothing to write is our own slowness, and no fault of the client.
      if (pending === 0 || flushed > watched.flushed) {
        watched.flushed = flushed
        watched.looks = 0
      } else if (++watched.looks >= looksUntilStalled) {
        response.destroy()
        socket?.destroy()
      }
    }
  }
}
