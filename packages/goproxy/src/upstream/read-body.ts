import type { Dispatcher } from 'undici'
import * as limits from '../limits.ts'
import { stalled, toFetchError } from './to-fetch-error.ts'

/** What goes on beside a body that is read. */
export interface BodyWatch {
  readonly signal: AbortSignal
  /** Waiting for so long in all for fewer than minStallBytes is a stall, ms. */
  readonly stallMs?: number
  /** Called when something came. */
  readonly onProgress?: () => void
  /** Called once or more when nothing will come any more. */
  readonly onEnd?: () => void
}

/** Reads a body; only the time that its sender needs counts. Rejects with FetchError, or the signal's reason. */
export async function* readBody(
  origin: string,
  body: Dispatcher.ResponseData['body'],
  { signal, stallMs = limits.stallMs, onProgress, onEnd }: BodyWatch,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  let [waitedMs, bytes] = [0, 0]
  try {
    for (;;) {
      const askedMs = performance.now()
      const next = await nextChunk(origin, chunks, signal)
      if (next === undefined) return
      onProgress?.()
      waitedMs += performance.now() - askedMs
      bytes += next.length
      if (bytes >= limits.minStallBytes) [waitedMs, bytes] = [0, 0]
      else if (waitedMs > stallMs) throw stalled(origin)
      yield next
      onProgress?.()
    }
  } finally {
    body.destroy()
    onEnd?.()
  }
}

async function nextChunk(
  origin: string,
  chunks: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.next()
    return done ? undefined : value
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toFetchError(origin, error)
  }
}
