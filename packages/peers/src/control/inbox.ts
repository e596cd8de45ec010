import type { Uint8ArrayList } from 'uint8arraylist'
import { ProtocolError } from '../errors.ts'
import { controlLimits } from './limits.ts'

type Piece = Uint8Array | Uint8ArrayList

/**
 * Pieces that arrived and wait for the reader, bounded. The reader takes at its allowance; who sends
 * on regardless fills this and ends the session with blame.
 */
export class Inbox implements AsyncIterable<Piece> {
  #pieces: Piece[] = []
  #bytes = 0
  #end: { readonly error: Error | undefined } | undefined
  #more = Promise.withResolvers<void>()

  /** Puts a piece in line; after the end it is dropped. */
  push(piece: Piece): void {
    if (this.#end !== undefined) return
    this.#pieces.push(piece)
    this.#bytes += piece.byteLength
    const isTooMuch =
      this.#bytes > controlLimits.inboxBytes || this.#pieces.length > controlLimits.inboxPieces
    if (isTooMuch) this.end(new ProtocolError('sends faster than it may'))
    else this.#more.resolve()
  }

  /** Nothing more will come. With an error, what waits is dropped. */
  end(error?: Error): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    if (error !== undefined) this.#pieces = []
    this.#more.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece> {
    for (;;) {
      const pieces = this.#pieces
      this.#pieces = []
      this.#bytes = 0
      if (pieces.length > 0) yield* pieces
      else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error
        return
      } else {
        this.#more = Promise.withResolvers<void>()
        await this.#more.promise
      }
    }
  }
}
