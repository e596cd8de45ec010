import type { ByteSink, Clock } from '@modmesh/fill'
import { bodyRate } from './limits.ts'
import {
  type BodyHeader,
  type BodyRequest,
  decodeBodyHeader,
  encodeBodyRequest,
} from './message.ts'
import { NotGivenError } from './not-given.ts'
import { ProgressGuard } from './progress-guard.ts'
import type { BodyCall } from './wire.ts'

/** What an exchange works with. */
interface ExchangeComponents {
  readonly call: BodyCall
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
 * Asks one question and gives what `take` makes of the answer; the call is closed or aborted then. Throws
 * NoProgressError when the peer stalls or drips, what `take` and the call throw, the signal's reason.
 */
export async function exchange<T>(
  { call, clock }: ExchangeComponents,
  init: ExchangeInit,
  take: (header: BodyHeader, receive: ReceiveBody) => Promise<T>,
): Promise<T> {
  const guard = new ProgressGuard({ clock }, { stallMs: init.stallMs, ...(init.rate ?? bodyRate) })
  const signal = AbortSignal.any([init.signal, guard.signal])
  const receive: ReceiveBody = (sink, length) =>
    call.receive(guarded(sink, guard), { length, signal })
  try {
    const header = decodeBodyHeader(await call.ask(encodeBodyRequest(init.request), { signal }))
    const result = await take(header, receive)
    await call.close({ signal })
    return result
  } catch (error) {
    const reason = guard.signal.aborted ? guard.signal.reason : error
    await end(call, reason, signal)
    throw call.explain(reason)
  } finally {
    guard.stop()
  }
}

/** A header alone was all of the answer; after anything else more may come. */
async function end(call: BodyCall, reason: unknown, signal: AbortSignal): Promise<void> {
  const error = reason instanceof Error ? reason : new Error('fetch failed')
  if (!(reason instanceof NotGivenError)) return call.abort(error)
  try {
    await call.close({ signal })
  } catch {
    call.abort(error)
  }
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
