import type { PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock, PeerId } from '@modmesh/fill'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import { parsePeerAddress, peerIdOf } from '../network/peer-address.ts'
import { controlLimits, gossipLimits } from './limits.ts'
import type { PeerAddresses, PeersNotice } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** What gossip about members needs of the node. */
export interface GossipOwner {
  readonly peerId: PeerId
  /** Ourselves as others should hear of us: looks at the host's addresses, so not for every question. */
  self(): PeerAddresses
  links(): readonly PeerLink[]
  /** The site that a peer proved at the gate. */
  siteOf(peer: PeerId): string
  /** Takes a member of our site that we are not connected to; its addresses are hearsay. */
  learn(member: PeerInfo): void
  failed(error: unknown): void
}

/**
 * Tells members of each other, so that a mesh joined through one address becomes connected. A peer
 * is believed about itself and passed on once; what it says of others is only tried.
 */
export class MemberGossip {
  readonly #owner: GossipOwner
  readonly #clock: Clock
  readonly #known = new Map<PeerId, PeerAddresses>()
  readonly #news = new Map<PeerId, PeerAddresses>()
  readonly #losses = new Set<PeerId>()
  /** Whom each link is connected to, as far as it told; undefined when that was too many to tell. */
  readonly #heard = new WeakMap<PeerLink, Set<PeerId> | undefined>()
  readonly #stop = new AbortController()
  #isPlanned = false

  constructor(components: { readonly owner: GossipOwner; readonly clock: Clock }) {
    this.#owner = components.owner
    this.#clock = components.clock
  }

  stop(): void {
    this.#stop.abort(new Error('node stops'))
  }

  /** Tells a new link who we are and whom we know. */
  greet(link: PeerLink): void {
    const others = [...this.#known.values()].filter((member) => member.peer !== link.peer)
    const peers = [bounded(this.#owner.self()), ...others].slice(0, controlLimits.peersItems)
    link.session.tell({ kind: 'peers', peers })
  }

  left(peer: PeerId): void {
    if (!this.#known.delete(peer)) return
    this.#news.delete(peer)
    this.#losses.add(peer)
    this.#plan()
  }

  /**
   * Whether every member that any of our peers is connected to is connected to us: then whoever is
   * reachable can be asked directly, and the DHT knows nobody else.
   */
  isClosed(): boolean {
    const links = this.#owner.links()
    const reached = new Set(links.map((link) => link.peer)).add(this.#owner.peerId)
    return links.every((link) => {
      const heard = this.#heard.get(link)
      return heard !== undefined && [...heard].every((peer) => reached.has(peer))
    })
  }

  told(link: PeerLink, notice: PeersNotice): void {
    this.#hear(link, notice)
    const others = notice.peers.filter(({ peer }) => peer !== link.peer)
    const itself = notice.peers.find(({ peer }) => peer === link.peer)
    if (itself !== undefined) this.#aboutItself(link, itself)
    if (others.length > 0) this.#hearsay(others)
  }

  #hear(link: PeerLink, notice: PeersNotice): void {
    const isFirst = !this.#heard.has(link)
    const heard = isFirst ? new Set<PeerId>() : this.#heard.get(link)
    for (const { peer } of notice.peers) heard?.add(peer)
    for (const peer of notice.left ?? []) heard?.delete(peer)
    const isTooMany =
      (isFirst && notice.peers.length >= controlLimits.peersItems) ||
      (heard?.size ?? 0) > gossipLimits.heard
    this.#heard.set(link, isTooMany ? undefined : heard)
  }

  #aboutItself(link: PeerLink, member: PeerAddresses): void {
    const site = this.#owner.siteOf(link.peer)
    const entry = { peer: link.peer, site, addresses: member.addresses }
    const old = this.#known.get(link.peer)
    if (old !== undefined && old.addresses.join() === entry.addresses.join()) return
    this.#known.set(link.peer, entry)
    this.#news.set(link.peer, entry)
    this.#losses.delete(link.peer)
    this.#plan()
  }

  #hearsay(members: readonly PeerAddresses[]): void {
    const { peer, site } = this.#owner.self()
    for (const member of members) {
      if (member.peer === peer || member.site !== site) continue
      const info = parseMember(member)
      if (info !== undefined) this.#owner.learn(info)
    }
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    this.#clock.sleep(gossipLimits.delayMs, { signal: this.#stop.signal }).then(
      () => this.#tellNews(),
      () => {}, // the node stops
    )
  }

  #tellNews(): void {
    this.#isPlanned = false
    const news = [...this.#news.values()].slice(0, controlLimits.peersItems)
    for (const member of news) this.#news.delete(member.peer)
    const left = [...this.#losses].slice(0, controlLimits.peersItems)
    for (const peer of left) this.#losses.delete(peer)
    try {
      for (const link of this.#owner.links()) {
        const peers = news.filter((member) => member.peer !== link.peer)
        if (peers.length + left.length > 0) link.session.tell({ kind: 'peers', peers, left })
      }
    } catch (error) {
      this.#owner.failed(error)
    }
    if (this.#news.size + this.#losses.size > 0) this.#plan()
  }
}

function bounded(member: PeerAddresses): PeerAddresses {
  const addresses = member.addresses
    .filter((address) => address.length <= controlLimits.addressLength)
    .slice(0, controlLimits.peerAddresses)
  return { ...member, addresses }
}

/** Reads what was said of a member; undefined when nothing of it can be used. */
function parseMember(member: PeerAddresses): PeerInfo | undefined {
  try {
    const id = peerIdFromString(member.peer)
    const multiaddrs = member.addresses.flatMap((text) => parseAddress(text, member.peer))
    return multiaddrs.length > 0 ? { id, multiaddrs } : undefined
  } catch {
    return undefined // no peer id: a mistake or a lie, nothing to dial either way
  }
}

function parseAddress(text: string, peer: PeerId): Multiaddr[] {
  try {
    const address = parsePeerAddress(text)
    const named = peerIdOf(address)
    if (named === undefined) return [address]
    return named === peer ? [address.decapsulateCode(CODE_P2P)] : []
  } catch {
    return [] // an address of a kind that we cannot dial
  }
}
