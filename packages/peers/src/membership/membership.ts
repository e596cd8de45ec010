import { peerIdFromString } from '@libp2p/peer-id'
import type { Invite } from './certificate.ts'
import { signInvite, signMember } from './certificate.ts'
import type { Chain, Member } from './chain.ts'
import {
  defaultSite,
  encodeChain,
  parseChain,
  toMember,
  verifyChain,
  verifyLinks,
} from './chain.ts'
import { newSeed, publicKeyOf } from './ed25519.ts'
import { MembershipStateError, NotAllowedError, NotAMemberError, OtherMeshError } from './errors.ts'
import type { InviteOptions } from './invite-options.ts'
import { checkAddresses, checkName, checkSite, founderInvite, toInvite } from './invite-options.ts'
import type { MembershipState } from './membership-state.ts'
import { decodeState, encodeState } from './membership-state.ts'
import type { MembershipStore } from './membership-store.ts'
import { meshIdOf } from './mesh-id.ts'
import type { Ticket } from './ticket.ts'
import { checkTicketTimes, formatTicket, parseTicket } from './ticket.ts'

/** Who this node is, before any mesh. */
export interface MembershipInit {
  /** Our libp2p peer id in text form. */
  readonly peerId: string
  /** Shown to other members; the peer id's end by default. */
  readonly name?: string | undefined
  /** The site of this host unless a ticket names one. */
  readonly site?: string | undefined
  /** Milliseconds since 1970; the machine's clock by default. */
  readonly nowMs?: (() => number) | undefined
}

interface Standing {
  readonly state: MembershipState
  readonly chain: Chain
  readonly self: Member
  readonly invite: Invite
}

/**
 * Keeps which mesh this node belongs to and decides who else does (design section 5, Identity and
 * membership). A node without a mesh is alone: it admits nobody.
 */
export class Membership {
  readonly #store: MembershipStore
  readonly #init: MembershipInit
  readonly #peer: Uint8Array
  readonly #listeners = new Set<() => void>()
  #standing: Standing | undefined
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(store: MembershipStore, init: MembershipInit) {
    this.#store = store
    this.#init = init
    this.#peer = peerIdFromString(init.peerId).toMultihash().bytes
  }

  /**
   * Reads the stored membership. Throws MembershipStateError when it is damaged or another
   * identity's, InvalidMembershipOptionError for an unusable name or site.
   */
  static async open(
    components: { readonly store: MembershipStore },
    init: MembershipInit,
  ): Promise<Membership> {
    if (init.site !== undefined) checkSite(init.site)
    if (init.name !== undefined) checkName(init.name)
    const membership = new Membership(components.store, init)
    const bytes = await components.store.read()
    if (bytes !== undefined) await membership.#restore(decodeState(bytes))
    return membership
  }

  /** Names our mesh, or undefined on a lone node. */
  meshId(): string | undefined {
    return this.#standing === undefined ? undefined : meshIdOf(this.#standing.chain.root)
  }

  /** Returns what we show to others, at most maxChainBytes, or undefined on a lone node. */
  chain(): Uint8Array | undefined {
    return this.#standing?.state.chain
  }

  /** Returns our own membership, also an expired one, or undefined on a lone node. */
  self(): Member | undefined {
    return this.#standing?.self
  }

