import type { PeerInfo } from '@libp2p/interface'
import type { Clock, PeerId } from '@modmesh/fill'
import type { Membership } from '../membership/membership.ts'
import type { Network } from '../network/network.ts'
import type { HeadExchange } from '../peer-shelf.ts'
import type { ControlHub } from './control-hub.ts'
import { HeadGossip } from './head-gossip.ts'
import { type GossipOwner, MemberGossip } from './member-gossip.ts'
import { MembershipGossip, type TrustOwner } from './membership-gossip.ts'
import type { MembershipNotice } from './membership-message.ts'
import type { PeersNotice, TreeHead } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** What gossip works with. */
export interface GossipComponents {
  readonly network: Network
  readonly membership: Membership
  readonly heads: HeadExchange
  readonly hub: Pick<ControlHub, 'links' | 'link'>
  readonly clock: Clock
  /** The site that a peer proved at the gate. */
  readonly siteOf: (peer: PeerId) => string
  /** Takes a member of our site that we are not connected to; its addresses are hearsay. */
  readonly learn: (member: PeerInfo) => Promise<void>
  readonly failed: (error: unknown) => void
}

/** All that members tell each other unasked: tree heads, who else there is, and what the mesh says of members. */
export class Gossip {
  /** About members and what the mesh says of them. */
  readonly trust: MembershipGossip
  readonly #components: GossipComponents
  readonly #heads: HeadGossip
  readonly #members: MemberGossip

  /** `isOpen`: other members may dial us. */
  constructor(components: GossipComponents, init: { readonly isOpen: boolean }) {
    const { heads: exchange, clock, hub, membership, failed } = components
    this.#components = components
    this.#heads = new HeadGossip({ exchange, links: () => hub.links(), failed })
    this.#members = new MemberGossip({ clock, owner: this.#memberOwner(init.isOpen) })
    this.trust = new MembershipGossip({ clock, membership, owner: this.#trustOwner() })
  }

  start(): void {
    this.#heads.start()
  }

  stop(): void {
    this.#heads.stop()
    this.#members.stop()
    this.trust.stop()
  }

  /** Whether every member that any of our peers is connected to is connected to us. */
  isClosed(): boolean {
    return this.#members.isClosed()
  }

  /** Tells a new link what we know. */
  greet(link: PeerLink): void {
    this.#heads.greet(link)
    this.#members.greet(link)
    this.trust.greet(link)
  }

  /** Takes what a member told us. */
  told(link: PeerLink, notice: TreeHead | PeersNotice | MembershipNotice): void {
    if (notice.kind === 'peers') this.#members.told(link, notice)
    else if (notice.kind === 'tree-head') this.#heads.received(link, notice)
    else this.trust.told(link, notice)
  }

  /** Notes that a peer's link is gone. */
  left(peer: PeerId): void {
    this.#members.left(peer)
    this.trust.left(peer)
  }

  #memberOwner(isOpen: boolean): GossipOwner {
    const { network, membership, hub, siteOf, learn, failed } = this.#components
    return {
      peerId: network.peerId,
      self: () => ({
        peer: network.peerId,
        site: membership.site(),
        // Who connects to configured peers only does not ask to be dialled either.
        addresses: isOpen ? network.addresses() : [],
      }),
      links: () => hub.links(),
      siteOf,
      learn: (member) => {
        if (hub.link(member.id.toString()) !== undefined) return
        learn(member).catch(failed)
      },
      failed,
    }
  }

  #trustOwner(): TrustOwner {
    const { network, hub, failed } = this.#components
    return {
      links: () => hub.links(),
      member: (peer) => network.member(peer),
      proved: (member) => network.proved(member),
      heard: () => network.heard(),
      cut: (peer, reason) => network.cut(peer, reason),
      failed,
    }
  }
}
