import type { PeerId } from '@modmesh/fill'
import { hex } from '../membership/bytes.ts'
import type { Member } from '../membership/chain.ts'
import { NotAllowedError } from '../membership/errors.ts'
import type { Membership } from '../membership/membership.ts'
import { seedOfPrivateKey } from '../membership/peer-key.ts'
import { peerBytes, peerText } from '../membership/peer-text.ts'
import { mayHavePrivate, mayPublish } from '../membership/roles.ts'
import { judgedMs } from './limits.ts'
import { isMadeIn, type Signer } from './publication.ts'
import type { RecordView } from './signed-record.ts'

/** What standing rests on. */
export interface PrivateStandingComponents {
  readonly membership: Membership
  /** What a connected peer proved last. */
  readonly member: (peer: PeerId) => Member | undefined
}

/** Who may have private modules, ourselves and others, and who vouches for them. */
export class PrivateStanding {
  readonly #membership: Membership
  readonly #member: (peer: PeerId) => Member | undefined
  readonly #privateKey: Uint8Array
  /** A judgement takes some signatures, and there is one for each question. */
  readonly #judged = new WeakMap<Member, { readonly at: string; readonly isGood: boolean }>()

  constructor(components: PrivateStandingComponents, init: { readonly privateKey: Uint8Array }) {
    this.#membership = components.membership
    this.#member = components.member
    this.#privateKey = init.privateKey
  }

  nowMs(): number {
    return this.#membership.nowMs()
  }

  /** Whether this node may have private modules of its mesh. */
  isAllowed(): boolean {
    return this.#ownRoles(mayHavePrivate)
  }

  /** Whether this node may say what private modules are. */
  isPublisher(): boolean {
    return this.#ownRoles(mayPublish)
  }

  /** Whether a connected peer may have private modules now. */
  isAllowedPeer(peer: PeerId): boolean {
    const member = this.#member(peer)
    if (member === undefined || !mayHavePrivate(member.roles)) return false
    const known = this.#judged.get(member)
    if (known !== undefined && known.at === this.moment()) return known.isGood
    const isGood = this.#membership.judge(member) === undefined
    this.#judged.set(member, { at: this.moment(), isGood })
    return isGood
  }

  /** Whether a statement was made in our mesh; nothing of it is checked. */
  isOfMesh(statement: Uint8Array): boolean {
    const [root] = this.#membership.ledger?.roots ?? []
    return root !== undefined && isMadeIn(root, statement)
  }

  /** What was judged at one counts until the next: another word about members, or another time. */
  moment(): string {
    const digest = this.#membership.ledger?.digest() ?? new Uint8Array()
    return `${hex(digest)} ${Math.floor(this.nowMs() / judgedMs)}`
  }

  /** How this node signs; undefined on a lone one. */
  signer(): Signer | undefined {
    const [mesh] = this.#membership.ledger?.roots ?? []
    const chain = this.#membership.chain()
    const self = this.#membership.self()
    if (mesh === undefined || chain === undefined || self === undefined) return undefined
    const seed = seedOfPrivateKey(this.#privateKey)
    return { mesh, chain, seed, name: self.name, peer: peerBytes(self.peerId) }
  }

  /** As `signer`, for a publisher. Throws NotAllowedError. */
  publisher(): Signer {
    const signer = this.signer()
    if (signer === undefined) throw new NotAllowedError('this node belongs to no mesh')
    if (this.isPublisher()) return signer
    throw new NotAllowedError(
      'this node has not the role publisher; on a node that may invite: modmesh invite --roles publisher',
    )
  }

  /** Names all who have gone: two nodes that know of the same have the same. */
  endings(): Uint8Array | undefined {
    return this.#membership.ledger?.endings()
  }

  /** Against what a statement is held now; undefined on a lone node. */
  against(): Omit<RecordView, 'may'> | undefined {
    const { ledger: view, roster } = this.#membership
    if (view === undefined) return undefined
    const chainOf = (peer: Uint8Array) => roster.get(peerText(peer))?.member.chain
    return { view, nowMs: this.nowMs(), chainOf }
  }

  #ownRoles(may: (roles: readonly string[]) => boolean): boolean {
    const self = this.#membership.self()
    return self !== undefined && this.#membership.isMember() && may(self.roles)
  }
}
