import { randomBytes } from 'node:crypto'
import type { Clock, PeerId } from '@modmesh/fill'
import { AnswerDesk, emptyAnswer } from './control/answer-desk.ts'
import { FetchDesk } from './control/fetch-desk.ts'
import type { Gossip } from './control/gossip.ts'
import { type ControlTimes, floodLimits } from './control/limits.ts'
import { isMembershipQuery } from './control/membership-answers.ts'
import { membershipCapability } from './control/membership-message.ts'
import { controlVersions, type Hello } from './control/message.ts'
import type { OwnInventory } from './control/own-inventory.ts'
import {
  fetchCapability,
  inventoryCapability,
  type LinkOwner,
  PeerLink,
  relayCapability,
} from './control/peer-link.ts'
import type { Wire } from './control/wire.ts'
import { deltaCapability } from './delta/message.ts'
import type { Membership } from './membership/membership.ts'
import type { MeshComponents } from './mesh-init.ts'
import type { PrivateDesk } from './private/private-desk.ts'
import type { PrivateNames } from './private/private-names.ts'

/** What links lead to. */
export interface MeshLinksComponents extends Pick<MeshComponents, 'shelf' | 'fetcher'> {
  readonly clock: Clock
  readonly membership: Membership
  readonly own: OwnInventory
  readonly gossip: Gossip
  readonly privateDesk: PrivateDesk
  /** Absent where private modules are not shared. */
  readonly names: PrivateNames | undefined
  readonly isSameSite: (peer: PeerId) => boolean
  /** Whether anything of the shelf may be given to a peer now. */
  readonly isOpenTo: (peer: PeerId) => boolean
  readonly failed: (error: unknown) => void
}

/** Makes the links of peers: what we say of ourselves, and who of us hears and answers what they say. */
export class MeshLinks {
  /** Control messages sent since the start, by kind. */
  readonly sent: Map<string, number> = new Map()
  readonly #components: MeshLinksComponents
  readonly #init: { readonly times: ControlTimes; readonly inventory: boolean }
  readonly #boot = randomBytes(8)
  readonly #owner: LinkOwner

  constructor(
    components: MeshLinksComponents,
    init: { readonly times: ControlTimes; readonly inventory: boolean },
  ) {
    this.#components = components
    this.#init = init
    this.#owner = this.#newOwner()
  }

  /** Makes the link of a peer that opened a control stream, or got one. */
  make(peer: PeerId, wire: Wire): PeerLink {
    const { clock, own } = this.#components
    const init = { peer, hello: this.#hello(), times: this.#init.times, flood: floodLimits }
    return new PeerLink({ wire, clock, own, owner: this.#owner }, init)
  }

  /** Tells a new link what we know. */
  greet(link: PeerLink): void {
    const { gossip, names } = this.#components
    gossip.greet(link)
    names?.greet(link)
  }

  /** Notes that a peer's link is gone. */
  left(peer: PeerId): void {
    this.#components.gossip.left(peer)
  }

  #newOwner(): LinkOwner {
    const { shelf, own, fetcher, clock, isSameSite, isOpenTo, failed } = this.#components
    const { gossip, privateDesk, names } = this.#components
    const desk = new AnswerDesk({ shelf, own, fetcher })
    const noticeMs = this.#init.times.fetchNoticeMs
    const fetchDesk = new FetchDesk({ fetcher, clock, isSameSite }, { noticeMs })
    return {
      answer: (peer, query, options) => {
        if (query.kind === 'fetch-query') return fetchDesk.answer(peer, query, options)
        if (isMembershipQuery(query)) return gossip.trust.answer(peer, query)
        if (!isOpenTo(peer)) return Promise.resolve(emptyAnswer(query))
        if (query.kind === 'private-query') return privateDesk.answer(peer, query)
        return desk.answer(query, { isSameSite: isSameSite(peer) })
      },
      told: (link, notice) => {
        if (notice.kind === 'private-secret') names?.told(link, notice)
        else gossip.told(link, notice)
      },
      failed,
      sent: (kind) => this.sent.set(kind, (this.sent.get(kind) ?? 0) + 1),
    }
  }

  #hello(): Hello {
    const { membership, clock } = this.#components
    return {
      kind: 'hello',
      versions: controlVersions,
      capabilities: this.#capabilities(),
      site: membership.site(),
      name: membership.name(),
      clockMs: Math.trunc(clock.wallMs()),
      boot: this.#boot,
    }
  }

  #capabilities(): readonly string[] {
    const { fetcher } = this.#components
    const canFetch = fetcher?.canFetch() ?? false
    const canRelay = fetcher?.canRelay() ?? false
    return [
      membershipCapability,
      ...(this.#components.shelf.offer === undefined ? [] : [deltaCapability]),
      ...(this.#init.inventory ? [inventoryCapability] : []),
      ...(canFetch ? [fetchCapability] : []),
      ...(canRelay ? [relayCapability] : []),
    ]
  }
}
