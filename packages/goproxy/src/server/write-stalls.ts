import type { ServerResponse } from 'node:http'

interface Watched {
  flushed: number
  sinceMs: number
}

/**
 * Cuts clients that ask and never read: Node would hold their answers for ever. Progress is bytes that left
 * our buffers for the kernel's.
 */
export class WriteStalls implements Disposable {
  readonly #watched = new Map<ServerResponse, Watched>()
  readonly #timer: NodeJS.Timeout
  readonly #stallMs: number

  constructor(stallMs: number) {
    this.#stallMs = stallMs
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, stallMs / 4))
    this.#timer.unref()
  }

  watch(response: ServerResponse): void {
    this.#watched.set(response, { flushed: 0, sinceMs: performance.now() })
    response.once('close', () => this.#watched.delete(response))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [response, watched] of this.#watched) {
      const { socket } = response
      const pending = response.writableLength + (socket?.writableLength ?? 0)
      const flushed = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0)
      // Nothing to write is our own slowness, and no fault of the client.
      if (pending === 0 || flushed > watched.flushed) {
        watched.flushed = flushed
        watched.sinceMs = now
      } else if (now - watched.sinceMs >= this.#stallMs) {
        response.destroy()
        socket?.destroy()
      }
    }
  }
}
