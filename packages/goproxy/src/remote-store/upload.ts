import { Readable } from 'node:stream'
import { stalled } from '../upstream/to-fetch-error.ts'

/** A body on its way to a bucket, given up when the bucket takes nothing of it for too long. */
export class Upload implements Disposable {
  /** Aborts with FetchError (stalled), or as the signal that was given. */
  readonly signal: AbortSignal
  readonly body: Readable
  readonly #late = new AbortController()
  readonly #origin: string
  readonly #stallMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(
    body: AsyncIterable<Uint8Array>,
    init: { readonly signal: AbortSignal; readonly origin: string; readonly stallMs: number },
  ) {
    this.signal = AbortSignal.any([init.signal, this.#late.signal])
    this.#origin = init.origin
    this.#stallMs = init.stallMs
    // A body that fails to be read makes the request fail.
    this.body = Readable.from(this.#watched(body), { objectMode: false })
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }

  /** Only the time that the bucket needs counts, not that of our disk. */
  async *#watched(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      this.#timer = setTimeout(() => this.#late.abort(stalled(this.#origin)), this.#stallMs)
      yield chunk
      clearTimeout(this.#timer)
    }
  }
}
