import type { Clock } from '@modmesh/fill'
import type { Uint8ArrayList } from 'uint8arraylist'
import { Allowance } from './allowance.ts'
import type { FloodLimits } from './limits.ts'

type Piece = Uint8Array | Uint8ArrayList

/** Slows one peer down to what it may send; what it sends beyond fills the wire's bounded buffer. */
export class FloodGuard {
  readonly #items: Allowance
  readonly #bytes: Allowance
  readonly #notices: Allowance

  constructor({ clock }: { readonly clock: Clock }, flood: FloodLimits) {
    const { itemsPerSecond, itemsBurst, bytesPerSecond, bytesBurst } = flood
    this.#items = new Allowance({ clock }, { perSecond: itemsPerSecond, burst: itemsBurst })
    this.#bytes = new Allowance({ clock }, { perSecond: bytesPerSecond, burst: bytesBurst })
    const { noticesPerSecond, noticesBurst } = flood
    this.#notices = new Allowance({ clock }, { perSecond: noticesPerSecond, burst: noticesBurst })
  }

  /** Passes pieces on, each when it may. */
  async *pieces(
    source: AsyncIterable<Piece>,
    options: { readonly signal: AbortSignal; readonly heard: () => void },
  ): AsyncGenerator<Piece> {
    for await (const piece of source) {
      options.heard()
      await this.#items.wait(1, options)
      await this.#bytes.wait(piece.byteLength, options)
      yield piece
    }
  }

  /** Resolves when one more frame may be looked at. Throws the signal's reason. */
  frame(options: { readonly signal: AbortSignal }): Promise<void> {
    return this.#items.wait(1, options)
  }

  /** Whether one more notice may be looked at. */
  takeNotice(): boolean {
    return this.#notices.take(1)
  }

  /** Gives back what an answer that we asked for has taken: its frame, its piece and its bytes. */
  answered(bytes: number): void {
    this.#items.giveBack(2)
    this.#bytes.giveBack(bytes)
  }
}
