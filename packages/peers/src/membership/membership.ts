import { Administration } from './administration.ts'
import { Admitting } from './admitting.ts'
import { isEqual } from './bytes.ts'
import type { Invite, SignedBody } from './certificate.ts'
import { signInvite, signMember } from './certificate.ts'
import type { Chain, Member } from './chain.ts'
import { defaultSite, encodeChain } from './chain.ts'
import { newSeed, publicKeyOf } from './ed25519.ts'
import type { RefusalReason } from './errors.ts'
import { NotAllowedError, NotAMemberError, OtherMeshError } from './errors.ts'
import type { InviteOptions } from './invite-options.ts'
import { checkAddresses, checkName, checkSite, toInvite } from './invite-options.ts'
import { verifyChain } from './judge.ts'
import type { Ledger, LedgerOutcome } from './ledger.ts'
import type { MembershipInit, MembershipStores } from './membership-core.ts'
import { MembershipCore, peerBytes } from './membership-core.ts'
import { meshIdOf } from './mesh-id.ts'
import { OwnStatements } from './own-statements.ts'
import { mayAdmit, mayGive } from './roles.ts'
import type { Roster } from './roster.ts'
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

/**
 * Keeps which mesh this node belongs to and decides who else does (design section 5, Identity and
 * membership). A node without a mesh is alone: it admits nobody.
 */
export class Membership {
  /** What administrators do. */
  readonly administration: Administration
  /** What this node says of itself. */
  readonly ownStatements: OwnStatements
  /** What counter-signers do, and who is counter-signed. */
  readonly admitting: Admitting
  /** Whether this node was a member before it started: it may have missed news. */
  readonly isRestored: boolean
  readonly #core: MembershipCore

  private constructor(core: MembershipCore) {
    this.#core = core
    this.isRestored = core.standing !== undefined
    this.administration = new Administration(core)
    this.ownStatements = new OwnStatements(core)
    this.admitting = new Admitting(core)
  }

  /**
   * Reads the stored membership. Throws MembershipStateError when it is damaged or another
   * identity's, InvalidMembershipOptionError for an unusable name or site.
   */
  static async open(stores: MembershipStores, init: MembershipInit): Promise<Membership> {
    if (init.site !== undefined) checkSite(init.site)
    if (init.name !== undefined) checkName(init.name)
    const core = new MembershipCore(stores, init)
    await core.restore()
    const membership = new Membership(core)
    await membership.#renewFounder()
    await membership.administration.resume()
    return membership
  }

  /** Names our mesh, or undefined on a lone node. */
  meshId(): string | undefined {
    const { standing } = this.#core
    return standing && meshIdOf(standing.chain.root)
  }

  /** Returns what we show to others, at most maxChainBytes, or undefined on a lone node. */
  chain(): Uint8Array | undefined {
    return this.#core.standing?.state.chain
  }

  /** Returns our own membership, also an expired one, or undefined on a lone node. */
  self(): Member | undefined {
    return this.#core.standing?.self
  }

  /** What the mesh says of its members for good; undefined on a lone node. */
  get ledger(): Ledger | undefined {
    return this.#core.ledger
  }

  /** The members that we know. */
  get roster(): Roster {
    return this.#core.roster
  }

  /** Returns the time by which memberships are judged, milliseconds since 1970. */
  nowMs(): number {
    return this.#core.nowMs()
  }

  /** Tells whether we are a member of a mesh at this time, as far as we know. */
  isMember(nowMs: number = this.nowMs()): boolean {
    const { standing, isOut } = this.#core
    if (standing === undefined || isOut) return false
    const { expiresMs } = standing.self
    return expiresMs === undefined || nowMs < expiresMs
  }

  /** Why others refuse us, as far as we know; undefined while they do not. */
  refusal(): NotAMemberError | undefined {
    return this.#core.refusal
  }

  /** Returns the addresses that came with the ticket. */
  ticketAddresses(): readonly string[] {
    return this.#core.standing?.state.addresses ?? []
  }

  /** Returns our site: the membership's, else the configured one, else `default`. */
  site(): string {
    return this.#core.standing?.self.site ?? this.#core.init.site ?? defaultSite
  }

  /** Returns our name as members see it. */
  name(): string {
    return this.#core.standing?.self.name ?? this.#name()
  }

  /**
   * Checks the chain that a peer showed; `remotePeerId` must be proven by the handshake. A member
   * that lost its counter-signature is judged by the one that we know. Throws NotAMemberError.
   */
  verify(bytes: Uint8Array, remotePeerId: string, nowMs: number = this.nowMs()): Member {
    const { ledger: view, roster } = this.#core
    if (view === undefined) throw new NotAMemberError('no-mesh', 'this node belongs to no mesh')
    const expected = { view, peerId: remotePeerId, peer: peerBytes(remotePeerId) }
    const known = roster.get(remotePeerId)?.member
    try {
      const member = verifyChain(bytes, expected, nowMs)
      this.admitting.checkUses(member)
      return member
    } catch (error) {
      if (known?.admittedMs === undefined || !isMendable(error)) throw error
      return verifyChain(known.chain, expected, nowMs)
    }
  }

