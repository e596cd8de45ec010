import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { PeerId } from '@modmesh/fill'
import type { ControlHub } from './control/control-hub.ts'
import type { MembershipGossip } from './control/membership-gossip.ts'
import type { Refusal } from './gate/refusal.ts'
import type { Revoked } from './membership/administration.ts'
import type { Member } from './membership/chain.ts'
import type { RefusalReason } from './membership/errors.ts'
import { UnknownMemberError } from './membership/errors.ts'
import type { InviteOptions } from './membership/invite-options.ts'
import type { Membership } from './membership/membership.ts'
import type { Invitation } from './membership/mesh-entry.ts'
import type { Network } from './network/network.ts'

/** What `members` shows of one member. Times are milliseconds since 1970. */
export interface MemberStatus {
  readonly peer: PeerId
  readonly name: string
  readonly site: string
  readonly roles: readonly string[]
  readonly isSelf: boolean
  readonly isConnected: boolean
  /** Why it is refused; undefined for a member in good standing. */
  readonly refusal: RefusalReason | undefined
  /** When a counter-signer first saw it; undefined while nobody did. */
  readonly admittedMs: number | undefined
  /** When it ends; undefined: never. */
  readonly expiresMs: number | undefined
  /** When this node saw it last; undefined for one that it only heard of. */
  readonly lastSeenMs: number | undefined
  /** Hex serial of the invite it came by. */
  readonly invite: string
}

/** What the members of a mesh work with. */
export interface MeshMembersComponents {
  readonly membership: Membership
  readonly network: Network
  readonly hub: ControlHub
  readonly trust: MembershipGossip
}

/** Peers remembered that refuse us: enough to tell that it is not one alone. */
const maxRefusers = 64

/** Characters of an invite's serial that are enough to name it. */
const shortSerial = 8

/** Who belongs to the mesh, and what administrators do about it. */
export class MeshMembers {
  readonly #membership: Membership
  readonly #network: Network
  readonly #hub: ControlHub
  readonly #trust: MembershipGossip
  readonly #refusers = new Map<PeerId, RefusalReason>()

  constructor(components: MeshMembersComponents) {
    this.#membership = components.membership
    this.#network = components.network
    this.#hub = components.hub
    this.#trust = components.trust
    // The network goes with this node, and its listeners with it.
    this.#network.onRefusal((refusal) => this.#noteRefusal(refusal))
  }

