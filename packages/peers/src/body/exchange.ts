import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { ByteSink, Clock } from '@modmesh/fill'
import { receiveInto } from '../network/stream-io.ts'
import { bodyRate } from './limits.ts'
import {
  type BodyHeader,
  type BodyRequest,
  bodyFraming,
  decodeBodyHeader,
  encodeBodyRequest,
} from './message.ts'
import { ProgressGuard } from './progress-guard.ts'

/** What an exchange works with. */
interface ExchangeComponents {
  readonly stream: Stream
  readonly clock: Clock
}

/** What is asked, and for how long. */
interface ExchangeInit {
  readonly request: BodyRequest
  /** Longest time without a byte from the peer while we are ready for one, milliseconds. */
  readonly stallMs: number
  /** How slow is too slow; by default as within a site. */
  readonly rate?: { readonly minRate: number; readonly rateAfterMs: number }
  readonly signal: AbortSignal
}

/** Brings the next `length` bytes of the body into a sink. */
export type ReceiveBody = (sink: ByteSink, length: number) => Promise<void>

/**
 * Asks one question on a stream of its own and gives what `take` makes of the answer; the stream is
 * closed or reset then. Throws NoProgressError when the peer stalls or drips, what `take` and the
 * stream throw, the signal's reason.
 */
export async function exchange<T>(
  { stream, clock }: ExchangeComponents,
  init: ExchangeInit,
  take: (header: BodyHeader, receive: ReceiveBody) => Promise<T>,
): Promise<T> {
  const guard = new ProgressGuard({ clock }, { stallMs: init.stallMs, ...(init.rate ?? bodyRate) })
  const signal = AbortSignal.any([init.signal, guard.signal])
  const receive: ReceiveBody = (sink, length) =>
    receiveInto(stream, guarded(sink, guard), { length, signal })
  try {
    const result = await take(await askHeader(stream, init.request, signal), receive)
    await stream.close({ signal })
    return result
  } catch (error) {
    const reason = guard.signal.aborted ? guard.signal.reason : error
    stream.abort(reason instanceof Error ? reason : new Error('fetch failed'))
    throw reason
  } finally {
    guard.stop()
  }
}

/** Asks and gives the header; the stream is at the first byte of the body then. */
async function askHeader(
  stream: Stream,
  request: BodyRequest,
  signal: AbortSignal,
): Promise<BodyHeader> {
  const frames = lpStream(stream, bodyFraming)
  await frames.write(encodeBodyRequest(request), { signal })
  const header = decodeBodyHeader((await frames.read({ signal })).subarray())
  frames.unwrap()
  return header
}

/** Counts progress while the peer sends; time in which our own disk is slow does not count. */
function guarded(sink: ByteSink, guard: ProgressGuard): ByteSink {
  return {
    async write(chunk) {
      guard.moved(chunk.byteLength)
      guard.pause()
      await sink.write(chunk)
      guard.resume()
    },
  }
}
