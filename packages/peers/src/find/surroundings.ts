import type { Libp2p, PeerInfo } from '@libp2p/interface'
import { type PeerId, Turns } from '@modmesh/fill'
import type { CID } from 'multiformats/cid'
import { bodyTimes } from '../body/limits.ts'
import type { ControlHub } from '../control/control-hub.ts'
import type { PeerLink } from '../control/peer-link.ts'
import type { DhtService } from '../dht/dht-service.ts'
import { QueryFailedError, SessionClosedError } from '../errors.ts'
import { askLimits, providersAfterMs } from '../limits.ts'
import type { PeerScores } from '../peer-score.ts'
import type { ProvenSites } from '../proven-sites.ts'
import type { SiteLinks } from '../sites/site-links.ts'
import { askInTurn, askOwnerFirst, nearHadTheirChance, ownerFirst } from './ask-order.ts'
import { gather } from './gather.ts'

/** How long is asked. */
export interface Ask {
  readonly signal: AbortSignal
}

/** Who is asked around. */
export interface Around {
  readonly isWanted: (peer: PeerId) => boolean
  /** Under which further providers are looked up; absent: connected peers alone are asked. */
  readonly key: CID | undefined
  /** By which one member of each site is asked before the others of it; absent: all are. */
  readonly owner?: string
}

/** A link with what ranks it. */
export interface RankedLink {
  readonly peer: PeerId
  readonly isSameSite: boolean
  readonly rttMs: number | undefined
  readonly link: PeerLink
}

/** What asking around works with. */
export interface SurroundingsComponents {
  readonly libp2p: Libp2p
  readonly hub: Pick<ControlHub, 'links' | 'link' | 'whenLinked'>
  readonly dht: DhtService | undefined
  readonly scores: PeerScores
  readonly sites: Pick<ProvenSites, 'siteOf' | 'isSame'>
  readonly siteLinks: Pick<SiteLinks, 'isOpenTo'>
  /** Whether everybody who can be reached is connected: then the DHT is not asked. */
  readonly isClosed: () => boolean
  readonly failed: (error: unknown) => void
}

/** The peers that can be asked something: who is connected, members of other sites, providers of a key. */
export class Surroundings {
  readonly #parts: SurroundingsComponents

  constructor(components: SurroundingsComponents) {
    this.#parts = components
  }

  /** What connected peers, then providers of a key, answer. */
  ask<T>(
    { isWanted, key, owner }: Around,
    options: Ask,
    ask: (link: PeerLink, signal: AbortSignal) => Promise<T | undefined>,
  ): AsyncIterable<T> {
    return gather<T>(
      async ({ push, signal }) => {
        const asked = new Set<PeerId>()
        const turns = new Turns(askLimits.peersAtOnce)
        const askOnce = async (link: PeerLink): Promise<boolean> => {
          if (asked.has(link.peer) || !isWanted(link.peer)) return false
          asked.add(link.peer)
          const finding = await this.quietly(ask(link, signal), signal)
          if (finding !== undefined) push(finding)
          return finding !== undefined
        }
        const ranked = this.ranked(({ peer }) => isWanted(peer)).map(({ link }) => link)
        const near = ranked.filter(({ peer }) => this.#parts.sites.isSame(peer))
        const askInLine = (link: PeerLink) => turns.run(() => askOnce(link), { signal })
        const knew =
          owner === undefined
            ? near.map(askInLine)
            : askOwnerFirst(near, owner, { askOnce: askInLine, signal })
        const far = this.#askSites(ranked, owner, knew, { askOnce, signal })
        const connected = Promise.all([...knew, far])
        // A hung peer must not keep the providers waiting.
        await Promise.race([connected, wait(providersAfterMs)])
        await Promise.all([connected, this.#askProviders(key, askOnce, signal)])
      },
      { signal: options.signal, failed: this.#parts.failed },
    )
  }

  async #askProviders(
    key: CID | undefined,
    ask: (link: PeerLink) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    const { dht, scores, isClosed } = this.#parts
    if (dht === undefined || key === undefined || isClosed()) return
    const asking: Promise<unknown>[] = []
    for await (const provider of dht.findKey(key, { signal })) {
      if (scores.isAvoided(provider.id.toString())) continue
      asking.push(
        this.#connect(provider, signal).then((link) =>
          link === undefined ? undefined : ask(link),
        ),
      )
    }
    await Promise.all(asking)
  }

  /** Links that may be asked, best first. */
  ranked(wanted: (link: PeerLink) => boolean = () => true): RankedLink[] {
    const { hub, scores, sites, siteLinks } = this.#parts
    const mayAsk = ({ peer }: PeerLink) => !scores.isAvoided(peer) && siteLinks.isOpenTo(peer)
    const links = hub.links().filter((link) => mayAsk(link) && wanted(link))
    return scores.rank(
      links.map((link) => ({
        peer: link.peer,
        isSameSite: sites.isSame(link.peer),
        rttMs: link.session.rttMs,
        link,
      })),
    )
  }

  /** What a peer answers; undefined when it does not. Only bugs of ours are told. */
  async quietly<T>(answer: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      const isUsual = error instanceof QueryFailedError || error instanceof SessionClosedError
      if (!isUsual && !signal.aborted) this.#parts.failed(error)
      return undefined
    }
  }

  /** The link of a provider, connecting where needed; undefined when it cannot be reached. */
  async #connect(provider: PeerInfo, signal: AbortSignal): Promise<PeerLink | undefined> {
    const { libp2p, hub } = this.#parts
    const peer = provider.id.toString()
    const known = hub.link(peer)
    if (known !== undefined) return known
    const limited = AbortSignal.any([signal, AbortSignal.timeout(bodyTimes.connectMs)])
    try {
      await rememberAddresses(libp2p, provider)
      await libp2p.dial(provider.id, { signal: limited })
      return await hub.whenLinked(peer, { signal: limited })
    } catch {
      return undefined // a record of a peer that is gone: hints are allowed to be wrong
    }
  }

  /**
   * Asks members of other sites, one of each site after the other, when our own site has had its chance:
   * every question and answer costs the link. First the one that would fetch the key for its site; without
   * a key all are asked, each knows something else.
   */
  async #askSites(
    ranked: readonly PeerLink[],
    key: string | undefined,
    near: readonly Promise<boolean>[],
    how: { readonly askOnce: (link: PeerLink) => Promise<boolean>; readonly signal: AbortSignal },
  ): Promise<void> {
    const { sites } = this.#parts
    const far = Map.groupBy(
      ranked.filter(({ peer }) => !sites.isSame(peer)),
      ({ peer }) => sites.siteOf(peer),
    )
    if (far.size === 0) return
    if (near.length > 0) await nearHadTheirChance(near)
    await Promise.all(
      [...far.values()].map(async (links) => {
        if (key === undefined) await Promise.all(links.map((link) => how.askOnce(link)))
        else await askInTurn(ownerFirst(links, key), how)
      }),
    )
  }
}

/** Notes where a provider can be reached. */
export async function rememberAddresses(libp2p: Libp2p, peer: PeerInfo): Promise<void> {
  if (peer.multiaddrs.length === 0) return
  const multiaddrs = peer.multiaddrs.slice(0, askLimits.addresses)
  await libp2p.peerStore.merge(peer.id, { multiaddrs })
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
