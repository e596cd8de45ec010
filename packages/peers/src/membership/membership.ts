import { Administration } from './administration.ts'
import { Admitting } from './admitting.ts'
import type { Member } from './chain.ts'
import { defaultSite } from './chain.ts'
import type { RefusalReason } from './errors.ts'
import { NotAMemberError } from './errors.ts'
import type { InviteOptions } from './invite-options.ts'
import { checkName, checkSite } from './invite-options.ts'
import { verifyChain } from './judge.ts'
import type { Ledger, LedgerOutcome } from './ledger.ts'
import type { MembershipInit, MembershipStores } from './membership-core.ts'
import { MembershipCore } from './membership-core.ts'
import { type Invitation, MeshEntry } from './mesh-entry.ts'
import { meshIdOf } from './mesh-id.ts'
import { OwnStatements } from './own-statements.ts'
import { peerBytes } from './peer-text.ts'
import type { Roster } from './roster.ts'

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
  readonly #entry: MeshEntry

  private constructor(core: MembershipCore) {
    this.#core = core
    this.isRestored = core.standing !== undefined
    this.administration = new Administration(core)
    this.#entry = new MeshEntry(core, { isMember: () => this.isMember() })
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
    await membership.#entry.renewFounder()
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
    return this.#core.standing?.self.name ?? this.#core.name
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
    return this.#entry.invitation(options, addresses)
  }

  /**
   * Joins the mesh of a ticket and returns its addresses; durable when it resolves. A ticket of our
   * own mesh renews a membership that ends sooner and changes nothing otherwise, also when the
   * ticket has expired meanwhile: `MODMESH_JOIN` stays set over restarts. Throws
   * InvalidTicketError, OtherMeshError.
   */
  join(text: string): Promise<{ readonly addresses: readonly string[] }> {
    return this.#entry.join(text)
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
}

/** Whether a better chain of the same peer could be accepted. */
function isMendable(error: unknown): boolean {
  if (!(error instanceof NotAMemberError)) return false
  return ['expired', 'revoked', 'used-up', 'old-root', 'bad-signature'].includes(error.reason)
}
