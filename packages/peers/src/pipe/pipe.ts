import { setImmediate } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import type { BodyChunks, ByteSink } from '@modmesh/fill'
import { ProtocolError } from '../errors.ts'
import { StreamCutError, StreamOverrunError, StreamSendError } from '../network/errors.ts'
import { Arrivals } from './arrivals.ts'
import { pipeLimits } from './limits.ts'
import type { PipeSocket } from './pipe-tls.ts'

interface Received {
  readonly receivedBytes: number
  readonly expectedBytes: number
}

/** What waits ends with the signal, and the pipe with it: nobody knows any more what comes next on it. */
interface Waiting {
  readonly signal: AbortSignal
}

/**
 * One end of a pipe: frames (a length in one or two bytes, then so many) and bodies of a known length, in
 * turns and in order. Every call throws the signal's reason when aborted, and the pipe is over then.
 */
export class Pipe {
  readonly #socket: TLSSocket
  readonly #arrivals = new Arrivals()
  #wake: (() => void) | undefined
  #sent: Promise<void> = Promise.resolve()
  #isEndedByPeer = false
  readonly #sayEnd: () => Promise<void>

  /** With what tells the other end, on another way, that the pipe is ended on purpose. */
  constructor({ socket, onBytes }: PipeSocket, sayEnd: () => Promise<void>) {
    this.#socket = socket
    this.#sayEnd = sayEnd
    onBytes((bytes) => this.#take(bytes))
    socket.on('drain', () => this.#wake?.())
    // Errors end in `close`; a listener keeps them from ending the process.
    socket.on('error', () => this.#wake?.())
    socket.on('end', () => this.destroy())
    socket.on('close', () => this.#wake?.())
    if (socket.readableEnded) this.destroy()
  }

  get isOver(): boolean {
    return this.#socket.destroyed
  }

  /** Whether the other end said that it ends the pipe, and did not just die or fail. */
  get isEndedByPeer(): boolean {
    return this.#isEndedByPeer
  }

  /** Takes the other end's word. */
  endedByPeer(): void {
    this.#isEndedByPeer = true
    this.destroy()
  }

  /** Ends the pipe on purpose. */
  async end(): Promise<void> {
    await this.#sayEnd()
    this.destroy()
  }

  /** Calls back when the pipe is over, at once when it is. */
  onOver(listener: () => void): void {
    if (this.isOver) listener()
    else this.#socket.once('close', listener)
  }

  destroy(): void {
    this.#socket.destroy()
    this.#wake?.()
  }

  /** Waits until there is something to read; false when the pipe is over instead. */
  async untilAsked(): Promise<boolean> {
    while (this.#arrivals.size === 0 && !this.isOver) await this.#next()
    return this.#arrivals.size > 0
  }

  /** Reads a frame of at most `maxBytes`. Throws ProtocolError for a longer one, StreamCutError at the end. */
  read(options: Waiting & { readonly maxBytes: number }): Promise<Uint8Array> {
    return this.#during(options, async () => {
      const [low = 0] = await this.#exactly(1)
      const [high = 0] = low < 0x80 ? [0] : await this.#exactly(1)
      if (high >= 0x80) throw new ProtocolError('frame too long')
      const length = (low & 0x7f) | (high << 7)
      if (length > options.maxBytes) throw new ProtocolError('frame too long')
      return await this.#exactly(length)
    })
  }

  /** Writes a frame. */
  async write(frame: Uint8Array): Promise<void> {
    const { byteLength } = frame
    const length = byteLength < 0x80 ? [byteLength] : [(byteLength & 0x7f) | 0x80, byteLength >> 7]
    this.#write(Buffer.concat([Uint8Array.from(length), frame]))
  }

  /** Receives so many bytes into a sink; a slow sink slows the sender down. Throws StreamCutError, the sink's errors. */
  receive(sink: ByteSink, options: Waiting & { readonly length: number }): Promise<void> {
    const { length } = options
    return this.#during(options, async () => {
      const write = async (bytes: Uint8Array): Promise<void> => {
        await sink.write(bytes)
        options.signal.throwIfAborted()
      }
      for (let received = 0; received < length; ) {
        const left = length - received
        await this.#some({ receivedBytes: received, expectedBytes: length })
        // What is read in one turn of the event loop goes together: a write costs as much as 100 KB of it.
        if (this.#arrivals.size < Math.min(left, pipeLimits.blockBytes)) await setImmediate()
        received += await this.#first(left, write)
      }
    })
  }

  /** Sends chunks, one on its way at a time. Throws StreamSendError, the source's errors. */
  send(
    source: BodyChunks | AsyncIterable<Uint8Array>,
    options: Waiting & { readonly onProgress: (bytes: number) => void },
  ): Promise<void> {
    const recycle = 'recycle' in source ? source.recycle?.bind(source) : undefined
    return this.#during(options, async () => {
      let sent = 0
      for await (const chunk of source) {
        this.#write(chunk, recycle)
        await this.#drained()
        sent += chunk.byteLength
        options.onProgress(sent)
      }
    })
  }

  /** Waits until everything is handed to the system. */
  async finish(options: Waiting): Promise<void> {
    await this.#during(options, async () => {
      await this.#sent
      if (this.isOver) throw new StreamSendError('the peer closed the pipe')
    })
  }

  /** Throws StreamOverrunError, and ends the pipe, when the other end said something unasked. */
  demandSilence(): void {
    if (this.#arrivals.size === 0) return
    this.destroy()
    throw new StreamOverrunError('the peer sent more than it announced')
  }

  async #during<T>({ signal }: Waiting, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const onAbort = (): void => this.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await work()
    } catch (error) {
      this.destroy()
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #take(bytes: Uint8Array): void {
    this.#arrivals.add(bytes)
    if (this.#arrivals.size > pipeLimits.unreadBytes) this.#socket.pause()
    this.#wake?.()
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }

  async #some(sofar: Received): Promise<void> {
    while (this.#arrivals.size === 0) {
      if (this.isOver) throw new StreamCutError(sofar)
      await this.#next()
    }
  }

  async #exactly(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    for (let filled = 0; filled < length; ) {
      await this.#some({ receivedBytes: filled, expectedBytes: length })
      filled += await this.#first(length - filled, (part) => bytes.set(part, filled))
    }
    return bytes
  }

  async #first(max: number, use: (bytes: Uint8Array) => Promise<void> | void): Promise<number> {
    const count = await this.#arrivals.first(max, use)
    const isLow = this.#arrivals.size < pipeLimits.unreadBytes / 2
    if (isLow && this.#socket.isPaused()) this.#socket.resume()
    return count
  }

  #write(bytes: Uint8Array, then?: (bytes: Uint8Array) => void): void {
    if (!this.#socket.writable) throw new StreamSendError('the pipe is closed')
    this.#sent = new Promise((resolve) => {
      this.#socket.write(bytes, (error) => {
        if (error === null || error === undefined) then?.(bytes)
        resolve()
      })
    })
  }

  async #drained(): Promise<void> {
    while (this.#socket.writableNeedDrain && !this.isOver) await this.#next()
    if (this.isOver) throw new StreamSendError('the peer closed the pipe')
  }
}
