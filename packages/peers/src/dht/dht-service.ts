import type { PeerInfo } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { contentId, type ZipHash } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import { askLimits } from '../limits.ts'
import type { AnnounceTarget } from './announcer.ts'

/** The DHT as the node uses it: announcing, and finding providers. Its records are hints. */
export class DhtService implements AnnounceTarget {
  readonly #dht: KadDHT
  readonly #self: string
  readonly #isAlone: () => boolean
  readonly #isClosed: () => boolean
  readonly #announcedMs: (multihash: Uint8Array) => Promise<number | undefined>

  constructor(
    components: {
      readonly dht: KadDHT
      readonly isAlone: () => boolean
      /** Whether all members that can be reached are connected to us. */
      readonly isClosed: () => boolean
      /** When we last announced a multihash, wall clock. */
      readonly announcedMs: (multihash: Uint8Array) => Promise<number | undefined>
    },
    init: { readonly self: string },
  ) {
    this.#dht = components.dht
    this.#isAlone = components.isAlone
    this.#isClosed = components.isClosed
    this.#announcedMs = components.announcedMs
    this.#self = init.self
  }

  isNeedless(): boolean {
    return this.#isAlone() || this.#isClosed()
  }

  async provide(key: CID, options: { readonly signal: AbortSignal }): Promise<number> {
    let taken = 0
    for await (const event of this.#dht.provide(key, options)) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') taken += 1
    }
    return taken
  }

  announcedMs(key: CID): Promise<number | undefined> {
    return this.#announcedMs(key.multihash.bytes)
  }

  async withdraw(key: CID, options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#dht.cancelReprovide(key, options)
  }

  /** Peers that announced a content. Ends when the query does or the signal aborts. */
  findContent(
    zipHash: ZipHash,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<PeerInfo> {
    return this.#find(contentId(zipHash), options)
  }

  /** Peers that announced a key of names. Ends when the query does or the signal aborts. */
  findKey(key: CID, options: { readonly signal: AbortSignal }): AsyncIterable<PeerInfo> {
    return this.#find(key, options)
  }

  async *#find(key: CID, options: { readonly signal: AbortSignal }): AsyncGenerator<PeerInfo> {
    if (this.#isAlone()) return
    const seen = new Set([this.#self])
    try {
      for await (const event of this.#dht.findProviders(key, options)) {
        if (event.name !== 'PROVIDER') continue
        for (const provider of event.providers) {
          const peer = provider.id.toString()
          if (seen.has(peer)) continue
          seen.add(peer)
          yield provider
          if (seen.size > askLimits.providers) return
        }
      }
    } catch {
      // Out of time, or nobody of the table answered: the DHT had nothing more to say.
    }
  }
}
