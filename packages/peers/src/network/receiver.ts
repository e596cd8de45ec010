import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { ByteSink } from '@modmesh/fill'
import { StreamCutError, StreamOverrunError } from './errors.ts'
import { joinedBytes, maxUnwrittenBytes } from './limits.ts'
import { Pieces } from './pieces.ts'

/** What a receiver is told. */
export interface ReceiverInit {
  /** Exact number of bytes to come. */
  readonly length: number
  readonly signal: AbortSignal
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/** Moves one stream into one sink; see receiveInto. */
export class Receiver {
  readonly #stream: Stream
  readonly #sink: ByteSink
  readonly #init: ReceiverInit
  readonly #waiting = new Pieces()
  readonly #done = Promise.withResolvers<void>()
  /** Reused from write to write. */
  #joined: Uint8Array | undefined
  #received = 0
  #unwritten = 0
  #writing = false
  #resuming = false
  #settled = false

  constructor(stream: Stream, sink: ByteSink, init: ReceiverInit) {
    this.#stream = stream
    this.#sink = sink
    this.#init = init
  }

  /** Runs once, to the end. */
  async run(): Promise<void> {
    const { signal, length } = this.#init
    if (signal.aborted) this.#fail(signal.reason)
    else if (length > 0) this.#listen()
    else this.#settle()
    try {
      await this.#done.promise
    } finally {
      this.#stream.removeEventListener('message', this.#onMessage)
      this.#stream.removeEventListener('end', this.#onEnd)
      this.#stream.removeEventListener('close', this.#onClose)
      signal.removeEventListener('abort', this.#onAbort)
    }
  }

  #listen(): void {
    this.#stream.addEventListener('end', this.#onEnd)
    this.#stream.addEventListener('close', this.#onClose)
    this.#init.signal.addEventListener('abort', this.#onAbort)
    this.#stream.addEventListener('message', this.#onMessage)
    // Ended before we listened: no event will come. What an unwrapped reader gave back is still unread,
    // though: a short body and its end may arrive together with the header.
    const { readableEnded, readBufferLength } = this.#stream
    if (readableEnded && readBufferLength < this.#init.length) this.#onEnd()
  }

  // A throw in a libp2p listener ends the process, so everything is caught here.
  readonly #onMessage = (event: StreamMessageEvent): void => {
    try {
      this.#take(event.data)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #onEnd = (): void => {
    if (this.#received < this.#init.length) this.#fail(this.#cut())
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    // Without an error, unread bytes may still come: `end` says when there are none.
    if (event.error !== undefined && this.#received < this.#init.length) {
      this.#fail(this.#cut(event.error))
    }
  }

  readonly #onAbort = (): void => {
    this.#fail(this.#init.signal.reason)
  }

  #take(data: StreamMessageEvent['data']): void {
    if (this.#settled) return
    const chunks = data instanceof Uint8Array ? [data] : [...data]
    for (const chunk of chunks) {
      this.#received += chunk.byteLength
      this.#unwritten += chunk.byteLength
      this.#waiting.push(chunk)
    }
    if (this.#received > this.#init.length) {
      throw this.#overrun()
    }
    this.#pauseIfFull()
    if (!this.#writing) void this.#write()
  }

  #pauseIfFull(): void {
    // pause() while resume() runs is lost: resume() opens the window after it. See #resumeIfLow.
    if (this.#resuming || this.#unwritten <= maxUnwrittenBytes) return
    if (this.#received < this.#init.length && this.#stream.readStatus === 'readable') {
      this.#stream.pause()
    }
  }

  #resumeIfLow(): void {
    if (this.#unwritten > maxUnwrittenBytes / 2 || this.#stream.readStatus !== 'paused') return
    this.#resuming = true
    this.#stream.resume()
    this.#resuming = false
    this.#pauseIfFull()
  }

  async #write(): Promise<void> {
    this.#writing = true
    try {
      for (let chunk = this.#next(); chunk !== undefined; chunk = this.#next()) {
        await this.#sink.write(chunk)
        if (this.#settled) return
        this.#unwritten -= chunk.byteLength
        this.#init.onProgress?.(this.#received - this.#unwritten)
        this.#resumeIfLow()
      }
      if (this.#received === this.#init.length) this.#settle()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#writing = false
    }
  }

  /** What waits, small chunks joined: a sink's cost is mostly per call. */
  #next(): Uint8Array | undefined {
    const { first } = this.#waiting
    if (first === undefined) return undefined
    this.#waiting.drop(first.byteLength)
    const { first: second } = this.#waiting
    if (second === undefined) return first
    if (first.byteLength + second.byteLength > joinedBytes) return first
    this.#joined ??= new Uint8Array(Math.min(joinedBytes, this.#init.length))
    this.#joined.set(first)
    let filled = first.byteLength
    for (let chunk = this.#waiting.first; chunk !== undefined; chunk = this.#waiting.first) {
      if (filled + chunk.byteLength > this.#joined.byteLength) break
      this.#joined.set(chunk, filled)
      filled += chunk.byteLength
      this.#waiting.drop(chunk.byteLength)
    }
    return this.#joined.subarray(0, filled)
  }

  #settle(): void {
    this.#settled = true
    this.#done.resolve()
    // A peer that goes on after the end would fill the read buffer of a stream that nobody reads.
    if (this.#stream.remoteWriteStatus === 'closed') return
    const onMore = (): void => this.#stream.abort(this.#overrun())
    this.#stream.addEventListener('message', onMore, { once: true })
  }

  #overrun(): StreamOverrunError {
    return new StreamOverrunError(`the peer sent more than ${this.#init.length} bytes`)
  }

  #fail(reason: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#waiting.clear()
    const error = reason instanceof Error ? reason : this.#cut(reason)
    this.#done.reject(error)
    this.#stream.abort(error)
  }

  #cut(cause?: unknown): StreamCutError {
    // What came before we listened is in the stream's own buffer.
    const receivedBytes = this.#received + this.#stream.readBufferLength
    return new StreamCutError({ receivedBytes, expectedBytes: this.#init.length }, { cause })
  }
}
