import type { Clock, PeerId } from '@modmesh/fill'
import { uploadPacing } from './limits.ts'
import type { ProgressGuard } from './progress-guard.ts'
import { RecentRate } from './recent-rate.ts'
import { inForce, type LimitsInForce, type UploadLimits } from './upload-limits.ts'
import { type PacedBody, UploadPacer } from './upload-pacer.ts'
import { UploadSlots } from './upload-slots.ts'

/** What uploads take now, and what they may. */
export interface UploadUse {
  /** Bodies under way. */
  readonly streams: number
  /** Over the last seconds. */
  readonly bytesPerSecond: number
  readonly limits: LimitsInForce
}

/** What this node gives, and the limits in force. */
export interface UploadReport {
  /** To all members. */
  readonly all: UploadUse
  /** Of that, to members of other sites. */
  readonly wan: UploadUse
  /** Requests answered `busy` since the start. */
  readonly refused: number
}

/** One body that is given to a member. */
export interface Upload {
  /** Lets chunks through as fast as the limits allow; the guard does not count the time that takes. */
  paced(
    chunks: AsyncIterable<Uint8Array>,
    how: { readonly guard: ProgressGuard; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>
  /** Notes bytes on their way. */
  sent(bytes: number): void
  /** Gives the slot back; call it once. */
  end(): void
}

/** All that is given to members: who gets a slot, and how fast the bytes go. */
export class Uploads {
  readonly #isWan: (peer: PeerId) => boolean
  readonly #limits: UploadLimits
  readonly #slots: UploadSlots
  readonly #pacer: UploadPacer
  readonly #rate: RecentRate
  readonly #wanRate: RecentRate
  #refused = 0

  constructor(
    components: { readonly clock: Clock; readonly isWan: (peer: PeerId) => boolean },
    init: UploadLimits = {},
  ) {
    const { clock } = components
    this.#isWan = components.isWan
    this.#limits = init
    this.#slots = new UploadSlots(init)
    this.#pacer = new UploadPacer({ clock }, init)
    this.#rate = new RecentRate({ clock }, { overMs: uploadPacing.measureMs })
    this.#wanRate = new RecentRate({ clock }, { overMs: uploadPacing.measureMs })
  }

  /** Begins an upload; undefined when the member is to ask again later. */
  begin(peer: PeerId): Upload | undefined {
    const taker = { peer, isWan: this.#isWan(peer) }
    const giveBack = this.#slots.take(taker)
    if (giveBack === undefined) {
      this.#refused += 1
      return undefined
    }
    const body = this.#pacer.begin(taker)
    return {
      paced: (chunks, how) => (body === undefined ? chunks : paced(chunks, body, how)),
      sent: (bytes) => {
        this.#rate.note(bytes)
        if (taker.isWan) this.#wanRate.note(bytes)
      },
      end: () => {
        body?.end()
        giveBack()
      },
    }
  }

  /** Whether a member is being given a body. */
  isGiving(peer: PeerId): boolean {
    return this.#slots.of(peer) > 0
  }

  report(): UploadReport {
    const { all = {}, wan = {} } = this.#limits
    const { taken, wanTaken } = this.#slots
    const [rate, wanRate] = [this.#rate.perSecond(), this.#wanRate.perSecond()]
    return {
      all: { streams: taken, bytesPerSecond: rate, limits: inForce([all]) },
      wan: { streams: wanTaken, bytesPerSecond: wanRate, limits: inForce([all, wan]) },
      refused: this.#refused,
    }
  }
}

async function* paced(
  chunks: AsyncIterable<Uint8Array>,
  body: PacedBody,
  how: { readonly guard: ProgressGuard; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.byteLength; start += body.pieceBytes) {
      const piece = chunk.subarray(start, start + body.pieceBytes)
      how.guard.pause()
      await body.wait(piece.byteLength, how)
      how.guard.resume()
      yield piece
    }
  }
}
