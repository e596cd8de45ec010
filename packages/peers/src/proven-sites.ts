import type { PeerId } from '@modmesh/fill'
import { defaultSite } from './membership/chain.ts'
import type { Membership } from './membership/membership.ts'
import type { Network } from './network/network.ts'

/** Which site peers are of, and what they are called: as they proved it at the gate. */
export class ProvenSites {
  readonly #network: Network
  readonly #membership: Membership

  constructor(components: { readonly network: Network; readonly membership: Membership }) {
    this.#network = components.network
    this.#membership = components.membership
  }

  siteOf(peer: PeerId): string {
    return this.#memberOf(peer)?.site ?? defaultSite
  }

  nameOf(peer: PeerId): string {
    return this.#network.member(peer)?.name ?? ''
  }

  readonly isSame = (peer: PeerId): boolean => this.siteOf(peer) === this.#membership.site()

  /** Whether a member is known to be of another site, also one that is not connected. */
  readonly isForeign = (peer: PeerId): boolean => {
    const member = this.#memberOf(peer)
    return member !== undefined && member.site !== this.#membership.site()
  }

  /** As it was seen last, where it is not connected. */
  #memberOf(peer: PeerId): { readonly site: string } | undefined {
    return this.#network.member(peer) ?? this.#membership.roster.get(peer)?.member
  }
}
