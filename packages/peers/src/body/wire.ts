import type { BodyChunks, ByteSink } from '@modmesh/fill'
import { ProtocolError } from '../errors.ts'
import { StreamCutError } from '../network/errors.ts'

interface Waiting {
  readonly signal: AbortSignal
}

/** The asker's end of one question and its answer, however it travels. */
export interface BodyCall {
  /** Asks and gives the header. Throws ProtocolError, the wire's errors, the signal's reason. */
  ask(request: Uint8Array, options: Waiting): Promise<Uint8Array>
  /** Brings so many bytes of the body into a sink, with back-pressure. Throws StreamCutError, the sink's errors. */
  receive(sink: ByteSink, options: Waiting & { readonly length: number }): Promise<void>
  /** Ends it in good order, when all of the answer was read. */
  close(options: Waiting): Promise<void>
  /** Ends it at once: the holder stops sending. */
  abort(reason: Error): void
  /** Tells what an error of `receive` means: only some wires tell a death from an end on purpose. */
  explain(error: unknown): unknown
}

/** The holder's end. */
export interface BodyReply {
  /** Reads the request. Throws ProtocolError. */
  read(options: Waiting): Promise<Uint8Array>
  write(header: Uint8Array, options: Waiting): Promise<void>
  /** Sends a body with back-pressure. Throws StreamSendError, the source's errors. */
  send(
    chunks: BodyChunks | AsyncIterable<Uint8Array>,
    options: Waiting & { readonly onProgress: (bytes: number) => void },
  ): Promise<void>
  /** Waits until what was sent takes none of our memory. The asker is told of a body that is short. */
  finish(options: Waiting & { readonly isShort: boolean }): Promise<void>
}

/** What an error means when the peer ended in good order: a body that is cut then was short on purpose. */
export function whenCut(error: unknown): unknown {
  if (!(error instanceof StreamCutError)) return error
  return new ProtocolError('the body ends before its declared length', { cause: error })
}
