import { encodeChain } from './chain.ts'
import { NotAllowedError, NotAMemberError } from './errors.ts'
import type { LedgerRecord } from './ledger-record.ts'
import { formatRecord, parseRecord } from './ledger-record.ts'
import type { MembershipCore } from './membership-core.ts'
import { peerBytes } from './peer-text.ts'
import { departures, successions } from './statement.ts'

/** What a member says of itself: that it leaves, that it has another key from now on. */
export class OwnStatements {
  readonly #core: MembershipCore

  constructor(core: MembershipCore) {
    this.#core = core
  }

  /**
   * Makes the record by which others know that this node left; undefined when nobody needs to.
   * `leave` of Membership then forgets the mesh. Throws NotAllowedError while this node holds the
   * mesh's root key.
   */
  depart(
    options: { readonly forgetRoot?: boolean | undefined } = {},
  ): Promise<LedgerRecord | undefined> {
    return this.#core.exclusive(async () => {
      const { standing } = this.#core
      if (standing === undefined) throw new NotAllowedError('this node belongs to no mesh')
      if (this.#core.rootSeed() !== undefined && options.forgetRoot !== true) {
        throw new NotAllowedError(
          'this node holds the root key of its mesh, which goes with it: first modmesh root export, or say modmesh leave --forget-root',
        )
      }
      const seed = this.#core.identitySeed()
      if (seed === undefined || standing.proof.admission === undefined) return undefined
      const { peer } = this.#core
      const invite = standing.proof.invite.serial
      const at = this.#core.nowMs()
      const signed = departures.sign({ v: 1, at, peer, invite }, seed)
      // Not kept here: we would cut our own connections before anybody has heard of it.
      return parseRecord(formatRecord('leave', signed, { by: standing.state.chain }))
    })
  }

  /**
   * Prepares a new key of this node: what it says counts from the start on that finds the new key.
   * Throws NotAllowedError on a node that nobody counter-signed, or that changed its key too often.
   */
  changeKey(newPeerId: string): Promise<void> {
    return this.#core.exclusive(async () => {
      const { standing, peer } = this.#core
      const seed = this.#core.identitySeed()
      if (standing === undefined) return
      if (seed === undefined || standing.proof.admission === undefined) {
        throw new NotAllowedError(
          'nobody has counter-signed this node’s membership yet; connect to a node that may admit',
        )
      }
      const next = peerBytes(newPeerId)
      const signed = successions.sign({ v: 1, at: this.#core.nowMs(), peer, next }, seed)
      const { chain } = standing
      const changed = { ...chain, successions: [...(chain.successions ?? []), signed] }
      const record = formatRecord('succeed', signed, { by: standing.state.chain })
      try {
        this.#core.member(changed, newPeerId)
        const waiting = { chain: encodeChain(changed), record }
        await this.#core.adopt({ ...standing.state, next: waiting })
      } catch (cause) {
        if (!(cause instanceof RangeError || cause instanceof NotAMemberError)) throw cause
        throw new NotAllowedError(
          'this node has changed its key too often; leave the mesh and join it with a new ticket',
          { cause },
        )
      }
    })
  }
}
