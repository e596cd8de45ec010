import { hex } from './bytes.ts'
import type { LedgerRecord, Signer } from './ledger-record.ts'

/** A record of the ledger, and who said it. */
export interface LedgerEntry {
  readonly record: LedgerRecord
  readonly signer: Signer
}

/** Names what a record speaks of: of two that speak of the same one stays. */
export function subjectOf({ fact }: LedgerRecord): string {
  switch (fact.kind) {
    case 'rotate':
      return `rotate ${fact.body.seq}`
    case 'revoke':
      return fact.body.peer === undefined
        ? `revoke invite ${hex(fact.body.invite ?? new Uint8Array())}`
        : revokedPeer(fact.body.peer)
    case 'leave':
      return departed(fact.body.peer, fact.body.invite)
    case 'succeed':
      return succeeded(fact.body.peer)
    case 'spend':
      return spent(fact.body.invite)
  }
}

/** The subject of a peer's revocation. */
export function revokedPeer(peer: Uint8Array): string {
  return `revoke peer ${hex(peer)}`
}

/** The subject of a peer's departure from the membership that it had by an invite. */
export function departed(peer: Uint8Array, invite: Uint8Array): string {
  return `leave ${hex(peer)} ${hex(invite)}`
}

/** The subject of a peer's change of key. */
export function succeeded(peer: Uint8Array): string {
  return `succeed ${hex(peer)}`
}

/** The subject of an invite whose uses are spent. */
export function spent(invite: Uint8Array): string {
  return `spend ${hex(invite)}`
}

/** Tells whether a record takes the place of one that speaks of the same: every node must keep the same one. */
export function isPreferred({ record, signer }: LedgerEntry, old: LedgerEntry): boolean {
  // Who has the old key of a host could grind a better id: the first successor stays.
  if (record.fact.kind === 'succeed') return false
  const rank = rankOf(signer) - rankOf(old.signer)
  if (rank !== 0) return rank > 0
  const earlier = old.record.fact.body.at - record.fact.body.at
  return earlier > 0 || (earlier === 0 && record.id < old.record.id)
}

/** The newest root before older ones, any root before members. */
function rankOf(signer: Signer): number {
  return signer.kind === 'root' ? signer.index + 1 : 0
}
