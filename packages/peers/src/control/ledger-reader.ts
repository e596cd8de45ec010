import { InvalidRecordError, NotAMemberError } from '../membership/errors.ts'
import { recordId } from '../membership/ledger-record.ts'
import { recordIdBytes } from '../membership/limits.ts'
import type { Membership } from '../membership/membership.ts'
import type { Allowance } from './allowance.ts'
import { membershipLimits } from './membership-message.ts'
import type { Reply } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** Ids of records remembered that were not good enough for us. */
const maxRefused = 8192

/**
 * Reads from a peer what it knows of the mesh and we do not, one question after the other. What it
 * says is checked before it is kept; what is not good for us is not asked for again at once.
 */
export class LedgerReader {
  readonly #membership: Membership
  readonly #refused = new Set<string>()

  constructor(components: { readonly membership: Membership }) {
    this.#membership = components.membership
  }

  /** Asks for everything once more: what was not good may rest on something that we know by now. */
  forgetRefused(): void {
    this.#refused.clear()
  }

  /** Reads all records that we lack; stops when too much of it is wrong. Throws as `ask` does. */
  async readRecords(link: PeerLink, wrong: Allowance): Promise<void> {
    const options = { signal: link.session.signal }
    const { ids } = await link.session.ask<'ledger-query'>({ kind: 'ledger-query' }, options)
    const wanted = splitIds(ids).filter((id) => this.#lacks(id))
    while (wanted.length > 0) {
      const some = wanted.splice(0, membershipLimits.records)
      const query = { kind: 'ledger-read', ids: joinIds(some) } as const
      const { records } = await link.session.ask<'ledger-read'>(query, options)
      if (records.length === 0) return
      // What found no room in the answer is asked for next.
      wanted.unshift(...some.slice(records.length))
      for (const [at, record] of records.entries()) {
        if (!(await this.#take(record, some[at] ?? '')) && !wrong.take(1)) return
      }
    }
  }

  #lacks(id: string): boolean {
    return this.#membership.ledger?.has(id) === false && !this.#refused.has(id)
  }

  async #take(record: Uint8Array, id: string): Promise<boolean> {
    // What was said under another's name must not keep us from asking others for the true one.
    if (recordId(record) !== id) return false
    try {
      const outcome = await this.#membership.addRecord(record)
      if (outcome === 'added') return true
    } catch (error) {
      if (!(error instanceof InvalidRecordError || error instanceof NotAMemberError)) throw error
    }
    if (this.#refused.size >= maxRefused) this.#refused.clear()
    this.#refused.add(id)
    return false
  }

  /** Reads the members that another counter-signer knows; true when we learned of some. Throws as `ask` does. */
  async readMembers(link: PeerLink, wrong: Allowance): Promise<boolean> {
    const { admitting } = this.#membership
    let from: number | undefined = 0
    let isChanged = false
    while (from !== undefined) {
      const answer: Reply<'members-query'> = await link.session.ask<'members-query'>(
        { kind: 'members-query', from },
        { signal: link.session.signal },
      )
      for (const chain of answer.chains) {
        try {
          isChanged = admitting.learn(chain) || isChanged
        } catch (error) {
          if (!(error instanceof NotAMemberError)) throw error
          if (!wrong.take(1)) return isChanged
        }
      }
      from = answer.next !== undefined && answer.next > from ? answer.next : undefined
    }
    if (isChanged) await admitting.save()
    return isChanged
  }
}

/** Reads ids, in hex, out of one byte string. */
export function splitIds(bytes: Uint8Array): string[] {
  const ids: string[] = []
  for (let at = 0; at < bytes.byteLength; at += recordIdBytes) {
    ids.push(Buffer.from(bytes.subarray(at, at + recordIdBytes)).toString('hex'))
  }
  return ids
}

/** Writes ids as one byte string. */
export function joinIds(ids: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(ids.join(''), 'hex'))
}
