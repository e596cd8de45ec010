import { type Clock, LinkMeter, PeerError, type PeerId, type SiteLink } from '@modmesh/fill'
import type { ControlHub } from '../control/control-hub.ts'
import type { PeerLink } from '../control/peer-link.ts'
import { siteLimits, sitePacing } from '../limits.ts'
import type { ProvenSites } from '../proven-sites.ts'
import { LinkPacer } from './link-pacer.ts'
import {
  isOpen,
  minuteOfDay,
  type SiteRule,
  type SiteRules,
  type SiteTerms,
  termsAt,
} from './site-terms.ts'
import type { SiteTraffic } from './site-traffic.ts'

/** What is known of another site, and what may cross. */
export interface SiteStatus extends SiteLink {
  readonly terms: SiteTerms
  readonly rules: readonly SiteRule[]
  /** Connected members. */
  readonly connected: number
  readonly givenBytes: number
  readonly takenBytes: number
  readonly savedBytes: number
}

/** What a link needs of the node. */
export interface SiteLinksComponents {
  readonly hub: Pick<ControlHub, 'links' | 'link'>
  readonly sites: Pick<ProvenSites, 'siteOf' | 'isSame'>
  readonly traffic: SiteTraffic
  readonly clock: Clock
  /** Ends the connections of a peer, of which a new one may be made. */
  readonly cut: (peer: PeerId, reason: Error) => void
}

/** Bytes that come from a peer. */
export interface Taking {
  /** Resolves when so many more may be taken. Counts them. */
  take(bytes: number, options: { readonly signal: AbortSignal }): Promise<void>
  /** Nothing comes until more is asked for: the time till then says nothing of what the link carries. */
  pause(): void
  end(): void
}

interface Site {
  readonly meter: LinkMeter
  readonly up: LinkPacer
  readonly down: LinkPacer
  /** Aborts when nothing may cross any more. */
  open: AbortController
  mode: SiteTerms['mode']
}

/** Nothing may cross a link now. */
class SiteClosedError extends Error {
  readonly code = 'SITE_CLOSED'
  constructor(site: string, mode: SiteTerms['mode']) {
    super(`the link to site ${site} is ${mode}`)
    this.name = 'SiteClosedError'
  }
}

/** The links to other sites: what may cross them, how fast, what did, and what they are measured to carry. */
export class SiteLinks {
  readonly #parts: SiteLinksComponents
  readonly #sites = new Map<string, Site>()
  readonly #rules: Map<string, readonly SiteRule[]>
  readonly #stopping = new AbortController()

  constructor(components: SiteLinksComponents, init: { readonly rules?: SiteRules | undefined }) {
    this.#parts = components
    this.#rules = new Map(init.rules)
  }

