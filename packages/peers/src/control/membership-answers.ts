import type { PeerId } from '@modmesh/fill'
import type { Member } from '../membership/chain.ts'
import type { Membership } from '../membership/membership.ts'
import { mayAdmit } from '../membership/roles.ts'
import { joinIds, splitIds } from './ledger-reader.ts'
import { type MembershipQuery, membershipLimits } from './membership-message.ts'
import type { AnyReply, Reply } from './message.ts'
import type { NodeQuery } from './served-queries.ts'

/** What answers about membership rest on. */
export interface MembershipAnswersComponents {
  readonly membership: Membership
  /** Records that others should hear and we do not keep. */
  readonly published: ReadonlyMap<string, Uint8Array>
  /** What a peer proved last. */
  readonly member: (peer: PeerId) => Member | undefined
}

/** Answers what peers ask of the ledger and of members. */
export class MembershipAnswers {
  readonly #components: MembershipAnswersComponents

  constructor(components: MembershipAnswersComponents) {
    this.#components = components
  }

  answer(peer: PeerId, query: MembershipQuery): AnyReply {
    switch (query.kind) {
      case 'ledger-query':
        return { kind: 'ledger-answer', ids: this.#ids() }
      case 'ledger-read':
        return { kind: 'ledger-records', records: this.#records(query.ids) }
      case 'members-query':
        return this.#members(peer, query.from)
    }
  }

  #ids(): Uint8Array {
    const { membership, published } = this.#components
    const own = membership.ledger?.ids() ?? []
    return joinIds([...own, ...published.keys()].slice(0, membershipLimits.ids))
  }

  #records(ids: Uint8Array): readonly Uint8Array[] {
    const { membership, published } = this.#components
    const records: Uint8Array[] = []
    let size = 0
    for (const id of splitIds(ids)) {
      const record = membership.ledger?.record(id) ?? published.get(id)
      if (record === undefined) break
      size += record.byteLength
      if (records.length > 0 && size > membershipLimits.recordBytes) break
      records.push(record)
    }
    return records
  }

  #members(peer: PeerId, from: number): Reply<'members-query'> {
    const { membership, member } = this.#components
    const asker = member(peer)
    if (asker === undefined || !mayAdmit(asker.roles)) return { kind: 'members-answer', chains: [] }
    const all = membership.roster.all()
    const end = from + membershipLimits.chains
    const chains = all
      .slice(from, end)
      .filter((one) => one.member.rank > 0)
      .map((one) => one.member.chain)
    return { kind: 'members-answer', chains, ...(end < all.length ? { next: end } : {}) }
  }
}

/** Whether a query is about membership. */
export function isMembershipQuery(query: NodeQuery): query is MembershipQuery {
  return (
    query.kind === 'ledger-query' || query.kind === 'ledger-read' || query.kind === 'members-query'
  )
}
