import type { Clock, PeerId } from '@modmesh/fill'
import { Allowance } from '../control/allowance.ts'
import { FairTurns } from './fair-turns.ts'
import { uploadPacing } from './limits.ts'
import { pieceBytes, ratesOf, type UploadLimits } from './upload-limits.ts'
import type { Taker } from './upload-slots.ts'

/** A body whose bytes wait for their turn. */
export interface PacedBody {
  /** Largest piece that may wait at once. */
  readonly pieceBytes: number
  /** Resolves when so many bytes may go. Throws the signal's reason. */
  wait(bytes: number, options: { readonly signal: AbortSignal }): Promise<void>
  /** Call it once when the body ended. */
  end(): void
}

/** What one member may be sent. Kept between its bodies: small ones in a row are limited, too. */
interface Purse {
  readonly allowances: readonly Allowance[]
  bodies: number
  usedMs: number
}

/** Lets bytes out no faster than the limits, in turns by member. Where there are none it costs nothing. */
export class UploadPacer {
  readonly #clock: Clock
  readonly #limits: UploadLimits
  readonly #all: readonly Allowance[]
  readonly #wan: readonly Allowance[]
  readonly #purses = new Map<PeerId, Purse>()
  readonly #turns: FairTurns
  #sleep = new AbortController()
  #isGoingOn = false

  constructor(components: { readonly clock: Clock }, init: UploadLimits) {
    this.#clock = components.clock
    this.#limits = init
    this.#all = this.#allowances(init.all?.rate)
    this.#wan = this.#allowances(init.wan?.rate)
    const slackBytes = burstOf(Math.max(init.all?.rate ?? 0, init.wan?.rate ?? 0))
    this.#turns = new FairTurns({ starvedMs: uploadPacing.starvedMs, slackBytes })
  }

  /** Begins a body; undefined where nothing limits its rate. */
  begin({ peer, isWan }: Taker): PacedBody | undefined {
    const { all = {}, wan = {} } = this.#limits
    const rates = ratesOf(isWan ? [all, wan] : [all])
    if (rates.length === 0) return undefined
    const purse = this.#purse(peer, isWan)
    purse.bodies += 1
    return {
      pieceBytes: pieceBytes(rates),
      wait: (bytes, options) => this.#wait(peer, bytes, options),
      end: () => {
        purse.bodies -= 1
        purse.usedMs = this.#clock.monotonicMs()
      },
    }
  }

  async #wait(
    peer: PeerId,
    bytes: number,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve: go, reject } = Promise.withResolvers<void>()
    const turn = { peer, bytes, sinceMs: this.#clock.monotonicMs(), go }
    const onAbort = (): void => {
      this.#turns.remove(turn)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#turns.add(turn)
    this.#letGo()
    await promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  /** Lets go all that may go now, and comes back when more may. */
  #letGo(): void {
    this.#sleep.abort()
    const nowMs = this.#clock.monotonicMs()
    for (;;) {
      const turn = this.#turns.next(nowMs, (peer) => this.#readyInMs(peer) === 0)
      if (turn === undefined) break
      for (const allowance of this.#allowancesOf(turn.peer)) allowance.take(turn.bytes)
      turn.go()
    }
    if (this.#turns.isHeld) return this.#goOnSoon()
    const waitMs = Math.min(...this.#turns.waiting().map((peer) => this.#readyInMs(peer)))
    if (Number.isFinite(waitMs)) void this.#comeBack(waitMs)
  }

  /** Whoever has the next piece at hand asks for its turn until then. */
  #goOnSoon(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    setImmediate(() => {
      this.#isGoingOn = false
      this.#turns.goOn()
      this.#letGo()
    })
  }

  async #comeBack(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    try {
      await this.#clock.sleep(ms, this.#sleep)
    } catch {
      return // somebody else came before, and looked
    }
    this.#letGo()
  }

  #readyInMs(peer: PeerId): number {
    return Math.max(...this.#allowancesOf(peer).map((allowance) => allowance.readyInMs()))
  }

  #allowancesOf(peer: PeerId): readonly Allowance[] {
    return this.#purses.get(peer)?.allowances ?? this.#all
  }

  #purse(peer: PeerId, isWan: boolean): Purse {
    const known = this.#purses.get(peer)
    if (known !== undefined) return known
    this.#forgetFull()
    const { all, wan } = this.#limits
    const own = [
      ...this.#allowances(all?.peerRate),
      ...(isWan ? this.#allowances(wan?.peerRate) : []),
    ]
    const shared = isWan ? [...this.#all, ...this.#wan] : this.#all
    const purse = { allowances: [...shared, ...own], bodies: 0, usedMs: 0 }
    this.#purses.set(peer, purse)
    return purse
  }

  /** Forgets members whose purse would be full by now, as a new one is. */
  #forgetFull(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [peer, { bodies, usedMs }] of this.#purses) {
      if (bodies === 0 && nowMs - usedMs >= uploadPacing.refillMs) this.#purses.delete(peer)
    }
  }

  #allowances(rate: number | undefined): Allowance[] {
    if (rate === undefined) return []
    return [new Allowance({ clock: this.#clock }, { perSecond: rate, burst: burstOf(rate) })]
  }
}

/** What may go at once after a rest, bytes. */
function burstOf(rate: number): number {
  return Math.max(1, Math.floor((rate * uploadPacing.burstMs) / 1_000))
}
