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
import { parseRecord } from '../control/answer-desk.ts'
import { contentKey } from '../control/content-set.ts'
import { readTileOf } from '../control/head-gossip.ts'
import { tileLimits } from '../control/limits.ts'
import type { PeerLink } from '../control/peer-link.ts'
import { askLimits } from '../limits.ts'
import type { SiteLinks } from '../sites/site-links.ts'
import { gather } from './gather.ts'
import { HaveQuestions } from './have-questions.ts'
import type { Missing } from './missing.ts'
import {
  type Around,
  type Ask,
  type RankedLink,
  rememberAddresses,
  Surroundings,
  type SurroundingsComponents,
} from './surroundings.ts'

/** What a finder works with. */
export interface FinderComponents extends SurroundingsComponents {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly missing: Missing
  readonly siteLinks: Pick<SiteLinks, 'linkOf' | 'isOpenTo'>
}

/** Who has it, who knows of it: inventories, queries to connected peers, then the DHT. */
export class Finder {
  readonly #parts: FinderComponents
  readonly #around: Surroundings
  readonly #haves: HaveQuestions

  constructor(components: FinderComponents) {
    this.#parts = components
    this.#around = new Surroundings(components)
    this.#haves = new HaveQuestions(components)
  }

  /** Holders by inventory, best first. */
  holders(zipHash: ZipHash): readonly Holder[] {
    const key = contentKey(zipHash)
    const claims = (link: PeerLink) =>
      link.inventory.has(key) && !this.#parts.missing.has(link.peer, zipHash)
    return this.#around
      .ranked(claims)
      .map(({ peer, rttMs }) => this.#holder(peer, 'inventory', rttMs))
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
      await this.#around.quietly(this.#haves.askAhead(link, zipHashes, { signal }), signal)
    })
  }

  /** What connected peers, then providers of the path's name key, know of a module version. */
  findRecords(module: ModuleVersion, options: Ask): AsyncIterable<ModuleRecord> {
    const query = { kind: 'record-query', path: module.path, version: module.version } as const
    const around = { ...anybody(module.path), owner: ownerKey(module) }
    return this.#around.ask(around, options, async (link, signal) => {
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
    return this.#around.ask(anybody(path), options, async (link, signal) => {
      const query = { kind: 'versions-query', path } as const
      const answer = await link.session.ask<'versions-query'>(query, { signal })
      const versions = parseVersions(answer.versions)
      return versions.length > 0 ? { peer: link.peer, versions } : undefined
    })
  }

  /** A tile from the best peers that have it; undefined when none has. Unverified. */
  async fetchTile(database: string, path: string, options: Ask): Promise<Uint8Array | undefined> {
    for (const { link } of this.#around.ranked().slice(0, tileLimits.peers)) {
      const tile = await this.#around.quietly(
        readTileOf(link, database)(path, options),
        options.signal,
      )
      if (tile !== undefined) return tile
      options.signal.throwIfAborted()
    }
    return undefined
  }

  /** What connected peers, then providers of a key, answer. */
  askAround<T>(
    around: Around,
    options: Ask,
    ask: (link: PeerLink, signal: AbortSignal) => Promise<T | undefined>,
  ): AsyncIterable<T> {
    return this.#around.ask(around, options, ask)
  }

  /** Asks those whose inventory is not known, some at a time. */
  async #askUnsure(signal: AbortSignal, ask: (one: RankedLink) => Promise<void>): Promise<void> {
    const unsure = this.#around.ranked((link) => !link.knowsInventory)
    const turns = new Turns(askLimits.peersAtOnce)
    await Promise.all(unsure.map((one) => turns.run(() => ask(one), { signal })))
  }

  async #askWhoHas(
    zipHash: ZipHash,
    offer: (holder: Holder) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#askUnsure(signal, async ({ link, peer, rttMs }) => {
      const has = await this.#around.quietly(this.#haves.has(link, zipHash, { signal }), signal)
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

  #holder(peer: PeerId, via: Holder['via'], rttMs: number | undefined): Holder {
    const far = this.#parts.siteLinks.linkOf(peer)
    const { bytesPerMs, usualFirstByteMs, load } = this.#parts.scores.conduct(peer)
    const seen = { peer, via, rttMs, bytesPerMs, usualFirstByteMs, load }
    return far === undefined ? seen : { ...seen, far }
  }

  #mayHold(peer: PeerId, zipHash: ZipHash): boolean {
    return (
      this.#parts.siteLinks.isOpenTo(peer) &&
      !this.#parts.scores.isAvoided(peer) &&
      !this.#parts.missing.has(peer, zipHash)
    )
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
