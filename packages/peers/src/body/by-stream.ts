import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { ByteSink } from '@modmesh/fill'
import { receiveInto, sendChunks } from '../network/stream-io.ts'
import { bodyFraming } from './message.ts'
import { type BodyCall, type BodyReply, whenCut } from './wire.ts'

type Options<T extends 'receive' | 'send'> = T extends 'receive'
  ? Parameters<BodyCall['receive']>[1]
  : Parameters<BodyReply['send']>[1]

/** Asks over a stream of its own. */
export class StreamCall implements BodyCall {
  readonly #stream: Stream
  #isEndedByPeer = false

  constructor(stream: Stream) {
    this.#stream = stream
    stream.addEventListener('remoteCloseWrite', () => {
      this.#isEndedByPeer = true
    })
  }

  async ask(request: Uint8Array, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const frames = lpStream(this.#stream, bodyFraming)
    await frames.write(request, options)
    const header = (await frames.read(options)).subarray()
    // The stream is at the first byte of the body then.
    frames.unwrap()
    return header
  }

  receive(sink: ByteSink, options: Options<'receive'>): Promise<void> {
    return receiveInto(this.#stream, sink, options)
  }

  async close(options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#stream.close(options)
  }

  abort(reason: Error): void {
    this.#stream.abort(reason)
  }

  explain(error: unknown): unknown {
    return this.#isEndedByPeer ? whenCut(error) : error
  }
}

/** Answers over the stream that the asker opened. */
export class StreamReply implements BodyReply {
  readonly #stream: Stream
  readonly #frames: ReturnType<typeof lpStream<Stream>>

  constructor(stream: Stream) {
    this.#stream = stream
    this.#frames = lpStream(stream, bodyFraming)
  }

  async read(options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    return (await this.#frames.read(options)).subarray()
  }

  async write(header: Uint8Array, options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#frames.write(header, options)
  }

  async send(chunks: Parameters<BodyReply['send']>[0], options: Options<'send'>): Promise<void> {
    await sendChunks(this.#stream, chunks, options)
  }

  /** What the peer has not read yet may be in our memory, so it is waited for. */
  async finish({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#stream.close({ signal })
    await closed(this.#stream, signal)
  }
}

/** Waits until the peer closed, too: a reset before that would drop what it has not read. */
function closed(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.status !== 'open' && stream.status !== 'closing') return resolve()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    stream.addEventListener(
      'close',
      () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      },
      { once: true },
    )
  })
}