  /** Ourselves and all members that this node has seen or, as a counter-signer, heard of. */
  list(): readonly MemberStatus[] {
    const self = this.#membership.self()
    if (self === undefined) return []
    const others = this.#membership.roster.all().filter(({ member }) => !this.#isSelf(member))
    return [
      this.#status(self, undefined),
      ...others.map(({ member, lastSeenMs }) => this.#status(member, lastSeenMs)),
    ]
  }

  /** Why others refuse this node, as far as it knows; undefined while they do not. */
  refusal(): string | undefined {
    return this.#membership.refusal()?.message
  }

  /** How many members have refused this node lately and were not connected since, and why the last one did. */
  refusers(): { readonly count: number; readonly reason: RefusalReason } | undefined {
    for (const peer of this.#refusers.keys()) {
      if (this.#hub.link(peer) !== undefined) this.#refusers.delete(peer)
    }
    const reason = [...this.#refusers.values()].at(-1)
    return reason && { count: this.#refusers.size, reason }
  }

  /** Whether this node holds the root key of its mesh. */
  holdsRoot(): boolean {
    return this.#membership.administration.holdsRoot()
  }

  /** As MeshNode.invite, with what people need to know of the ticket. */
  invite(options: InviteOptions = {}): Promise<Invitation> {
    return this.#membership.invitation(options, this.#network.addresses())
  }

  /**
   * Ends a member, named by its name or peer id, and closes its invite to new keys; or closes an
   * invite, named by its serial or the first 8 of its characters. Throws UnknownMemberError,
   * NotAllowedError.
   */
  async revoke(
    target: string,
    options: { readonly why?: string | undefined } = {},
  ): Promise<Revoked & { readonly name: string | undefined }> {
    this.#membership.administration.checkMayRevoke()
    const found = this.#find(target)
    const revoked = await this.#membership.administration.revoke({ ...found, why: options.why })
    this.#trust.review()
    return { ...revoked, name: found.name }
  }

  /** Makes a member an administrator. Throws UnknownMemberError, NotAllowedError. */
  async grant(target: string): Promise<MemberStatus> {
    const { peer } = this.#find(target)
    if (peer === undefined) throw new UnknownMemberError(`${target} is an invite, not a member`)
    const member = await this.#membership.administration.grant(peer)
    this.#trust.review()
    return this.#status(member, undefined)
  }

  /** Prints the root key. Throws NotAllowedError. */
  exportRoot(): string {
    return this.#membership.administration.exportRoot()
  }

  /** Takes a root key. Throws InvalidRootKeyError, OtherMeshError, NotAllowedError. */
  importRoot(text: string): Promise<void> {
    return this.#membership.administration.importRoot(text)
  }

  /** Changes the root key; returns how many members were taken along. Throws NotAllowedError. */
  rotateRoot(): Promise<{ readonly kept: number }> {
    return this.#membership.administration.rotateRoot()
  }

  /** Leaves the mesh, and tells its members where that is possible. Throws NotAllowedError. */
  async leave(options: { readonly forgetRoot?: boolean | undefined } = {}): Promise<void> {
    const record = await this.#membership.ownStatements.depart(options)
    if (record !== undefined) await this.#trust.publish(record)
    await this.#membership.leave()
  }

  /**
   * Prepares a new key of this node (libp2p's protobuf of an Ed25519 key), which its next start has to
   * find instead of the old one. Throws NotAllowedError.
   */
  changeKey(privateKey: Uint8Array): Promise<void> {
    const next = peerIdFromPrivateKey(privateKeyFromProtobuf(privateKey)).toString()
    return this.#membership.ownStatements.changeKey(next)
  }

  #noteRefusal({ cause, peer }: Refusal): void {
    if (cause.kind !== 'refused-by-peer' || cause.reason === undefined || peer === undefined) return
    this.#refusers.delete(peer)
    const oldest = this.#refusers.keys().next().value
    if (this.#refusers.size >= maxRefusers && oldest !== undefined) this.#refusers.delete(oldest)
    this.#refusers.set(peer, cause.reason)
  }

  #status(member: Member, lastSeenMs: number | undefined): MemberStatus {
    const { peerId: peer, name, site, roles, admittedMs, expiresMs, invite } = member
    const isConnected = this.#hub.link(peer) !== undefined
    return {
      peer,
      name,
      site,
      roles,
      isSelf: this.#isSelf(member),
      isConnected,
      refusal: this.#membership.judge(member),
      admittedMs,
      expiresMs,
      lastSeenMs: isConnected ? this.#membership.nowMs() : lastSeenMs || undefined,
      invite,
    }
  }

  #isSelf({ peerId }: Member): boolean {
    return peerId === this.#network.peerId
  }

  #find(target: string): {
    readonly peer?: string
    readonly invite?: string
    readonly name?: string
  } {
    const all = this.list()
    const byPeer = all.find(({ peer }) => peer === target)
    if (byPeer !== undefined) return { peer: byPeer.peer, name: byPeer.name }
    if (isPeerId(target)) return { peer: target }
    const named = all.filter(({ name, refusal }) => name === target && refusal === undefined)
    const invites = this.#invitesLike(target)
    if (named.length + invites.length > 1) throw ambiguous(target, named, invites)
    const [one] = named
    if (one !== undefined) return { peer: one.peer, name: one.name }
    const [invite] = invites
    if (invite !== undefined) return { invite }
    throw new UnknownMemberError(
      `this node knows no member and no invite ${JSON.stringify(target)}; see: modmesh members`,
    )
  }

  #invitesLike(target: string): string[] {
    const text = target.toLowerCase()
    if (text.length < shortSerial || !isHex(text)) return []
    const known = new Set(this.list().map(({ invite }) => invite))
    const found = [...known].filter((invite) => invite.startsWith(text))
    // Nobody has joined by it yet, or not here.
    return found.length === 0 && text.length === serialLength ? [text] : found
  }
}

/** Hex characters of a whole serial. */
const serialLength = 32

function isHex(text: string): boolean {
  return Array.from(text).every((char) => '0123456789abcdef'.includes(char))
}

/** An Ed25519 peer id in base58, which a name may not look like by chance. */
function isPeerId(text: string): boolean {
  return text.startsWith('12D3KooW') && text.length === 52
}

function ambiguous(
  target: string,
  named: readonly MemberStatus[],
  invites: readonly string[],
): UnknownMemberError {
  const choices = [...named.map(({ peer }) => peer), ...invites].join(', ')
  return new UnknownMemberError(`${JSON.stringify(target)} may be each of ${choices}; name one`)
}