  /** Begins to follow the time of day. */
  start(): void {
    void this.#look()
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** Sites with a connected member over whose link modules may cross. */
  links(): readonly SiteLink[] {
    return this.#connected()
      .filter((site) => isOpen(this.terms(site)))
      .map((site) => this.#linkTo(site))
  }

  /** The link to a peer's site; undefined when that is ours. */
  linkOf(peer: PeerId): SiteLink | undefined {
    const { sites } = this.#parts
    return sites.isSame(peer) ? undefined : this.#linkTo(sites.siteOf(peer))
  }

  /** Whether modules may cross between a peer and us. */
  isOpenTo(peer: PeerId): boolean {
    const { sites } = this.#parts
    return sites.isSame(peer) || isOpen(this.terms(sites.siteOf(peer)))
  }

  /** Whether more than what somebody asks for may cross. */
  isFreeTo(peer: PeerId): boolean {
    const { sites } = this.#parts
    return sites.isSame(peer) || this.terms(sites.siteOf(peer)).mode === 'open'
  }

  /** Whether no connection to a peer is kept. */
  isForbidden(peer: PeerId): boolean {
    const { sites } = this.#parts
    return !sites.isSame(peer) && this.terms(sites.siteOf(peer)).mode === 'forbidden'
  }

  /** What holds for a site now. */
  terms(site: string): SiteTerms {
    return termsAt(this.#rulesOf(site), minuteOfDay(this.#parts.clock.wallMs()))
  }

  /** Sets the rules of a site, or has it under those of all others; what is under way and may be no more ends. */
  limit(site: string, rules: readonly SiteRule[] | undefined): void {
    // What holds until now is what is compared with.
    for (const name of this.#connected()) this.#site(name)
    if (rules === undefined) this.#rules.delete(site)
    else this.#rules.set(site, rules)
    this.#follow()
  }

  /**
   * Begins to take a body from a peer. Of one in `parts` the link is measured between the first and the last
   * byte of each: the round trips of many small ones would make every link slow. Throws PeerError when
   * nothing may cross.
   */
  taking(peer: PeerId, how: 'whole' | 'parts' = 'whole'): Taking | undefined {
    const { sites, traffic } = this.#parts
    if (sites.isSame(peer)) return undefined
    const name = sites.siteOf(peer)
    this.#throwIfClosed(peer, name)
    const site = this.#site(name)
    let isOver = false
    let measured = how === 'whole' ? site.meter.begin() : undefined
    const pause = (): void => {
      measured?.end()
      measured = undefined
    }
    return {
      take: async (bytes, options) => {
        traffic.add(name, { taken: bytes })
        measured?.bytes(bytes)
        if (!isOver) measured ??= site.meter.begin()
        const { downRate } = this.terms(name)
        if (downRate !== undefined) await site.down.wait(bytes, downRate, options)
      },
      pause,
      end: () => {
        isOver = true
        pause()
      },
    }
  }

  /** Aborts when nothing may cross between a peer and us any more; undefined for one of our site. */
  closing(peer: PeerId): AbortSignal | undefined {
    const { sites } = this.#parts
    return sites.isSame(peer) ? undefined : this.#site(sites.siteOf(peer)).open.signal
  }

  /** Lets chunks to a peer of another site through as fast as is allowed; `around` is told while they wait. */
  async *giving(
    peer: PeerId,
    chunks: AsyncIterable<Uint8Array>,
    around: {
      readonly pause: () => void
      readonly resume: () => void
      readonly signal: AbortSignal
    },
  ): AsyncGenerator<Uint8Array> {
    const { sites } = this.#parts
    if (sites.isSame(peer)) return yield* chunks
    const name = sites.siteOf(peer)
    const { up, open } = this.#site(name)
    for await (const chunk of chunks) {
      for (const piece of this.#pieces(chunk, this.terms(name).upRate)) {
        open.signal.throwIfAborted()
        const { upRate } = this.terms(name)
        if (upRate !== undefined) {
          around.pause()
          await up.wait(piece.byteLength, upRate, around)
          around.resume()
        }
        yield piece
      }
    }
  }

  /** Pieces of what comes from a peer, so that each is taken as it may come. */
  piecesFrom(peer: PeerId, chunk: Uint8Array): Iterable<Uint8Array> {
    const { sites } = this.#parts
    return this.#pieces(chunk, this.terms(sites.siteOf(peer)).downRate)
  }

  /** Counts bytes given to a peer of another site. */
  gave(peer: PeerId, bytes: number): void {
    const { sites, traffic } = this.#parts
    if (!sites.isSame(peer)) traffic.add(sites.siteOf(peer), { given: bytes })
  }

  /** Counts bytes that did not need to come from a peer's site: what was asked for less what came. */
  saved(peer: PeerId, bytes: number): void {
    const { sites, traffic } = this.#parts
    if (!sites.isSame(peer) && bytes > 0) traffic.add(sites.siteOf(peer), { saved: bytes })
  }

  /** Every site that is connected, limited or was counted; ours is not among them. */
  status(): readonly SiteStatus[] {
    const { traffic } = this.#parts
    const ours = this.#ownSites()
    const names = new Set([...this.#connected(), ...traffic.names(), ...this.#rules.keys()])
    return [...names]
      .filter((name) => name !== everySite && !ours.has(name))
      .sort()
      .map((name) => {
        const { given, taken, saved } = traffic.of(name)
        const counts = { givenBytes: given, takenBytes: taken, savedBytes: saved }
        const link = this.#linkTo(name)
        const connected = this.#membersOf(name).length
        return {
          ...link,
          terms: this.terms(name),
          rules: this.#rulesOf(name),
          connected,
          ...counts,
        }
      })
  }

  /** The connected member of a site with the shortest round trip. */
  nearest(site: string): PeerLink | undefined {
    const rttOf = ({ session }: PeerLink): number => session.rttMs ?? Number.POSITIVE_INFINITY
    return this.#membersOf(site).toSorted((a, b) => rttOf(a) - rttOf(b))[0]
  }

  #ownSites(): ReadonlySet<string> {
    const { hub, sites } = this.#parts
    const near = hub.links().filter(({ peer }) => sites.isSame(peer))
    return new Set(near.map(({ peer }) => sites.siteOf(peer)))
  }

  #linkTo(site: string): SiteLink {
    const members = this.#membersOf(site)
    const rtts = members.flatMap(({ session }) => session.rttMs ?? [])
    const silent = members.map(({ session }) => session.silentMs)
    return {
      ...(silent.length === 0 ? {} : { silentMs: Math.min(...silent) }),
      site,
      rttMs: rtts.length === 0 ? undefined : Math.min(...rtts),
      bytesPerSecond: this.#sites.get(site)?.meter.bytesPerSecond,
      isMetered: this.terms(site).mode === 'metered',
    }
  }

  #membersOf(site: string): readonly PeerLink[] {
    const { hub, sites } = this.#parts
    return hub.links().filter(({ peer }) => !sites.isSame(peer) && sites.siteOf(peer) === site)
  }

  #connected(): readonly string[] {
    const { hub, sites } = this.#parts
    const far = hub.links().filter(({ peer }) => !sites.isSame(peer))
    return [...new Set(far.map(({ peer }) => sites.siteOf(peer)))]
  }

  #rulesOf(site: string): readonly SiteRule[] {
    return this.#rules.get(site) ?? this.#rules.get(everySite) ?? []
  }

  #site(name: string): Site {
    const known = this.#sites.get(name)
    if (known !== undefined) return known
    const { clock } = this.#parts
    const { mode } = this.terms(name)
    const site: Site = {
      meter: new LinkMeter({ clock }),
      up: new LinkPacer({ clock }),
      down: new LinkPacer({ clock }),
      open: new AbortController(),
      mode,
    }
    if (!isOpen(this.terms(name))) site.open.abort(new SiteClosedError(name, mode))
    if (this.#sites.size < siteLimits.sites) this.#sites.set(name, site)
    return site
  }

  #throwIfClosed(peer: PeerId, site: string): void {
    const { mode } = this.terms(site)
    if (this.isOpenTo(peer)) return
    const { message } = new SiteClosedError(site, mode)
    throw new PeerError(peer, message, { fault: 'unable' })
  }

