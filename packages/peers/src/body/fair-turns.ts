import type { PeerId } from '@modmesh/fill'

/** A piece of a body that waits to be sent. */
export interface Turn {
  readonly peer: PeerId
  readonly bytes: number
  readonly sinceMs: number
  readonly go: () => void
}

/** Whose turns may go now. */
export type IsReady = (peer: PeerId) => boolean

/** One member's turns, in the order they came. */
interface Line {
  readonly turns: Turn[]
  /** Bytes it got, comparable with those of the other lines only. */
  served: number
}

/**
 * Shares a link by member and not by body: of those who wait, the one that got least goes next, and
 * within a member the piece that waited longest. A member that comes begins level with the others; one
 * that was away for a moment catches up, by `slackBytes` at most. Who waited for longer than `starvedMs`
 * goes before all others. Pure: no time of its own.
 *
 * A body asks for its next turn when the last one is sent, so a member with one body never has two turns
 * in line. Lest those with many take all that may go in one moment, its next turn is awaited: nobody goes
 * until it comes or `goOn` is called.
 */
export class FairTurns {
  readonly #init: { readonly starvedMs: number; readonly slackBytes: number }
  readonly #lines = new Map<PeerId, Line>()
  /** What the last one had got when it was its turn. */
  #level = 0
  #awaited: PeerId | undefined

  constructor(init: { readonly starvedMs: number; readonly slackBytes: number }) {
    this.#init = init
  }

  /** Members that wait. */
  waiting(): PeerId[] {
    return [...this.#lines].filter(([, { turns }]) => turns.length > 0).map(([peer]) => peer)
  }

  /** Whether a turn is awaited that did not come yet, while others are in line. */
  get isHeld(): boolean {
    return this.#awaited !== undefined && this.waiting().length > 0
  }

  add(turn: Turn): void {
    const line = this.#lines.get(turn.peer) ?? { turns: [], served: this.#level }
    this.#lines.set(turn.peer, line)
    if (line.turns.length === 0) line.served = Math.max(line.served, this.#floor())
    line.turns.push(turn)
    if (this.#awaited === turn.peer) this.#awaited = undefined
  }

  remove(turn: Turn): void {
    const turns = this.#lines.get(turn.peer)?.turns ?? []
    const at = turns.indexOf(turn)
    if (at >= 0) turns.splice(at, 1)
  }

  /** Takes the next turn of those that may go; undefined also while one is awaited. */
  next(nowMs: number, isReady: IsReady): Turn | undefined {
    if (this.#awaited !== undefined) return undefined
    let best: Line | undefined
    for (const [peer, line] of this.#lines) {
      if (line.turns.length === 0) this.#forget(peer, line)
      else if (isReady(peer) && (best === undefined || this.#isBefore(line, best, nowMs)))
        best = line
    }
    const turn = best?.turns.shift()
    if (best === undefined || turn === undefined) return undefined
    this.#level = Math.max(this.#level, best.served)
    best.served += turn.bytes
    if (best.turns.length === 0) this.#awaited = turn.peer
    return turn
  }

  /** Awaits nobody any more. */
  goOn(): void {
    this.#awaited = undefined
  }

  #isBefore(one: Line, other: Line, nowMs: number): boolean {
    const [oneMs, otherMs] = [sinceMs(one), sinceMs(other)]
    const isStarved = nowMs - Math.min(oneMs, otherMs) >= this.#init.starvedMs
    if (isStarved && oneMs !== otherMs) return oneMs < otherMs
    return one.served < other.served
  }

  #floor(): number {
    return this.#level - this.#init.slackBytes
  }

  /** Who was away for long begins anew. */
  #forget(peer: PeerId, line: Line): void {
    if (line.served <= this.#floor()) this.#lines.delete(peer)
  }
}

function sinceMs(line: Line): number {
  return line.turns[0]?.sinceMs ?? Number.POSITIVE_INFINITY
}
