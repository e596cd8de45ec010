import { randomBytes } from 'node:crypto'
import type { Clock, PeerId } from '@modmesh/fill'
import { QueryFailedError, SessionClosedError } from '../errors.ts'
import type { Member } from '../membership/chain.ts'
import { NotAMemberError } from '../membership/errors.ts'
import type { Membership } from '../membership/membership.ts'
import { mayAdmit } from '../membership/roles.ts'
import { Allowance } from './allowance.ts'
import { LedgerReader } from './ledger-reader.ts'
import { MembershipAnswers } from './membership-answers.ts'
import {
  type LedgerNotice,
  type MembershipNotice,
  type MembershipQuery,
  membershipCapability,
} from './membership-message.ts'
import type { AnyReply } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** What gossip about membership needs of the node. */
export interface TrustOwner {
  links(): readonly PeerLink[]
  /** What a peer proved last. */
  member(peer: PeerId): Member | undefined
  /** Takes what a connected peer proves from now on. */
  proved(member: Member): void
  /** A member has told us all that it knows. */
  heard(): void
  /** Ends the connections of a peer. */
  cut(peer: PeerId, reason: Error): void
  failed(error: unknown): void
}

/** How often a peer's news are looked at, and how much of it may be wrong. */
const pullRate = { perSecond: 2, burst: 20 }
const wrongRate = { perSecond: 0.2, burst: 64 }
/** Before news are told: those of one moment go together. Milliseconds. */
const tellDelayMs = 20
/** Between two rounds of telling everybody what we know, against news that got lost. Milliseconds. */
const repeatMs = 60_000
/** Longest wait for others to hear that we leave. Milliseconds. */
const publishMs = 2_000

/** What we remember of one link. */
interface Talk {
  readonly pulls: Allowance
  readonly wrong: Allowance
  isPulling: boolean
  /** What it said last while we were still busy with what it said before. */
  waiting: LedgerNotice | undefined
  /** What it knew of members when we asked last. */
  membersSeen: number
}

/**
 * Spreads the ledger: every member tells its neighbours a digest, and they ask for what they lack.
 * Nothing is kept or passed on before its signature is checked, and whoever offers records without
 * end is asked at our pace. Counter-signers give members their chains and tell each other of them.
 */
export class MembershipGossip {
  readonly #membership: Membership
  readonly #owner: TrustOwner
  readonly #clock: Clock
  readonly #talks = new WeakMap<PeerLink, Talk>()
  readonly #reader: LedgerReader
  readonly #answers: MembershipAnswers
  /** Records that others should hear and we do not keep. */
  readonly #published = new Map<string, Uint8Array>()
  readonly #stop = new AbortController()
  readonly #stopListening: (() => void)[]
  #isPlanned = false

