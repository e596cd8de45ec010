import type { ByteSink } from '@modmesh/fill'
import { FetchError } from '../upstream/fetch-error.ts'
import type { S3Answer } from './s3-client.ts'

/** A zip's body that goes on where it was cut, as long as it is the same object. */
export class ResumedBody {
  readonly #sink: ByteSink
  readonly #onReset: () => Promise<void>
  readonly #progress: () => void
  #length = 0
  #etag: string | undefined

  constructor(sink: ByteSink, onReset: () => Promise<void>, progress: () => void) {
    this.#sink = sink
    this.#onReset = onReset
    this.#progress = progress
  }

  /** Asks for the rest of the object that was begun. */
  headers(): Readonly<Record<string, string>> {
    if (this.#length === 0 || this.#etag === undefined) return {}
    return { range: `bytes=${this.#length}-`, 'if-match': this.#etag }
  }

  /** Throws FetchError, and what the sink throws. */
  async take(answer: S3Answer): Promise<void> {
    const isRest =
      answer.status === 206 &&
      answer.header('content-range')?.startsWith(`bytes ${this.#length}-`) === true
    if (answer.status === 206 && !isRest) {
      answer.leave()
      throw new FetchError('malformed', 'another range than was asked for')
    }
    if (this.#length > 0 && !isRest) {
      await this.#restart()
      if (answer.kind === 'refused') throw new FetchError('reset', 'it was replaced meanwhile')
    }
    this.#etag = answer.header('etag')
    for await (const chunk of answer.body) {
      this.#progress()
      await this.#sink.write(chunk)
      this.#length += chunk.length
      this.#progress()
    }
  }

  async #restart(): Promise<void> {
    this.#length = 0
    this.#etag = undefined
    await this.#onReset()
  }
}