  #pieces(chunk: Uint8Array, rate: number | undefined): Iterable<Uint8Array> {
    if (rate === undefined || chunk.byteLength <= sitePacing.pieceBytes) return [chunk]
    const count = Math.ceil(chunk.byteLength / sitePacing.pieceBytes)
    return Array.from({ length: count }, (_, at) =>
      chunk.subarray(at * sitePacing.pieceBytes, (at + 1) * sitePacing.pieceBytes),
    )
  }

  /** Follows what the time of day changes. Never rejects. */
  async #look(): Promise<void> {
    try {
      for (;;) {
        await this.#parts.clock.sleep(siteLimits.lookMs, { signal: this.#stopping.signal })
        this.#follow()
      }
    } catch {
      // Stopped.
    }
  }

  /** Ends what may be no more, and lets begin anew what may be again. */
  #follow(): void {
    for (const name of new Set([...this.#connected(), ...this.#sites.keys()])) {
      const site = this.#site(name)
      const before = site.mode
      const terms = this.terms(name)
      site.mode = terms.mode
      const wasOpen = !site.open.signal.aborted
      if (wasOpen && !isOpen(terms)) site.open.abort(new SiteClosedError(name, terms.mode))
      if (!wasOpen && isOpen(terms)) site.open = new AbortController()
      // What was refused meanwhile counts as not held there: a new connection tells anew.
      const isAnew = !wasOpen && isOpen(terms)
      const isOut = terms.mode === 'forbidden' && before !== 'forbidden'
      if (isAnew || isOut) this.#cut(name, terms.mode)
    }
  }

  #cut(site: string, mode: SiteTerms['mode']): void {
    const reason = new SiteClosedError(site, mode)
    for (const { peer } of this.#membersOf(site)) this.#parts.cut(peer, reason)
  }
}

/** The name in rules that stands for every site without rules of its own. */
const everySite = '*'
