import type { Uint8ArrayList } from 'uint8arraylist'

/** Bytes both ways, as a control session needs them: a libp2p stream, or a pair in memory. */
export interface Wire {
  /** What the peer sends. Bounded: throws ProtocolError when the peer outruns its reader. */
  readonly source: AsyncIterable<Uint8Array | Uint8ArrayList>
  /** Sends until the source ends. Pulls the next piece only when there is room for it. */
  sink(source: AsyncIterable<Uint8Array>): Promise<void>
  /** Ends it both ways at once. */
  abort(error: Error): void
}