  /** Says why a member would be refused now; undefined when it would not. */
  judge({ chain, peerId }: Member): RefusalReason | undefined {
    const { ledger: view } = this.#core
    if (view === undefined) return 'no-mesh'
    try {
      verifyChain(chain, { view, peerId, peer: peerBytes(peerId) }, this.nowMs())
      return undefined
    } catch (error) {
      if (error instanceof NotAMemberError) return error.reason
      throw error
    }
  }

  /**
   * Makes a ticket; on a lone node this makes the mesh first. Durable when it resolves. Throws
   * NotAllowedError on a node that may not admit, InvalidMembershipOptionError for unusable options.
   */
  async invite(options: InviteOptions, addresses: readonly string[]): Promise<string> {
    return (await this.invitation(options, addresses)).ticket
  }

  /** As `invite`, with what people need to know of the ticket. */
  invitation(options: InviteOptions, addresses: readonly string[]): Promise<Invitation> {
    return this.#core.exclusive(async () => {
      const seed = newSeed()
      const invite = toInvite(options, publicKeyOf(seed), this.nowMs())
      const known = checkAddresses(addresses)
      const ticket = formatTicket({ ...(await this.#issue(invite)), seed, addresses: known })
      const serial = Buffer.from(invite.serial).toString('hex')
      return { ticket, invite: serial, expiresMs: invite.until ?? Infinity }
    })
  }

  /**
   * Joins the mesh of a ticket and returns its addresses; durable when it resolves. A ticket of our
   * own mesh renews a membership that ends sooner and changes nothing otherwise, also when the
   * ticket has expired meanwhile: `MODMESH_JOIN` stays set over restarts. Throws
   * InvalidTicketError, OtherMeshError.
   */
  join(text: string): Promise<{ readonly addresses: readonly string[] }> {
    return this.#core.exclusive(async () => {
      const { ticket, invite } = parseTicket(text)
      const { addresses } = ticket
      this.#checkSameMesh(ticket)
      if (this.#keepsCurrent(invite)) return { addresses }
      const renamed = this.#renamed(ticket, invite)
      if (renamed === undefined) checkTicketTimes(invite, this.nowMs())
      const chain = encodeChain(renamed ?? this.#claim(ticket, invite))
      const { rootSeed } = this.#core.standing?.state ?? {}
      await this.#core.adopt({ chain, rootSeed, addresses })
      return { addresses }
    })
  }

  /** Leaves the mesh: this node is alone when it resolves, and its root key is gone. */
  leave(): Promise<void> {
    return this.#core.exclusive(() => this.#core.forget())
  }

  /** Keeps a signed record that somebody told us. Throws InvalidRecordError or NotAMemberError for a bad one. */
  addRecord(bytes: Uint8Array): Promise<LedgerOutcome> {
    return this.#core.addRecord(bytes)
  }

  /** Calls the listener after each change of our membership. Returns a function that stops it. */
  onChange(listener: () => void): () => void {
    return this.#core.onChange(listener)
  }

  /** Calls the listener after each new record of the ledger. Returns a function that stops it. */
  onLedger(listener: () => void): () => void {
    return this.#core.onLedger(listener)
  }

  /** The founder holds the root key, so a changed --name or --site needs no new ticket. */
  async #renewFounder(): Promise<void> {
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
    const claim = { peer: this.#core.peer, name: this.#name(), site, at: this.nowMs() }
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
    if (by === undefined || !mayAdmit(self.roles) || !this.isMember()) {
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
    if (standing?.proof.admission === undefined || !this.isMember()) return undefined
    if (!isEqual(standing.proof.invite.serial, invite.serial)) return undefined
    const member = this.#signClaim(ticket, invite, standing.proof.peers[0])
    return { ...standing.chain, member }
  }

  #signClaim(ticket: Ticket, invite: Invite, peer: Uint8Array): SignedBody {
    const site = invite.site ?? this.#core.init.site ?? defaultSite
    return signMember({ v: 1, peer, name: this.#name(), site, at: this.nowMs() }, ticket.seed)
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
    if (!this.isMember() || (this.#core.refusal !== undefined && !isSame)) return false
    const isExpired = offered.until !== undefined && offered.until <= this.nowMs()
    if (isSame) {
      return this.#fits(self) || (isExpired && self.admittedMs === undefined)
    }
    return isExpired || endsLater(self.expiresMs, offered.until)
  }

  #fits(self: Member): boolean {
    const { standing, init } = this.#core
    const site = standing?.proof.invite.site ?? init.site ?? defaultSite
    return self.name === this.#name() && self.site === site
  }

  #name(): string {
    return this.#core.init.name ?? this.#core.init.peerId.slice(-8)
  }
}

/** Whether a better chain of the same peer could be accepted. */
function isMendable(error: unknown): boolean {
  if (!(error instanceof NotAMemberError)) return false
  return ['expired', 'revoked', 'used-up', 'old-root', 'bad-signature'].includes(error.reason)
}

function endsLater(current: number | undefined, offered: number | undefined): boolean {
  if (current === undefined) return true
  return offered !== undefined && current > offered
}