  /** Returns the time by which memberships are judged, milliseconds since 1970. */
  nowMs(): number {
    return (this.#init.nowMs ?? Date.now)()
  }

  /** Tells whether we are a member of a mesh at this time. */
  isMember(nowMs: number = this.nowMs()): boolean {
    const expiresMs = this.#standing?.self.expiresMs
    return this.#standing !== undefined && (expiresMs === undefined || nowMs < expiresMs)
  }

  /** Returns the addresses that came with the ticket. */
  ticketAddresses(): readonly string[] {
    return this.#standing?.state.addresses ?? []
  }

  /** Returns our site: the membership's, else the configured one, else `default`. */
  site(): string {
    return this.#standing?.self.site ?? this.#init.site ?? defaultSite
  }

  /** Returns our name as members see it. */
  name(): string {
    return this.#standing?.self.name ?? this.#name()
  }

  /** Checks the chain that a peer showed; `remotePeerId` must be proven by the handshake. Throws NotAMemberError. */
  verify(bytes: Uint8Array, remotePeerId: string, nowMs: number = this.nowMs()): Member {
    if (this.#standing === undefined) {
      throw new NotAMemberError('no-mesh', 'this node belongs to no mesh')
    }
    const peer = peerIdFromString(remotePeerId).toMultihash().bytes
    const { root } = this.#standing.chain
    return verifyChain(bytes, { root, peerId: remotePeerId, peer }, nowMs)
  }

  /**
   * Makes a ticket; on a lone node this makes the mesh first. Durable when it resolves. Throws
   * NotAllowedError on a node that joined, InvalidMembershipOptionError for unusable options.
   */
  invite(options: InviteOptions, addresses: readonly string[]): Promise<string> {
    return this.#exclusive(async () => {
      const seed = newSeed()
      const invite = toInvite(options, publicKeyOf(seed), this.nowMs())
      const known = checkAddresses(addresses)
      const { root, rootSeed } = await this.#rootKey()
      return formatTicket({ root, seed, invite: signInvite(invite, rootSeed), addresses: known })
    })
  }

  /**
   * Joins the mesh of a ticket and returns its addresses; durable when it resolves. A ticket of our
   * own mesh renews a membership that ends sooner and changes nothing otherwise, also when the
   * ticket has expired meanwhile: `MODMESH_JOIN` stays set over restarts. Throws
   * InvalidTicketError, OtherMeshError.
   */
  join(text: string): Promise<{ readonly addresses: readonly string[] }> {
    return this.#exclusive(async () => {
      const { ticket, invite } = parseTicket(text)
      this.#checkSameMesh(ticket)
      if (this.#keepsCurrent(invite)) return { addresses: ticket.addresses }
      checkTicketTimes(invite, this.nowMs())
      await this.#adopt({
        chain: this.#claim(ticket.root, ticket.invite, invite, ticket.seed),
        rootSeed: undefined,
        addresses: ticket.addresses,
      })
      return { addresses: ticket.addresses }
    })
  }

  /** Calls the listener after each change of our membership. Returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async #restore(state: MembershipState): Promise<void> {
    this.#standing = this.#check(state)
    const { chain, self } = this.#standing
    if (state.rootSeed === undefined || this.#fits(self)) return
    // The founder holds the root key, so a changed --name or --site needs no new ticket.
    const renewed = this.#foundingChain(chain.root, state.rootSeed)
    await this.#adopt({ ...state, chain: renewed })
  }

  #check(state: MembershipState): Standing {
    try {
      const chain = parseChain(state.chain)
      const { invite, claim } = verifyLinks(chain)
      if (Buffer.compare(claim.peer, this.#peer) !== 0) {
        throw new MembershipStateError('the stored membership belongs to another identity')
      }
      const { rootSeed } = state
      if (rootSeed !== undefined && Buffer.compare(publicKeyOf(rootSeed), chain.root) !== 0) {
        throw new MembershipStateError('the stored root key is not that of the mesh')
      }
      return { state, chain, invite, self: toMember(this.#init.peerId, invite, claim) }
    } catch (cause) {
      if (cause instanceof MembershipStateError) throw cause
      throw new MembershipStateError('the stored membership is not valid', { cause })
    }
  }

  async #rootKey(): Promise<{ root: Uint8Array; rootSeed: Uint8Array }> {
    if (this.#standing === undefined) {
      const rootSeed = newSeed()
      const chain = this.#foundingChain(publicKeyOf(rootSeed), rootSeed)
      await this.#adopt({ chain, rootSeed, addresses: [] })
      return { root: publicKeyOf(rootSeed), rootSeed }
    }
    const { rootSeed } = this.#standing.state
    if (rootSeed === undefined) {
      throw new NotAllowedError(
        'this node joined its mesh and holds no key to invite with; invite on the node that made the mesh',
      )
    }
    return { root: this.#standing.chain.root, rootSeed }
  }

  #foundingChain(root: Uint8Array, rootSeed: Uint8Array): Uint8Array {
    // The seed is forgotten after this one signature: nobody can join by the founder's invite.
    const seed = newSeed()
    const invite = founderInvite(publicKeyOf(seed), this.nowMs())
    return this.#claim(root, signInvite(invite, rootSeed), invite, seed)
  }

  #claim(root: Uint8Array, signed: Ticket['invite'], invite: Invite, seed: Uint8Array): Uint8Array {
    const site = invite.site ?? this.#init.site ?? defaultSite
    const claim = { v: 1 as const, peer: this.#peer, name: this.#name(), site, at: this.nowMs() }
    return encodeChain({ root, invite: signed, member: signMember(claim, seed) })
  }

  async #adopt(state: MembershipState): Promise<void> {
    const standing = this.#check(state)
    await this.#store.write(encodeState(state))
    this.#standing = standing
    for (const listener of this.#listeners) listener()
  }

  #checkSameMesh(ticket: Ticket): void {
    const root = this.#standing?.chain.root
    if (root === undefined || Buffer.compare(root, ticket.root) === 0) return
    throw new OtherMeshError(
      `this node belongs to mesh ${meshIdOf(root)}, the ticket is for ${meshIdOf(ticket.root)}`,
    )
  }

  #keepsCurrent(offered: Invite): boolean {
    if (this.#standing === undefined) return false
    const { state, self, invite } = this.#standing
    if (state.rootSeed !== undefined) return true
    if (!this.isMember()) return false
    const expired = offered.until !== undefined && offered.until <= this.nowMs()
    if (expired) return true
    const same = Buffer.compare(offered.serial, invite.serial) === 0
    if (same) return this.#fits(self)
    return endsLater(self.expiresMs, offered.until)
  }

  #fits(self: Member): boolean {
    const site = this.#standing?.invite.site ?? this.#init.site ?? defaultSite
    return self.name === this.#name() && self.site === site
  }

  #name(): string {
    return this.#init.name ?? this.#init.peerId.slice(-8)
  }

  // One change at a time: two first invites at once must not make two roots.
  #exclusive<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(change)
    this.#queue = result.catch(() => {
      // The caller has the rejection; the next change starts all the same.
    })
    return result
  }
}

function endsLater(current: number | undefined, offered: number | undefined): boolean {
  if (current === undefined) return true
  return offered !== undefined && current > offered
}
