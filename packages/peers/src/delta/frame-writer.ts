import type { Stream } from '@libp2p/interface'
import { sendChunks } from '../network/stream-io.ts'
import { type Frame, frameHeadBytes, frameKinds } from './frame-reader.ts'
import { deltaLimits } from './limits.ts'

type Waiting = { readonly signal: AbortSignal }

/** Writes frames with back-pressure. One call at a time. */
export class FrameWriter {
  readonly #stream: Stream
  readonly #onBytes: (bytes: number) => void

  /** `onBytes` is told of all that is written, heads of frames included: as the reader counts. */
  constructor(stream: Stream, onBytes: (bytes: number) => void = () => {}) {
    this.#stream = stream
    this.#onBytes = onBytes
  }

  /** Throws what sendChunks throws. */
  async message(bytes: Uint8Array, options: Waiting): Promise<void> {
    await this.#send([frame(frameKinds.message, bytes)], options)
  }

  async data(bytes: Uint8Array, options: Waiting): Promise<void> {
    await this.#send(framesOf(bytes), options)
  }

  async end(options: Waiting): Promise<void> {
    await this.#send([frame(frameKinds.end)], options)
  }

  async working(options: Waiting): Promise<void> {
    await this.#send([frame(frameKinds.working)], options)
  }

  async #send(frames: Iterable<Uint8Array>, options: Waiting): Promise<void> {
    this.#onBytes(await sendChunks(this.#stream, frames, options))
  }
}

function* framesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += deltaLimits.dataBytes) {
    yield frame(frameKinds.data, bytes.subarray(at, at + deltaLimits.dataBytes))
  }
}

function frame(kind: Frame['kind'], bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const whole = new Uint8Array(frameHeadBytes + bytes.length)
  whole[0] = kind
  whole[1] = bytes.length >> 16
  whole[2] = bytes.length >> 8
  whole[3] = bytes.length
  whole.set(bytes, frameHeadBytes)
  return whole
}
