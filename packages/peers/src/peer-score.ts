import type { Clock, PeerId } from '@modmesh/fill'
import { blameLimits, speedLimits } from './limits.ts'
import { PeerSpeed } from './peer-speed.ts'

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

/** How its last fetch failed, if it did: it is asked after the others for a while. */
export interface Trouble {
  readonly reason: string
  /** Wall clock, ms since 1970. */
  readonly atMs: number
}

/** What is known of a peer's conduct. */
export interface Conduct {
  /** Bytes that we gave to it and took from it. */
  readonly givenBytes: number
  readonly takenBytes: number
  /** What it gives when it gives, bytes per ms; undefined when nothing large came lately. */
  readonly bytesPerMs: number | undefined
  /** Nine of ten of its first bytes came within this time, milliseconds. */
  readonly usualFirstByteMs: number | undefined
  /** Bodies of it that are on their way. */
  readonly load: number
  readonly trouble: Trouble | undefined
  readonly blamed: Blame | undefined
}

interface Entry {
  given: number
  taken: number
  /** Outcomes of the last fetches, newest last. */
  outcomes: boolean[]
  fetching: number
  readonly speed: PeerSpeed
  busyUntil: number
  trouble: (Trouble & { readonly until: number }) | undefined
  blame: { reason: string; count: number; at: number; wallMs: number; until: number } | undefined
  cutUntil: number
}

/** A fetch under way. */
export interface Fetching {
  /** Its first byte is there. */
  began(): void
  moved(bytes: number): void
  /** Ours is the next move no more: what came was written. */
  wrote(): void
  /** Ends it, once. A reason tells what of the peer's was in the way. */
  ended(outcome: 'good' | 'bad' | 'busy' | 'none', reason?: string): void
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

  /** Begins a fetch. */
  fetching(peer: PeerId): Fetching {
    const entry = this.#entry(peer)
    const now = () => this.#clock.monotonicMs()
    const askedMs = now()
    let heardMs = askedMs
    let hasBegun = false
    entry.fetching += 1
    return {
      began: () => {
        heardMs = now()
        if (hasBegun) return
        hasBegun = true
        entry.speed.begin(heardMs - askedMs)
      },
      moved: (bytes) => {
        heardMs = Number.POSITIVE_INFINITY
        entry.taken += bytes
        if (hasBegun) entry.speed.moved(bytes)
      },
      wrote: () => {
        heardMs = now()
      },
      ended: (outcome, reason) => {
        entry.fetching -= 1
        if (hasBegun) entry.speed.end()
        // Who gave it up had waited for it.
        const hasStalled = outcome === 'none' && now() - heardMs >= speedLimits.stalledMs
        if (hasStalled) this.#judge(entry, 'bad', 'stalled')
        else this.#judge(entry, outcome, reason)
      },
    }
  }

  #judge(entry: Entry, ...[outcome, reason]: Parameters<Fetching['ended']>): void {
    if (outcome === 'good') entry.trouble = undefined
    if (outcome === 'bad' && reason !== undefined) {
      const until = this.#clock.monotonicMs() + speedLimits.troubleMs
      const short = reason.slice(0, blameLimits.reasonLength)
      entry.trouble = { reason: short, atMs: this.#clock.wallMs(), until }
    }
    if (outcome === 'busy') entry.busyUntil = this.#clock.monotonicMs() + speedLimits.busyMs
    if (outcome !== 'good' && outcome !== 'bad') return
    entry.outcomes = [...entry.outcomes, outcome === 'good'].slice(-blameLimits.outcomes)
  }

  /**
   * Avoids a peer for a time that doubles with each lie; old ones are forgiven one by one. Returns false
   * for another report of the same lie.
   */
  blame(peer: PeerId, reason: string): boolean {
    const entry = this.#entry(peer)
    const now = this.#clock.monotonicMs()
    const old = entry.blame
    if (old !== undefined && now - old.at < blameLimits.togetherMs) return false
    const forgiven = Math.floor((now - (old?.at ?? now)) / blameLimits.forgiveMs)
    const count = Math.max(0, (old?.count ?? 0) - forgiven) + 1
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
      bytesPerMs: entry?.speed.bytesPerMs,
      usualFirstByteMs: entry?.speed.usualFirstByteMs,
      load: entry?.fetching ?? 0,
      trouble: entry?.trouble && { reason: entry.trouble.reason, atMs: entry.trouble.atMs },
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
   * Best first: those that mostly deliver, of our site, did not just fail, not busy, fast as far as was measured, near, least
   * busy with our fetches, with the better record.
   */
  rank<T extends Standing>(holders: readonly T[]): T[] {
    const paces = holders.map(({ peer }) => this.#entries.get(peer)?.speed.bytesPerMs ?? 0)
    const best = Math.max(...paces)
    const keyed = holders.map((holder) => ({ holder, key: this.#key(holder, best) }))
    keyed.sort((a, b) => compareKeys(a.key, b.key))
    return keyed.map(({ holder }) => holder)
  }

  #key(holder: Standing, best: number): readonly number[] {
    const entry = this.#entries.get(holder.peer)
    const share = goodShare(entry)
    const rtt = holder.rttMs ?? Number.MAX_SAFE_INTEGER
    return [
      share < blameLimits.goodShare ? 1 : 0,
      holder.isSameSite ? 0 : 1,
      (entry?.trouble?.until ?? 0) > this.#clock.monotonicMs() ? 1 : 0,
      (entry?.busyUntil ?? 0) > this.#clock.monotonicMs() ? 1 : 0,
      slownessOf(entry?.speed.bytesPerMs, best),
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
      speed: new PeerSpeed({ clock: this.#clock }),
      busyUntil: 0,
      trouble: undefined,
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

/** In coarse steps, 0 for the fastest; who was never measured may be the fastest. */
function slownessOf(bytesPerMs: number | undefined, best: number): number {
  if (bytesPerMs === undefined || bytesPerMs <= 0) return 0
  return Math.floor(Math.log(best / bytesPerMs) / Math.log(speedLimits.equalFactor))
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
