import type { Libp2p, PeerInfo } from '@libp2p/interface'
import {
  type Clock,
  type Holder,
  type ModuleRecord,
  ownerKey,
  type PeerId,
  Turns,
} from '@modmesh/fill'
import {
  InvalidVersionError,
  type ModulePath,
  type ModuleVersion,
  nameKey,
  parseVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import { bodyTimes } from '../body/limits.ts'
import { parseRecord } from '../control/answer-desk.ts'
import { contentKey } from '../control/content-set.ts'
import type { ControlHub } from '../control/control-hub.ts'
import { readTileOf } from '../control/head-gossip.ts'
import { tileLimits } from '../control/limits.ts'
import type { PeerLink } from '../control/peer-link.ts'
import type { DhtService } from '../dht/dht-service.ts'
import { QueryFailedError, SessionClosedError } from '../errors.ts'
import { askLimits, providersAfterMs } from '../limits.ts'
import type { PeerScores } from '../peer-score.ts'
import type { ProvenSites } from '../proven-sites.ts'
import type { SiteLinks } from '../sites/site-links.ts'
import { askInTurn, nearHadTheirChance, ownerFirst } from './far-order.ts'
import { gather } from './gather.ts'
import { HaveQuestions } from './have-questions.ts'
import type { Missing } from './missing.ts'

interface Ask {
  readonly signal: AbortSignal
}

/** Who is asked around. */
export interface Around {
  readonly isWanted: (peer: PeerId) => boolean
  /** Under which further providers are looked up; absent: connected peers alone are asked. */
  readonly key: CID | undefined
  /** By which one member of each other site is asked before the others of it; absent: all are. */
  readonly owner?: string
}

/** A link with what ranks it. */
interface RankedLink {
  readonly peer: PeerId
  readonly isSameSite: boolean
  readonly rttMs: number | undefined
  readonly link: PeerLink
}

/** What a finder works with. */
export interface FinderComponents {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly libp2p: Libp2p
  readonly hub: Pick<ControlHub, 'links' | 'link' | 'whenLinked'>
  readonly dht: DhtService | undefined
  readonly scores: PeerScores
  readonly missing: Missing
  readonly sites: Pick<ProvenSites, 'siteOf' | 'isSame'>
  readonly siteLinks: Pick<SiteLinks, 'linkOf' | 'isOpenTo'>
  /** Whether everybody who can be reached is connected: then the DHT is not asked. */
  readonly isClosed: () => boolean
  readonly failed: (error: unknown) => void
}

/** Who has it, who knows of it: inventories, queries to connected peers, then the DHT. */
export class Finder {
  readonly #parts: FinderComponents
  readonly #haves: HaveQuestions

  constructor(components: FinderComponents) {
    this.#parts = components
    this.#haves = new HaveQuestions(components)
  }

  /** Holders by inventory, best first. */
  holders(zipHash: ZipHash): readonly Holder[] {
    const key = contentKey(zipHash)
    const claims = (link: PeerLink) =>
      link.inventory.has(key) && !this.#parts.missing.has(link.peer, zipHash)
    return this.#ranked(claims).map(({ peer, rttMs }) => this.#holder(peer, 'inventory', rttMs))
  }

  /** Holders by have-query, where there is no inventory, and by the DHT. */
  findHolders(zipHash: ZipHash, options: Ask): AsyncIterable<Holder> {
    const { failed } = this.#parts
    return gather<Holder>(
      async ({ push, signal }) => {
        const seen = new Set<PeerId>()
        const offer = (holder: Holder) => {
          if (seen.has(holder.peer) || !this.#mayHold(holder.peer, zipHash)) return
          seen.add(holder.peer)
          push(holder)
        }
        await Promise.all([
          this.#askWhoHas(zipHash, offer, signal),
          this.#lookUpHolders(zipHash, offer, signal),
        ])
      },
      { signal: options.signal, failed },
    )
  }

  /** Asks connected peers without inventory which of many they have: who looks for those soon after need not wait. */
  async askAhead(zipHashes: readonly ZipHash[], { signal }: Ask): Promise<void> {
    await this.#askUnsure(signal, async ({ link }) => {
      await this.#quietly(this.#haves.askAhead(link, zipHashes, { signal }), signal)
    })
  }

  /** What connected peers, then providers of the path's name key, know of a module version. */
  findRecords(module: ModuleVersion, options: Ask): AsyncIterable<ModuleRecord> {
    const query = { kind: 'record-query', path: module.path, version: module.version } as const
    const around = { ...anybody(module.path), owner: ownerKey(module) }
    return this.askAround(around, options, async (link, signal) => {
      const answer = await link.session.ask<'record-query'>(query, { signal })
      const record = parseRecord(answer)
      return record && { ...record, peer: link.peer, module }
    })
  }

  /** Versions of a path that peers say they hold. */
  findVersions(
    path: ModulePath,
    options: Ask,
  ): AsyncIterable<{ readonly peer: PeerId; readonly versions: readonly Version[] }> {
    return this.askAround(anybody(path), options, async (link, signal) => {
      const query = { kind: 'versions-query', path } as const
      const answer = await link.session.ask<'versions-query'>(query, { signal })
      const versions = parseVersions(answer.versions)
      return versions.length > 0 ? { peer: link.peer, versions } : undefined
    })
  }

  /** A tile from the best peers that have it; undefined when none has. Unverified. */
  async fetchTile(database: string, path: string, options: Ask): Promise<Uint8Array | undefined> {
    for (const { link } of this.#ranked().slice(0, tileLimits.peers)) {
      const tile = await this.#quietly(readTileOf(link, database)(path, options), options.signal)
      if (tile !== undefined) return tile
      options.signal.throwIfAborted()
    }
    return undefined
  }

  /** What connected peers, then providers of a key, answer. */
  askAround<T>(
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
          const finding = await this.#quietly(ask(link, signal), signal)
          if (finding !== undefined) push(finding)
          return finding !== undefined
        }
        const ranked = this.#ranked(({ peer }) => isWanted(peer)).map(({ link }) => link)
        const near = ranked.filter(({ peer }) => this.#parts.sites.isSame(peer))
        const knew = near.map((link) => turns.run(() => askOnce(link), { signal }))
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

  /** Asks those whose inventory is not known, some at a time. */
  async #askUnsure(signal: AbortSignal, ask: (one: RankedLink) => Promise<void>): Promise<void> {
    const unsure = this.#ranked((link) => !link.knowsInventory)
    const turns = new Turns(askLimits.peersAtOnce)
    await Promise.all(unsure.map((one) => turns.run(() => ask(one), { signal })))
  }

  async #askWhoHas(
    zipHash: ZipHash,
    offer: (holder: Holder) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#askUnsure(signal, async ({ link, peer, rttMs }) => {
      const has = await this.#quietly(this.#haves.has(link, zipHash, { signal }), signal)
      if (has === true) offer(this.#holder(peer, 'have', rttMs))
    })
  }

  async #lookUpHolders(
    zipHash: ZipHash,
    offer: (holder: Holder) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { dht, hub, libp2p, isClosed } = this.#parts
    if (dht === undefined || isClosed()) return
    const key = contentKey(zipHash)
    for await (const provider of dht.findContent(zipHash, { signal })) {
      const peer = provider.id.toString()
      const link = hub.link(peer)
      // A live inventory knows better than a record that may be two days old.
      if (link?.knowsInventory === true && !link.inventory.has(key)) continue
      if (link === undefined) await rememberAddresses(libp2p, provider)
      offer(this.#holder(peer, 'dht', link?.session.rttMs))
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

  #ranked(wanted: (link: PeerLink) => boolean = () => true): RankedLink[] {
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

  #holder(peer: PeerId, via: Holder['via'], rttMs: number | undefined): Holder {
    const far = this.#parts.siteLinks.linkOf(peer)
    const { bytesPerMs, usualFirstByteMs, load } = this.#parts.scores.conduct(peer)
    const seen = { peer, via, rttMs, bytesPerMs, usualFirstByteMs, load }
    return far === undefined ? seen : { ...seen, far }
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

  #mayHold(peer: PeerId, zipHash: ZipHash): boolean {
    return (
      this.#parts.siteLinks.isOpenTo(peer) &&
      !this.#parts.scores.isAvoided(peer) &&
      !this.#parts.missing.has(peer, zipHash)
    )
  }

  /** What a peer answers; undefined when it does not. Only bugs of ours are told. */
  async #quietly<T>(answer: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      const isUsual = error instanceof QueryFailedError || error instanceof SessionClosedError
      if (!isUsual && !signal.aborted) this.#parts.failed(error)
      return undefined
    }
  }
}

function anybody(path: ModulePath): Around {
  return { isWanted: () => true, key: nameKey(path) }
}

/** Reads a list of versions; those that go would not accept are left out. */
export function parseVersions(text: string): Version[] {
  const versions = new Set<Version>()
  for (const line of text.split('\n')) {
    if (line === '' || versions.size >= askLimits.versions) continue
    try {
      versions.add(parseVersion(line))
    } catch (error) {
      if (!(error instanceof InvalidVersionError)) throw error
    }
  }
  return [...versions]
}

async function rememberAddresses(libp2p: Libp2p, peer: PeerInfo): Promise<void> {
  if (peer.multiaddrs.length === 0) return
  const multiaddrs = peer.multiaddrs.slice(0, askLimits.addresses)
  await libp2p.peerStore.merge(peer.id, { multiaddrs })
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
