import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { ProtocolError } from '../errors.ts'
import { Pieces } from '../network/pieces.ts'
import { deltaLimits } from './limits.ts'

/** What a frame is. */
export const frameKinds = {
  /** CBOR. */
  message: 1,
  data: 2,
  /** No more data. */
  end: 3,
  /** Nothing yet. */
  working: 4,
} as const

/** One frame. */
export interface Frame {
  readonly kind: (typeof frameKinds)[keyof typeof frameKinds]
  readonly bytes: Uint8Array
}

/** Kind and length, the length in three bytes. */
export const frameHeadBytes = 4

const longest: ReadonlyMap<number, number> = new Map([
  [frameKinds.message, deltaLimits.messageBytes],
  [frameKinds.data, deltaLimits.dataBytes],
  [frameKinds.end, 0],
  [frameKinds.working, 0],
])

/** The stream is over, and more was to come: nobody's fault. */
export class DeltaCutError extends Error {
  readonly code = 'DELTA_CUT'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DeltaCutError'
  }
}

/** Reads frames of a stream with back-pressure: at most a message and `waitingBytes` wait in memory. */
export class FrameReader implements Disposable {
  readonly #stream: Stream
  readonly #onBytes: (bytes: number) => void
  readonly #waiting = new Pieces()
  #over: { readonly error: Error } | undefined
  #resuming = false
  #wake: () => void = () => {}

  /** `onBytes` is told of what comes, frames or not. */
  constructor(stream: Stream, onBytes: (bytes: number) => void = () => {}) {
    this.#stream = stream
    this.#onBytes = onBytes
    stream.addEventListener('end', this.#onEnd)
    stream.addEventListener('close', this.#onClose)
    stream.addEventListener('message', this.#onMessage)
    if (stream.readableEnded && stream.readBufferLength === 0) this.#onEnd()
  }

  [Symbol.dispose](): void {
    this.#stream.removeEventListener('end', this.#onEnd)
    this.#stream.removeEventListener('close', this.#onClose)
    this.#stream.removeEventListener('message', this.#onMessage)
  }

  /** The next frame; undefined when the other side ended in good order between two. Throws ProtocolError, DeltaCutError, the signal's reason. */
  async read({ signal }: { readonly signal: AbortSignal }): Promise<Frame | undefined> {
    if (!(await this.#has(frameHeadBytes, signal))) {
      if (this.#waiting.size === 0 && this.#over?.error instanceof EndedError) return undefined
      throw this.#cut()
    }
    const head = this.#take(frameHeadBytes)
    const kind = head[0] ?? 0
    const length = ((head[1] ?? 0) << 16) | ((head[2] ?? 0) << 8) | (head[3] ?? 0)
    const most = longest.get(kind)
    if (most === undefined || length > most) throw new ProtocolError('not a frame')
    // Honest data says something; what does not is read for ever.
    if (kind === frameKinds.data && length === 0) throw new ProtocolError('data without bytes')
    if (!(await this.#has(length, signal))) throw this.#cut()
    return { kind: kind as Frame['kind'], bytes: this.#take(length) }
  }

  // A throw in a libp2p listener ends the process; nothing here throws.
  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    const bytes = data instanceof Uint8Array ? data : data.subarray()
    if (bytes.length === 0) return
    this.#waiting.push(bytes)
    this.#onBytes(bytes.length)
    this.#pauseIfFull()
    this.#wake()
  }

  readonly #onEnd = (): void => this.#end(new EndedError())

  readonly #onClose = ({ error }: StreamCloseEvent): void => {
    // Without an error, unread bytes may still come: `end` says when there are none.
    if (error !== undefined) this.#end(error)
  }

  #end(error: Error): void {
    this.#over ??= { error }
    this.#wake()
  }

  #cut(): DeltaCutError {
    return new DeltaCutError('the stream ended too early', { cause: this.#over?.error })
  }

  async #has(bytes: number, signal: AbortSignal): Promise<boolean> {
    while (this.#waiting.size < bytes) {
      signal.throwIfAborted()
      if (this.#over !== undefined) return false
      this.#resumeIfLow(bytes)
      await this.#news(signal)
    }
    signal.throwIfAborted()
    return true
  }

  #take(length: number): Uint8Array {
    const bytes = this.#waiting.take(length)
    this.#resumeIfLow(0)
    return bytes
  }

  #pauseIfFull(): void {
    // pause() while resume() runs is lost: resume() opens the window after it.
    if (this.#resuming || this.#waiting.size <= deltaLimits.waitingBytes) return
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  #resumeIfLow(needed: number): void {
    const isLow = this.#waiting.size <= Math.max(deltaLimits.waitingBytes / 2, needed)
    if (!isLow || this.#stream.readStatus !== 'paused') return
    this.#resuming = true
    this.#stream.resume()
    this.#resuming = false
    this.#pauseIfFull()
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      signal.addEventListener('abort', done, { once: true })
    })
  }
}

/** The other side has said all. */
class EndedError extends Error {}
