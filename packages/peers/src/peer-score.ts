import type { Clock, PeerId } from '@modmesh/fill'
import { blameLimits } from './limits.ts'

/** Why and how long a peer is avoided. */
export interface Blame {
  readonly reason: string
  /** How often it was blamed. */
  readonly count: number
  /** Wall clock, ms since 1970, of the last time. */
  readonly atMs: number
  /** Whether it is avoided now. */
  readonly isActive: boolean
}

/** What is known of a peer's conduct. */
export interface Conduct {
  /** Bytes that we gave to it and took from it. */
  readonly givenBytes: number
  readonly takenBytes: number
  readonly blamed: Blame | undefined
}

interface Entry {
  given: number
  taken: number
  /** Outcomes of the last fetches, newest last. */
  outcomes: boolean[]
  fetching: number
  blame: { reason: string; count: number; at: number; wallMs: number; until: number } | undefined
  cutUntil: number
}

/** Of two holders, what ranks them. */
export interface Standing {
  readonly peer: PeerId
  readonly isSameSite: boolean
  readonly rttMs: number | undefined
}

/** Below this all round trips count as alike, so that a rack shares its load, milliseconds. */
const nearMs = 4

/** Who was useful, who lied. In memory, with an injected clock. */
export class PeerScores {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'wallMs'>
  readonly #entries = new Map<PeerId, Entry>()

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'> }) {
    this.#clock = components.clock
  }

  gave(peer: PeerId, bytes: number): void {
    this.#entry(peer).given += bytes
  }

  /** Begins a fetch; call the result once with what came of it. */
  fetching(
    peer: PeerId,
  ): (end: { readonly outcome: 'good' | 'bad' | 'none'; readonly bytes: number }) => void {
    const entry = this.#entry(peer)
    entry.fetching += 1
    return ({ outcome, bytes }) => {
      entry.fetching -= 1
      entry.taken += bytes
      if (outcome === 'none') return
      entry.outcomes = [...entry.outcomes, outcome === 'good'].slice(-blameLimits.outcomes)
    }
  }

  /**
   * Avoids a peer for a time that doubles with each lie. Returns false for another report of the
   * same lie.
   */
  blame(peer: PeerId, reason: string): boolean {
    const entry = this.#entry(peer)
    const now = this.#clock.monotonicMs()
    const old = entry.blame
    if (old !== undefined && now - old.at < blameLimits.togetherMs) return false
    const count = (old?.count ?? 0) + 1
    const avoidMs = Math.min(blameLimits.maxMs, blameLimits.firstMs * 2 ** (count - 1))
    entry.blame = {
      reason: reason.slice(0, blameLimits.reasonLength),
      count,
      at: now,
      wallMs: this.#clock.wallMs(),
      until: now + avoidMs,
    }
    return true
  }

  /** Refuses a peer's control streams for a while. */
  cut(peer: PeerId): void {
    this.#entry(peer).cutUntil = this.#clock.monotonicMs() + blameLimits.cutMs
  }

  isCut(peer: PeerId): boolean {
    return (this.#entries.get(peer)?.cutUntil ?? 0) > this.#clock.monotonicMs()
  }

  /** Whether a peer is asked for nothing now. */
  isAvoided(peer: PeerId): boolean {
    return (this.#entries.get(peer)?.blame?.until ?? 0) > this.#clock.monotonicMs()
  }

  conduct(peer: PeerId): Conduct {
    const entry = this.#entries.get(peer)
    const blame = entry?.blame
    return {
      givenBytes: entry?.given ?? 0,
      takenBytes: entry?.taken ?? 0,
      blamed: blame && {
        reason: blame.reason,
        count: blame.count,
        atMs: blame.wallMs,
        isActive: this.isAvoided(peer),
      },
    }
  }

  /** Peers that were blamed since the start, connected or not. */
  blamed(): readonly PeerId[] {
    return [...this.#entries].filter(([, entry]) => entry.blame !== undefined).map(([peer]) => peer)
  }

  /**
   * Best first: those that mostly deliver, of our site, near, least busy with our fetches, with the
   * better record.
   */
  rank<T extends Standing>(holders: readonly T[]): T[] {
    const keyed = holders.map((holder) => ({ holder, key: this.#key(holder) }))
    keyed.sort((a, b) => compareKeys(a.key, b.key))
    return keyed.map(({ holder }) => holder)
  }

  #key(holder: Standing): readonly number[] {
    const entry = this.#entries.get(holder.peer)
    const share = goodShare(entry)
    const rtt = holder.rttMs ?? Number.MAX_SAFE_INTEGER
    return [
      share < blameLimits.goodShare ? 1 : 0,
      holder.isSameSite ? 0 : 1,
      Math.ceil(Math.log2(Math.max(nearMs, rtt))),
      entry?.fetching ?? 0,
      -share,
      rtt,
    ]
  }

  #entry(peer: PeerId): Entry {
    const known = this.#entries.get(peer)
    if (known !== undefined) return known
    const entry: Entry = {
      given: 0,
      taken: 0,
      outcomes: [],
      fetching: 0,
      blame: undefined,
      cutUntil: 0,
    }
    this.#entries.set(peer, entry)
    if (this.#entries.size > blameLimits.peers) this.#forgetOne()
    return entry
  }

  /** Forgets the oldest peer that nothing bad is known of, else the oldest. */
  #forgetOne(): void {
    for (const [peer, entry] of this.#entries) {
      if (entry.blame !== undefined || entry.fetching > 0) continue
      this.#entries.delete(peer)
      return
    }
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/** Share of good outcomes; judged only when there are enough of them. */
function goodShare(entry: Entry | undefined): number {
  if (entry === undefined || entry.outcomes.length < blameLimits.outcomes) return 1
  return entry.outcomes.filter(Boolean).length / entry.outcomes.length
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
