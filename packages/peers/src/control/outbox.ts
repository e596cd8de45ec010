import * as lp from 'it-length-prefixed'
import { Uint8ArrayList } from 'uint8arraylist'
import { bodyLimits } from '../body/limits.ts'
import { SessionClosedError } from '../errors.ts'
import { controlLimits } from './limits.ts'

/** Whether a frame was taken, or the peer reads too slowly for us to go on. */
export type PushOutcome = 'taken' | 'full'

/**
 * Frames on their way out of one session, bounded. Iterated by the stream's writer, which takes all
 * that waits as one piece: encryption makes a frame of every write.
 */
export class Outbox implements AsyncIterable<Uint8Array> {
  #frames: Uint8ArrayList[] = []
  #bytes = 0
  #isEnded = false
  #more = Promise.withResolvers<void>()
  #room = Promise.withResolvers<void>()
  readonly #onTaken: () => void

  constructor(init: { readonly onTaken: () => void }) {
    this.#onTaken = init.onTaken
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Puts a frame in line. */
  push(frame: Uint8Array): PushOutcome {
    if (this.#isEnded) return 'taken'
    if (this.#bytes + frame.byteLength > controlLimits.outboxHardBytes) return 'full'
    const prefixed = lp.encode.single(frame, { maxDataLength: controlLimits.frameBytes })
    this.#frames.push(prefixed)
    this.#bytes += prefixed.byteLength
    this.#more.resolve()
    return 'taken'
  }

  /** Resolves when there is room for a large frame. Throws SessionClosedError after the end. */
  async room(): Promise<void> {
    while (this.#bytes > controlLimits.outboxSoftBytes && !this.#isEnded) await this.#room.promise
    if (this.#isEnded) throw new SessionClosedError('session ended')
  }

  /** Nothing more will come; what waits is still sent. */
  end(): void {
    this.#isEnded = true
    this.#more.resolve()
    this.#room.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#take()
      if (piece !== undefined) yield piece
      else if (this.#isEnded) return
      else await this.#more.promise
    }
  }

  #take(): Uint8Array | undefined {
    const piece = new Uint8ArrayList()
    let taken = 0
    for (const frame of this.#frames) {
      if (taken > 0 && piece.byteLength + frame.byteLength > bodyLimits.chunkBytes) break
      piece.append(frame)
      taken += 1
    }
    if (taken === 0) {
      this.#more = Promise.withResolvers<void>()
      return undefined
    }
    this.#frames = this.#frames.slice(taken)
    this.#bytes -= piece.byteLength
    this.#onTaken()
    this.#wakeRoom()
    return piece.subarray()
  }

  #wakeRoom(): void {
    if (this.#bytes > controlLimits.outboxSoftBytes) return
    this.#room.resolve()
    if (!this.#isEnded) this.#room = Promise.withResolvers<void>()
  }
}
