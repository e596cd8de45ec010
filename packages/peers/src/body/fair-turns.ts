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
 * within a member the piece that waited longest. A member that comes, or comes back, begins level with
 * the others: it neither catches up nor owes anything. Who waited for longer than `starvedMs` goes before
 * all others. Pure: no time of its own.
 */
export class FairTurns {
  readonly #starvedMs: number
  readonly #lines = new Map<PeerId, Line>()
  /** What the last one had got when it was its turn. */
  #level = 0

  constructor(init: { readonly starvedMs: number }) {
    this.#starvedMs = init.starvedMs
  }

  /** Members that wait. */
  waiting(): PeerId[] {
    return [...this.#lines].filter(([, { turns }]) => turns.length > 0).map(([peer]) => peer)
  }

  add(turn: Turn): void {
    const line = this.#lines.get(turn.peer) ?? { turns: [], served: 0 }
    this.#lines.set(turn.peer, line)
    if (line.turns.length === 0) line.served = Math.max(line.served, this.#level)
    line.turns.push(turn)
  }

  remove(turn: Turn): void {
    const turns = this.#lines.get(turn.peer)?.turns ?? []
    const at = turns.indexOf(turn)
    if (at >= 0) turns.splice(at, 1)
  }

  /** Takes the next turn of those that may go. */
  next(nowMs: number, isReady: IsReady): Turn | undefined {
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
    return turn
  }

  /** Who is level with the others again would begin as level. */
  #forget(peer: PeerId, line: Line): void {
    if (line.served <= this.#level) this.#lines.delete(peer)
  }

  #isBefore(one: Line, other: Line, nowMs: number): boolean {
    const [oneMs, otherMs] = [sinceMs(one), sinceMs(other)]
    const isStarved = nowMs - Math.min(oneMs, otherMs) >= this.#starvedMs
    if (isStarved && oneMs !== otherMs) return oneMs < otherMs
    return one.served < other.served
  }
}

function sinceMs(line: Line): number {
  return line.turns[0]?.sinceMs ?? Number.POSITIVE_INFINITY
}
