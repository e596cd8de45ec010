import { encodeChain, type Member, parseChain } from './chain.ts'
import { NotAMemberError } from './errors.ts'
import { memberRank, rootRank, verifyChain } from './judge.ts'
import { formatRecord } from './ledger-record.ts'
import { defaultUses } from './limits.ts'
import type { MembershipCore } from './membership-core.ts'
import { peerBytes, peerText } from './peer-text.ts'
import { lastOf, proveChain } from './proof.ts'
import { mayAdmit } from './roles.ts'
import { isBetter } from './roster.ts'
import { counterSign } from './signing.ts'
import { exhaustions } from './statement.ts'

/**
 * Counter-signing (design section 5, Identity and membership): a member with the role `admit` turns
 * a provisional membership into one that outlives its invite, and counts the uses of invites.
 */
export class Admitting {
  readonly #core: MembershipCore

  constructor(core: MembershipCore) {
    this.#core = core
  }

  /** Whether this node counter-signs. */
  mayAdmit(): boolean {
    const { standing, refusal } = this.#core
    if (standing === undefined || refusal !== undefined) return false
    return this.#core.authority() !== undefined && mayAdmit(standing.self.roles)
  }

  /** Refuses who comes by an invite whose uses are spent. Throws NotAMemberError. */
  checkUses(member: Member): void {
    if (member.admittedMs !== undefined || !this.mayAdmit()) return
    const known = this.#core.roster.get(member.peerId)?.member
    if (known?.admittedMs !== undefined && known.invite === member.invite) return
    if (this.#core.roster.uses(member.invite) < (member.uses ?? defaultUses)) return
    void this.#tellSpent(member)
    throw new NotAMemberError('used-up', 'the invite that the peer came by is used up')
  }

  /** Notes a member that passed the gate. */
  note(member: Member): void {
    const nowMs = this.#core.nowMs()
    const counts = (known: Member): boolean => this.#counts(known)
    this.#core.roster.note(member, peerBytes(member.peerId), { nowMs, counts })
  }

  /**
   * Gives a connected member the chain that it should show from now on: counter-signed, or by the
   * root instead of by another; undefined when its own is as good. Durable when it resolves. Throws
   * NotAMemberError when it may not stay.
   */
  async admit(shown: Member): Promise<Uint8Array | undefined> {
    const chain = await this.#core.exclusive(() => Promise.resolve(this.#best(shown)))
    // A use that a crash forgets would be given twice. Of a fleet that comes at once, one write takes many.
    if (chain !== undefined) await this.#core.saveRoster()
    return chain
  }

  /**
   * Takes a chain that another member made for us, when it says more than ours. Throws
   * NotAMemberError when it proves nothing of us.
   */
  accept(bytes: Uint8Array): Promise<boolean> {
    return this.#core.exclusive(async () => {
      const { standing, ledger: view, init, peer } = this.#core
      if (standing === undefined || view === undefined) return false
      const offered = verifyChain(bytes, { view, peerId: init.peerId, peer }, this.#core.nowMs())
      if (!this.#saysMore(offered)) return false
      await this.#core.adopt({ ...standing.state, chain: bytes })
      return true
    })
  }

  /** Notes a counter-signed member that another counter-signer told us of. Throws NotAMemberError. */
  learn(bytes: Uint8Array): boolean {
    const { ledger: view, roster, init } = this.#core
    if (view === undefined) return false
    const peer = lastOf(proveChain(parseChain(bytes), view.roots).peers)
    const peerId = peerText(peer)
    const known = roster.get(peerId)?.member
    if (peerId === init.peerId || (known && Buffer.compare(known.chain, bytes) === 0)) return false
    const nowMs = this.#core.nowMs()
    const member = verifyChain(bytes, { view, peerId, peer }, nowMs)
    if (member.rank === 0 || (known && this.#counts(known) && !isBetter(member, known)))
      return false
    return roster.note(member, peer, { nowMs, lastSeenMs: 0 })
  }

  /** Makes the members that we know durable. */
  async save(): Promise<void> {
    if (this.#core.standing !== undefined) await this.#core.saveRoster()
  }

  #sign(member: Member): Member | undefined {
    const { ledger, roster } = this.#core
    const by = this.#core.authority()
    if (ledger === undefined || by === undefined || !this.mayAdmit()) return undefined
    const chain = parseChain(member.chain)
    const proof = proveChain(chain, ledger.roots)
    const rank = by.kind === 'root' ? rootRank(ledger.roots.length - 1) : memberRank
    if (member.rank >= rank) return undefined
    this.checkUses(member)
    const firstSeenMs = roster.get(member.peerId)?.firstSeenMs ?? this.#core.nowMs()
    const atMs = proof.admission?.at ?? Math.max(firstSeenMs, proof.invite.from)
    try {
      const bytes = encodeChain(counterSign(chain, proof, by, { atMs, rotations: ledger.headers }))
      return verifyChain(
        bytes,
        { view: ledger, peerId: member.peerId, peer: peerBytes(member.peerId) },
        this.#core.nowMs(),
      )
    } catch (error) {
      // Too many signers stand on one another: it stays provisional until it meets a nearer one.
      if (error instanceof RangeError || error instanceof NotAMemberError) return undefined
      throw error
    }
  }

  #best(shown: Member): Uint8Array | undefined {
    const known = this.#core.roster.get(shown.peerId)?.member
    const isKnownBetter = known && isBetter(known, shown) && this.#counts(known)
    const signed = this.#sign(isKnownBetter ? known : shown)
    if (signed === undefined) return isKnownBetter ? known.chain : undefined
    this.#keep(signed)
    return signed.chain
  }

  #keep(member: Member): void {
    const { roster } = this.#core
    roster.note(member, peerBytes(member.peerId), { nowMs: this.#core.nowMs() })
    if (roster.get(member.peerId)?.member.admittedMs !== undefined) return
    throw new NotAMemberError('used-up', 'this node knows as many members as it can')
  }

  /** Whether a chain that we know would still be accepted. */
  #counts(known: Member): boolean {
    const { ledger: view } = this.#core
    const { peerId, chain } = known
    try {
      if (view !== undefined) {
        verifyChain(chain, { view, peerId, peer: peerBytes(peerId) }, this.#core.nowMs())
      }
      return view !== undefined
    } catch (error) {
      if (error instanceof NotAMemberError) return false
      throw error
    }
  }

  /** An older word of the root's takes nothing away, and of equals nobody but the root says more. */
  #saysMore(offered: Member): boolean {
    const { standing, refusal } = this.#core
    if (standing === undefined || offered.rank === 0) return false
    const { self } = standing
    if (refusal !== undefined || offered.rank !== self.rank) {
      return refusal !== undefined || offered.rank > self.rank
    }
    const { roles } = offered
    return roles.length > self.roles.length && self.roles.every((role) => roles.includes(role))
  }

  /** Lets everybody know, so that those who cannot count refuse them, too. */
  async #tellSpent({ invite }: Member): Promise<void> {
    const { ledger } = this.#core
    const by = this.#core.authority()
    const serial = new Uint8Array(Buffer.from(invite, 'hex'))
    if (ledger === undefined || by === undefined || ledger.isSpent(serial)) return
    const signed = exhaustions.sign({ v: 1, at: this.#core.nowMs(), invite: serial }, by.seed)
    const extra = by.kind === 'member' ? { by: by.chain } : {}
    try {
      await this.#core.addRecord(formatRecord('spend', signed, extra))
    } catch {
      // The disk: those refused here stay refused here, and the next one who comes tries again.
    }
  }
}
