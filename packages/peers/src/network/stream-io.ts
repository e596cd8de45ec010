import type { Stream } from '@libp2p/interface'
import type { ByteSink } from '@modmesh/fill'
import { StreamSendError } from './errors.ts'
import { maxSendBytes, maxUnsentBytes } from './limits.ts'
import { Receiver } from './receiver.ts'

/** Options of both directions. */
export interface StreamOptions {
  readonly signal: AbortSignal
  /** Called with the bytes handed over so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/**
 * Sends chunks with back-pressure and returns the bytes sent; the caller closes the stream. At
 * most maxUnsentBytes and one chunk wait in memory, however slowly the peer reads. Throws
 * StreamSendError when the peer went away, the signal's reason when aborted, the source's own
 * errors; the stream is aborted then, so that the peer cannot take a part for the whole.
 */
export async function sendChunks(
  stream: Stream,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: StreamOptions,
): Promise<number> {
  let sent = 0
  try {
    for await (const chunk of source) {
      for (let start = 0; start < chunk.byteLength; start += maxSendBytes) {
        const part = chunk.subarray(start, start + maxSendBytes)
        await hasRoom(stream, options.signal)
        stream.send(part)
        sent += part.byteLength
        options.onProgress?.(sent)
      }
    }
    return sent
  } catch (error) {
    const reason = toSendError(stream, error, options.signal)
    stream.abort(reason)
    throw reason
  }
}

/**
 * Receives exactly `length` bytes into a sink with back-pressure: at most maxUnwrittenBytes and
 * one stream window wait in memory. Call it before anything else reads, or after `unwrap()` of
 * what did; the caller closes the stream. Throws StreamCutError when fewer bytes come (also after a
 * peer that was killed), StreamOverrunError for more, the signal's reason when aborted, the sink's
 * own errors; the stream is aborted then, and also when more bytes come after the last one.
 */
export function receiveInto(
  stream: Stream,
  sink: ByteSink,
  options: StreamOptions & { readonly length: number },
): Promise<void> {
  return new Receiver(stream, sink, options).run()
}

/**
 * Waits until little is unsent. Never `stream.onDrain()`: its promise is resolved once and for
 * ever. A drain of the connection wakes stalled streams too, so the length is looked at again.
 */
async function hasRoom(stream: Stream, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  while (stream.writableNeedsDrain && stream.writeBufferLength > maxUnsentBytes) {
    await drained(stream, signal)
  }
  if (stream.writeStatus !== 'writable') throw new StreamSendError('the stream is closed')
}

function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => (): void => {
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      signal.removeEventListener('abort', onAbort)
      then()
    }
    const onDrain = settle(resolve)
    const onClose = settle(() => reject(new StreamSendError('the peer closed the stream')))
    const onAbort = settle(() => reject(asError(signal.reason)))
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    signal.addEventListener('abort', onAbort)
    if (stream.status !== 'open') onClose()
  })
}

function toSendError(stream: Stream, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return asError(signal.reason)
  if (error instanceof Error && error.name !== 'StreamStateError') return error
  const { status } = stream
  return new StreamSendError(`the stream is ${status}`, { cause: error })
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new StreamSendError('aborted', { cause: reason })
}
