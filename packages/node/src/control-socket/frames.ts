import type { Socket } from 'node:net'
import { CommandError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'

/** Bytes of one frame: 256 KiB pieces of a file are sent as they are. Its length's first byte is 0, never that of JSON. */
const maxFrameBytes: number = 1 << 20
const lengthBytes = 4
/** Received and not yet wanted, before the other side is made to wait. Bytes. */
const maxAheadBytes: number = 2 << 20
const openingBrace = 0x7b

/**
 * Takes what a socket receives in the portions of the control protocol: lines, and frames of bytes. A frame is a length
 * of four bytes, big-endian, and as many bytes. Frames end with one of length 0, or where a line of JSON begins.
 */
export class SocketReader {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #size = 0
  #isEnded = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#size += chunk.length
      if (this.#size > maxAheadBytes) socket.pause()
      this.#wake()
    })
    for (const event of ['end', 'close'] as const) {
      socket.once(event, () => {
        this.#isEnded = true
        this.#wake()
      })
    }
  }

  /** Reads a line without its end; undefined when it is longer, or cut off. */
  async line(maxBytes: number): Promise<string | undefined> {
    for (let seen = 0; ; ) {
      let at = 0
      for (const chunk of this.#chunks) {
        const end = at + chunk.length > seen ? chunk.indexOf(0x0a) : -1
        if (end >= 0 && at + end <= maxBytes) return this.#lineOf(at + end)
        at += chunk.length
      }
      seen = this.#size
      if (seen > maxBytes || !(await this.#more())) return undefined
    }
  }

  /** Reads frames up to their end. Throws CommandError when the other side goes away before. */
  async *frames(): AsyncGenerator<Uint8Array> {
    for (;;) {
      await this.#need(1)
      if (this.#chunks[0]?.[0] === openingBrace) return
      await this.#need(lengthBytes)
      const length = this.#take(lengthBytes).readUInt32BE()
      if (length === 0) return
      if (length > maxFrameBytes) throw wentAway()
      // In the pieces in which it arrives: joining them would take as much memory again.
      for (let left = length; left > 0; ) {
        await this.#need(1)
        const piece = this.#take(Math.min(left, this.#chunks[0]?.length ?? 0))
        left -= piece.length
        yield piece
      }
    }
  }

  #lineOf(length: number): string {
    const text = this.#take(length).toString('utf8')
    this.#take(1)
    return text
  }

  async #need(size: number): Promise<void> {
    while (this.#size < size) if (!(await this.#more())) throw wentAway()
  }

  /** False when nothing more comes. */
  async #more(): Promise<boolean> {
    if (this.#isEnded) return false
    const before = this.#size
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    this.#socket.resume()
    await promise
    return this.#size > before
  }

  #take(size: number): Buffer {
    const first = this.#chunks[0]
    this.#size -= size
    if (this.#size <= maxAheadBytes) this.#socket.resume()
    if (first !== undefined && first.length > size) {
      this.#chunks[0] = first.subarray(size)
      return first.subarray(0, size)
    }
    return this.#takeAcross(size)
  }

  #takeAcross(size: number): Buffer {
    const parts: Buffer[] = []
    for (let left = size; left > 0; ) {
      const chunk = this.#chunks.shift() ?? Buffer.alloc(0)
      const part = chunk.subarray(0, left)
      left -= part.length
      parts.push(part)
      if (part.length < chunk.length) this.#chunks.unshift(chunk.subarray(part.length))
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
  }
}

/** Sends bytes as frames; resolves when the system has them, so that their memory may be used again. */
export async function sendFrame(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += maxFrameBytes) {
    const part = bytes.subarray(at, at + maxFrameBytes)
    const length = Buffer.alloc(lengthBytes)
    length.writeUInt32BE(part.length)
    socket.write(length)
    await send(socket, part)
  }
}

/** Ends the frames. */
export async function endFrames(socket: Socket): Promise<void> {
  await send(socket, Buffer.alloc(lengthBytes))
}

function send(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

function wentAway(): CommandError {
  return new CommandError('the other side went away', { exitCode: exitCodes.failed })
}
