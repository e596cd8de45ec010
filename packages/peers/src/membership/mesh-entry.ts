import { isEqual } from './bytes.ts'
import type { Invite, SignedBody } from './certificate.ts'
import { signInvite, signMember } from './certificate.ts'
import type { Chain, Member } from './chain.ts'
import { defaultSite, encodeChain } from './chain.ts'
import { newSeed, publicKeyOf } from './ed25519.ts'
import { NotAllowedError, OtherMeshError } from './errors.ts'
import type { InviteOptions } from './invite-options.ts'
import { checkAddresses, toInvite } from './invite-options.ts'
import type { MembershipCore } from './membership-core.ts'
import { meshIdOf } from './mesh-id.ts'
import { mayAdmit, mayGive } from './roles.ts'
import { foundingChain } from './signing.ts'
import type { Ticket } from './ticket.ts'
import { checkTicketTimes, formatTicket, parseTicket } from './ticket.ts'

/** A ticket, and what people need to know of it. */
export interface Invitation {
  readonly ticket: string
  /** Hex serial of its invite, by which it can be revoked. */
  readonly invite: string
  /** Milliseconds since 1970. */
  readonly expiresMs: number
}

/** How nodes come into a mesh: tickets are made here, and taken. */
export class MeshEntry {
  readonly #core: MembershipCore
  readonly #isMember: () => boolean

  constructor(core: MembershipCore, init: { readonly isMember: () => boolean }) {
    this.#core = core
    this.#isMember = init.isMember
  }

  /** Makes a ticket; see `invite` of Membership. */
  invitation(options: InviteOptions, addresses: readonly string[]): Promise<Invitation> {
    return this.#core.exclusive(async () => {
      const seed = newSeed()
      const invite = toInvite(options, publicKeyOf(seed), this.#core.nowMs())
      const known = checkAddresses(addresses)
      const ticket = formatTicket({ ...(await this.#issue(invite)), seed, addresses: known })
      const serial = Buffer.from(invite.serial).toString('hex')
      return { ticket, invite: serial, expiresMs: invite.until ?? Infinity }
    })
  }

  /** Joins the mesh of a ticket and returns its addresses; see `join` of Membership. */
  join(text: string): Promise<{ readonly addresses: readonly string[] }> {
    return this.#core.exclusive(async () => {
      const { ticket, invite } = parseTicket(text)
      const { addresses } = ticket
      this.#checkSameMesh(ticket)
      if (this.#keepsCurrent(invite)) return { addresses }
      const renamed = this.#renamed(ticket, invite)
      if (renamed === undefined) checkTicketTimes(invite, this.#core.nowMs())
      const chain = encodeChain(renamed ?? this.#claim(ticket, invite))
      const { rootSeed } = this.#core.standing?.state ?? {}
      await this.#core.adopt({ chain, rootSeed, addresses })
      return { addresses }
    })
  }

  /** The founder holds the root key, so a changed --name or --site needs no new ticket. */
  async renewFounder(): Promise<void> {
    const { standing } = this.#core
    const seed = this.#core.rootSeed()
    if (standing === undefined || seed === undefined) return
    const isFounder = standing.proof.invite.until === undefined
    if (!isFounder || (this.#fits(standing.self) && standing.proof.admission)) return
    const chain = encodeChain(this.#found(standing.chain.root, seed))
    await this.#core.adopt({ ...standing.state, chain })
  }

  #found(first: Uint8Array, seed: Uint8Array): Chain {
    const site = this.#core.init.site ?? defaultSite
    const claim = { peer: this.#core.peer, name: this.#core.name, site, at: this.#core.nowMs() }
    return foundingChain({ first, seed }, claim, this.#core.ledger?.headers ?? [])
  }

  async #issue(invite: Invite): Promise<Omit<Ticket, 'seed' | 'addresses'>> {
    const { standing } = this.#core
    if (standing === undefined) return await this.#issueFirst(invite)
    const by = this.#core.authority()
    const { root } = standing.chain
    const rotations: readonly SignedBody[] = this.#core.ledger?.headers ?? []
    if (by?.kind === 'root') return { root, invite: signInvite(invite, by.seed), rotations }
    const { self } = standing
    if (by === undefined || !mayAdmit(self.roles) || !this.#isMember()) {
      throw new NotAllowedError(
        'this node joined its mesh and may not invite; invite on the node that made the mesh, or give this one the role with a ticket of: modmesh invite --roles admit',
      )
    }
    if (!mayGive(self.roles, invite.roles)) {
      throw new NotAllowedError(
        `this node has the roles ${self.roles.join(', ')} and can give no others`,
      )
    }
    return { root, invite: signInvite(invite, by.seed), issuer: by.chain, rotations }
  }

  async #issueFirst(invite: Invite): Promise<Omit<Ticket, 'seed' | 'addresses'>> {
    const rootSeed = newSeed()
    const root = publicKeyOf(rootSeed)
    const chain = encodeChain(this.#found(root, rootSeed))
    await this.#core.adopt({ chain, rootSeed, addresses: [] })
    return { root, invite: signInvite(invite, rootSeed) }
  }

  #claim(ticket: Ticket, invite: Invite): Chain {
    const { root, issuer, rotations } = ticket
    const member = this.#signClaim(ticket, invite, this.#core.peer)
    return { root, invite: ticket.invite, member, issuer, rotations }
  }

  /** The same membership under another name: the counter-signature stays. */
  #renamed(ticket: Ticket, invite: Invite): Chain | undefined {
    const { standing } = this.#core
    if (standing?.proof.admission === undefined || !this.#isMember()) return undefined
    if (!isEqual(standing.proof.invite.serial, invite.serial)) return undefined
    const member = this.#signClaim(ticket, invite, standing.proof.peers[0])
    return { ...standing.chain, member }
  }

  #signClaim(ticket: Ticket, invite: Invite, peer: Uint8Array): SignedBody {
    const site = invite.site ?? this.#core.init.site ?? defaultSite
    return signMember(
      { v: 1, peer, name: this.#core.name, site, at: this.#core.nowMs() },
      ticket.seed,
    )
  }

  #checkSameMesh(ticket: Ticket): void {
    const root = this.#core.standing?.chain.root
    if (root === undefined || isEqual(root, ticket.root)) return
    throw new OtherMeshError(
      `this node belongs to mesh ${meshIdOf(root)}, the ticket is for ${meshIdOf(ticket.root)}; to change: modmesh leave`,
    )
  }

  #keepsCurrent(offered: Invite): boolean {
    const { standing } = this.#core
    if (standing === undefined) return false
    const { self, proof } = standing
    if (this.#core.rootSeed() !== undefined) return true
    const isSame = isEqual(offered.serial, proof.invite.serial)
    if (!this.#isMember() || (this.#core.refusal !== undefined && !isSame)) return false
    const isExpired = offered.until !== undefined && offered.until <= this.#core.nowMs()
    if (isSame) {
      return this.#fits(self) || (isExpired && self.admittedMs === undefined)
    }
    return isExpired || endsLater(self.expiresMs, offered.until)
  }

  #fits(self: Member): boolean {
    const { standing, init } = this.#core
    const site = standing?.proof.invite.site ?? init.site ?? defaultSite
    return self.name === this.#core.name && self.site === site
  }
}

function endsLater(current: number | undefined, offered: number | undefined): boolean {
  if (current === undefined) return true
  return offered !== undefined && current > offered
}
