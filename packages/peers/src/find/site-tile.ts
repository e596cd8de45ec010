import type { Clock, PeerId } from '@modmesh/fill'
import type { ControlHub } from '../control/control-hub.ts'
import { readTileOf } from '../control/head-gossip.ts'
import { tileLimits } from '../control/limits.ts'
import { QueryFailedError, SessionClosedError } from '../errors.ts'
import type { SiteOwner } from './site-owner.ts'

/** Asks the member of our site that fetches a tile of a checksum database for all of it. */
export class SiteTile {
  readonly #hub: Pick<ControlHub, 'link'>
  readonly #siteOwner: SiteOwner
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** Who gave nothing a moment ago. */
  readonly #resting = new Map<PeerId, number>()

  constructor(components: {
    readonly hub: Pick<ControlHub, 'link'>
    readonly siteOwner: SiteOwner
    readonly clock: Pick<Clock, 'monotonicMs'>
  }) {
    this.#hub = components.hub
    this.#siteOwner = components.siteOwner
    this.#clock = components.clock
  }

  /**
   * Unverified bytes; undefined when that member is us, or gave none: then we ask the database ourselves. All
   * who lost it turn to the same next one, so even then the database is asked once.
   */
  async fetch(
    database: string,
    path: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    const key = `tile ${database} ${path}`
    for (let asked = 0; asked < tileLimits.owners; asked++) {
      const owner = this.#siteOwner.owner(key, { isTrusted: this.#isTrusted, reach: 'upstream' })
      const link = owner === undefined ? undefined : this.#hub.link(owner)
      if (link === undefined) return undefined
      const tile = await this.#quietly(readTileOf(link, database)(path, options))
      options.signal.throwIfAborted()
      if (tile !== undefined) return tile
      this.#rest(link.peer)
    }
    return undefined
  }

  readonly #isTrusted = (peer: PeerId): boolean =>
    (this.#resting.get(peer) ?? 0) <= this.#clock.monotonicMs()

  #rest(peer: PeerId): void {
    this.#resting.delete(peer)
    this.#resting.set(peer, this.#clock.monotonicMs() + tileLimits.restMs)
    const [oldest] = this.#resting.size > tileLimits.resting ? this.#resting.keys() : []
    if (oldest !== undefined) this.#resting.delete(oldest)
  }

  async #quietly(answer: Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    try {
      return await answer
    } catch (error) {
      if (error instanceof QueryFailedError || error instanceof SessionClosedError) return undefined
      throw error
    }
  }
}
