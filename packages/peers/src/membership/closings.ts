import { hex } from './bytes.ts'
import { subjectOf } from './ledger-order.ts'
import type { LedgerRecord } from './ledger-record.ts'
import type { Revocation } from './statement.ts'

/** When invites were closed: by their own revocation, or by that of somebody who came with them. */
export class Closings {
  /** By serial, then by what the record speaks of. */
  readonly #times = new Map<string, Map<string, number>>()

  /** Notes what a revocation closes, if anything. */
  add(record: LedgerRecord): void {
    const closing = closingOf(record)
    if (closing === undefined) return
    const times = this.#times.get(closing.serial) ?? new Map<string, number>()
    this.#times.set(closing.serial, times.set(subjectOf(record), closing.atMs))
  }

  /** Takes back what a record closed that gives way to another one. */
  drop(record: LedgerRecord): void {
    const closing = closingOf(record)
    const times = closing && this.#times.get(closing.serial)
    if (closing === undefined || times === undefined) return
    times.delete(subjectOf(record))
    if (times.size === 0) this.#times.delete(closing.serial)
  }

  /** When an invite was first closed, ms since 1970; undefined when it was not. */
  firstMs(serial: Uint8Array): number | undefined {
    const times = this.#times.get(hex(serial))
    return times && Math.min(...times.values())
  }
}

function closingOf({
  fact,
}: LedgerRecord): { readonly serial: string; readonly atMs: Revocation['at'] } | undefined {
  if (fact.kind !== 'revoke' || fact.body.invite === undefined) return undefined
  return { serial: hex(fact.body.invite), atMs: fact.body.at }
}