  constructor(components: {
    readonly membership: Membership
    readonly owner: TrustOwner
    readonly clock: Clock
  }) {
    this.#membership = components.membership
    this.#reader = new LedgerReader({ membership: components.membership })
    this.#owner = components.owner
    this.#answers = new MembershipAnswers({
      membership: components.membership,
      published: this.#published,
      member: (peer) => components.owner.member(peer),
    })
    this.#clock = components.clock
    this.#stopListening = [
      this.#membership.onLedger(() => this.#plan()),
      this.#membership.onChange(() => this.#changed()),
    ]
    this.#repeat().catch(() => {}) // the node stops
  }

  stop(): void {
    for (const stop of this.#stopListening) stop()
    this.#stop.abort(new SessionClosedError('node stops'))
  }

  /** Tells a new link what we know, and counter-signs the peer where that is due. */
  greet(link: PeerLink): void {
    const member = this.#owner.member(link.peer)
    if (member !== undefined) this.#membership.admitting.note(member)
    if (isCapable(link)) this.#tell(link)
    this.#admit(link)
  }

  /** Notes when a member was here last. */
  left(peer: PeerId): void {
    const member = this.#owner.member(peer)
    if (member !== undefined) this.#membership.admitting.note(member)
  }

  /** Looks at every connected member again: who we may admit, or what we say of whom, has changed. */
  review(): void {
    for (const link of this.#owner.links()) this.#admit(link)
    this.#plan()
  }

  told(link: PeerLink, notice: MembershipNotice): void {
    switch (notice.kind) {
      case 'ledger':
        this.#news(link, notice)
        return
      case 'own-chain':
        this.#proved(link, notice.chain)
        return
      case 'your-chain':
        this.#accept(notice.chain).catch(this.#failed)
    }
  }

  async answer(peer: PeerId, query: MembershipQuery): Promise<AnyReply> {
    return this.#answers.answer(peer, query)
  }

  /** Lets all connected members read a record that we do not keep ourselves; waits at most 2 s for that. */
  async publish(record: { readonly id: string; readonly bytes: Uint8Array }): Promise<void> {
    this.#published.set(record.id, record.bytes)
    const told = this.#owner.links().filter(isCapable)
    for (const link of told) this.#tell(link)
    const endMs = this.#clock.monotonicMs() + publishMs
    const { signal } = this.#stop
    while (this.#clock.monotonicMs() < endMs && told.some((link) => link.isAlive)) {
      await this.#clock.sleep(tellDelayMs, { signal })
    }
  }

  #changed(): void {
    const chain = this.#membership.chain()
    if (chain === undefined) return
    for (const link of this.#owner.links()) {
      if (isCapable(link)) link.session.tell({ kind: 'own-chain', chain })
    }
    this.review()
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    this.#clock.sleep(tellDelayMs, { signal: this.#stop.signal }).then(
      () => this.#tellAll(),
      () => {}, // the node stops
    )
  }

  #tellAll(): void {
    this.#isPlanned = false
    for (const link of this.#owner.links()) if (isCapable(link)) this.#tell(link)
  }

  async #repeat(): Promise<never> {
    for (;;) {
      await this.#clock.sleep(repeatMs, { signal: this.#stop.signal })
      // What was not good then may rest on something that we know by now.
      this.#reader.forgetRefused()
      this.#tellAll()
    }
  }

  #tell(link: PeerLink): void {
    const { ledger, roster } = this.#membership
    if (ledger === undefined) return
    const digest = this.#published.size > 0 ? new Uint8Array(randomBytes(32)) : ledger.digest()
    link.session.tell({ kind: 'ledger', digest, members: roster.changes })
  }

  #admit(link: PeerLink): void {
    const member = this.#owner.member(link.peer)
    if (member === undefined || !this.#membership.admitting.mayAdmit()) return
    this.#membership.admitting.admit(member).then(
      (chain) => {
        if (chain !== undefined && isCapable(link)) link.session.tell({ kind: 'your-chain', chain })
        if (chain !== undefined) this.#plan()
      },
      (error: unknown) => {
        if (error instanceof NotAMemberError) this.#owner.cut(link.peer, error)
        else this.#failed(error)
      },
    )
  }

  #proved(link: PeerLink, chain: Uint8Array): void {
    try {
      const member = this.#membership.verify(chain, link.peer)
      this.#owner.proved(member)
      this.#membership.admitting.note(member)
      this.#admit(link)
    } catch (error) {
      // What it proved before still counts; the gate judges it again when we hear more.
      if (!(error instanceof NotAMemberError)) throw error
    }
  }

  async #accept(chain: Uint8Array): Promise<void> {
    try {
      await this.#membership.admitting.accept(chain)
    } catch (error) {
      if (!(error instanceof NotAMemberError)) throw error
    }
  }

  #news(link: PeerLink, notice: LedgerNotice): void {
    const talk = this.#talk(link)
    if (talk.isPulling) {
      talk.waiting = notice
      return
    }
    if (!this.#isNews(link, talk, notice)) return this.#owner.heard()
    if (!talk.pulls.take(1)) return
    talk.isPulling = true
    this.#pull(link, talk, notice)
      .catch((error: unknown) => {
        if (!isPeersTrouble(error)) this.#failed(error)
      })
      .finally(() => {
        talk.isPulling = false
        const { waiting } = talk
        talk.waiting = undefined
        if (waiting !== undefined && link.isAlive) this.#news(link, waiting)
      })
  }

  #isNews(link: PeerLink, talk: Talk, notice: LedgerNotice): boolean {
    const digest = this.#membership.ledger?.digest()
    if (digest === undefined) return false
    const hasRecords = Buffer.compare(digest, notice.digest) !== 0
    return hasRecords || (notice.members !== talk.membersSeen && this.#tellsMembers(link))
  }

  async #pull(link: PeerLink, talk: Talk, notice: LedgerNotice): Promise<void> {
    await this.#reader.readRecords(link, talk.wrong)
    this.#owner.heard()
    if (notice.members === talk.membersSeen || !this.#tellsMembers(link)) return
    if (await this.#reader.readMembers(link, talk.wrong)) this.#plan()
    talk.membersSeen = notice.members
  }

  /** Counter-signers tell one another whom they know: so uses are counted, and anybody can be revoked. */
  #tellsMembers(link: PeerLink): boolean {
    const member = this.#owner.member(link.peer)
    return this.#membership.admitting.mayAdmit() && member !== undefined && mayAdmit(member.roles)
  }

  #talk(link: PeerLink): Talk {
    const known = this.#talks.get(link)
    if (known !== undefined) return known
    const clock = this.#clock
    const talk: Talk = {
      pulls: new Allowance({ clock }, pullRate),
      wrong: new Allowance({ clock }, wrongRate),
      isPulling: false,
      waiting: undefined,
      membersSeen: -1,
    }
    this.#talks.set(link, talk)
    return talk
  }

  readonly #failed = (error: unknown): void => {
    this.#owner.failed(error)
  }
}

function isCapable(link: PeerLink): boolean {
  return link.hello?.capabilities.includes(membershipCapability) ?? false
}

/** The peer went away or does not answer: others tell us. */
function isPeersTrouble(error: unknown): boolean {
  return error instanceof SessionClosedError || error instanceof QueryFailedError
}
