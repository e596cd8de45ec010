import * as v from 'valibot'
import { isEqual, sha256 } from './bytes.ts'
import { decodeFields, encodeFields, exactBytes, someBytes } from './canonical-cbor.ts'
import type { SignedBody } from './certificate.ts'
import { Closings } from './closings.ts'
import { keyBytes } from './ed25519.ts'
import { InvalidRecordError, MembershipStateError, NotAMemberError } from './errors.ts'
import { keptKey, readKeepList } from './kept-peers.ts'
import {
  departed,
  isPreferred,
  type LedgerEntry,
  revokedPeer,
  spent,
  subjectOf,
  succeeded,
} from './ledger-order.ts'
import type { LedgerRecord, Signer } from './ledger-record.ts'
import { checkRecord, parseRecord } from './ledger-record.ts'
import {
  maxLedgerBytes,
  maxMinorPerSigner,
  maxMinorRecords,
  maxRecordBytes,
  maxRevocations,
  maxRotations,
} from './limits.ts'
import type { MeshView } from './mesh-view.ts'
import { extendRoots } from './proof.ts'
import type { Revocation } from './statement.ts'

/** What became of a record: `known` also when we keep another one that says as much. */
export type LedgerOutcome = 'added' | 'known' | 'full'

const ledgerSchema = v.looseObject({
  v: v.literal(1),
  root: exactBytes(keyBytes),
  records: v.array(v.strictTuple([someBytes(maxRecordBytes), v.number(), v.string()])),
})

/** Of the places for revocations, those that administrators can fill: the root always finds one. */
const maxRevocationsByMembers: number = Math.floor((maxRevocations * 3) / 4)

/**
 * What the mesh says of its members for good: revocations, changes of keys. It only grows, so old
 * records cannot bring anything back; two ledgers that know the same records judge alike, in
 * whatever order they came.
 */
export class Ledger implements MeshView {
  readonly #entries = new Map<string, LedgerEntry>()
  /** Record ids by what they speak of. */
  readonly #bySubject = new Map<string, string>()
  readonly #roots: Uint8Array[]
  readonly #headers: SignedBody[] = []
  readonly #keeps: (ReadonlySet<string> | undefined)[] = []
  readonly #closings = new Closings()
  readonly #minorBySigner = new Map<string, number>()
  #bytes = 0
  #digest: Uint8Array | undefined

  constructor(root: Uint8Array) {
    this.#roots = [root]
  }

  /** Reads what `encode` wrote; it was checked when it was added. Throws MembershipStateError. */
  static decode(bytes: Uint8Array, root: Uint8Array): Ledger {
    try {
      const stored = v.parse(ledgerSchema, decodeFields(bytes))
      const ledger = new Ledger(root)
      // Of a mesh that this node has left.
      if (!isEqual(stored.root, root)) return ledger
      for (const [record, index, peer] of stored.records) {
        const signer: Signer = peer === '' ? { kind: 'root', index } : { kind: 'member', peer }
        ledger.#apply({ record: parseRecord(record), signer })
      }
      return ledger
    } catch (cause) {
      throw new MembershipStateError('the stored revocations cannot be read', { cause })
    }
  }

  /** Writes everything, for the store. */
  encode(): Uint8Array {
    const records = [...this.#entries.values()].map(({ record, signer }) => [
      record.bytes,
      signer.kind === 'root' ? signer.index : 0,
      signer.kind === 'root' ? '' : signer.peer,
    ])
    return encodeFields({ v: 1, root: this.#roots[0], records })
  }

  /**
   * Checks a record and keeps it. Throws InvalidRecordError or NotAMemberError for one that its
   * signer may not make.
   */
  add(bytes: Uint8Array): LedgerOutcome {
    const record = parseRecord(bytes)
    if (this.#entries.has(record.id)) return 'known'
    const followed = this.#followed(record)
    if (followed === 'known') return 'known'
    const signer = followed ?? checkRecord(record, this)
    const entry = { record, signer }
    const old = this.#find(subjectOf(record))
    if (old !== undefined && !isPreferred(entry, old)) return 'known'
    if (this.#isFull(entry)) return 'full'
    this.#apply(entry)
    return 'added'
  }

  /** Follows signed changes of the root whose kept members are not known yet. Throws NotAMemberError. */
  follow(headers: readonly SignedBody[]): void {
    const known = extendRoots(this.#roots, headers)
    for (const root of known.slice(this.#roots.length)) this.#roots.push(root)
    for (const header of headers.slice(this.#headers.length)) this.#headers.push(header)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Signed changes of the root, in order, as a chain carries them. */
  get headers(): readonly SignedBody[] {
    return this.#headers
  }

  /** Ids of all records, in hex; changes of the root come first, since others rest on them. */
  ids(): readonly string[] {
    const entries = [...this.#entries]
    const isRotation = ([, { record }]: [string, LedgerEntry]): boolean =>
      record.fact.kind === 'rotate'
    const first = entries.filter(isRotation).map(([id]) => id)
    return [...first, ...entries.filter((entry) => !isRotation(entry)).map(([id]) => id)]
  }

  /** SHA-256 of all ids: alike where the same is known. */
  digest(): Uint8Array {
    this.#digest ??= sha256(Buffer.from([...this.#entries.keys()].toSorted().join('')))
    return this.#digest
  }

  /** SHA-256 of who and which invites were ended: alike where the same are known to be. */
  endings(): Uint8Array {
    const ends = [...this.#entries.values()].filter(({ record: { fact } }) =>
      ['revoke', 'leave'].includes(fact.kind),
    )
    return sha256(
      Buffer.from(
        ends
          .map(({ record }) => subjectOf(record))
          .toSorted()
          .join(),
      ),
    )
  }

  has(id: string): boolean {
    return this.#entries.has(id)
  }

  record(id: string): Uint8Array | undefined {
    return this.#entries.get(id)?.record.bytes
  }

  /** All revocations. */
  revocations(): readonly LedgerRecord[] {
    const records = [...this.#entries.values()].map(({ record }) => record)
    return records.filter(({ fact }) => fact.kind === 'revoke')
  }

  /** Revocations that the root of today has not said, and who did. */
  unconfirmed(): readonly { readonly body: Revocation; readonly by: Signer['kind'] }[] {
    const current = this.#roots.length - 1
    return [...this.#entries.values()].flatMap(({ record: { fact }, signer }) => {
      const isCurrent = signer.kind === 'root' && signer.index === current
      return fact.kind === 'revoke' && !isCurrent ? [{ body: fact.body, by: signer.kind }] : []
    })
  }

  get roots(): readonly Uint8Array[] {
    return this.#roots
  }

  isKept(peer: Uint8Array, index: number): boolean {
    const key = keptKey(peer)
    return this.#keeps.slice(index).every((kept) => kept === undefined || kept.has(key))
  }

  revocation(peer: Uint8Array): 'by-root' | 'by-administrator' | undefined {
    const entry = this.#find(revokedPeer(peer))
    if (entry === undefined) return undefined
    return entry.signer.kind === 'root' ? 'by-root' : 'by-administrator'
  }

  closedMs(serial: Uint8Array): number | undefined {
    return this.#closings.firstMs(serial)
  }

  isSpent(serial: Uint8Array): boolean {
    return this.#bySubject.has(spent(serial))
  }

  leftMs(peer: Uint8Array, serial: Uint8Array): number | undefined {
    return this.#find(departed(peer, serial))?.record.fact.body.at
  }

  successor(peer: Uint8Array): { readonly next: Uint8Array; readonly atMs: number } | undefined {
    const fact = this.#find(succeeded(peer))?.record.fact
    return fact?.kind === 'succeed' ? { next: fact.body.next, atMs: fact.body.at } : undefined
  }

  #find(subject: string): LedgerEntry | undefined {
    const id = this.#bySubject.get(subject)
    return id === undefined ? undefined : this.#entries.get(id)
  }

  /** For a change of the root that we followed by its header: who signed it, when it brings the list that we lack. */
  #followed({ fact, keep, signed }: LedgerRecord): Signer | 'known' | undefined {
    if (fact.kind !== 'rotate') return undefined
    const at = fact.body.seq - 1
    const header = this.#headers[at]
    if (header === undefined || !isEqual(header.body, signed.body)) return undefined
    if (this.#keeps[at] !== undefined || keep === undefined) return 'known'
    return isEqual(sha256(keep), fact.body.keep) ? { kind: 'root', index: at } : 'known'
  }

  #isFull({ record, signer }: LedgerEntry): boolean {
    if (this.#bytes + record.bytes.byteLength > maxLedgerBytes) return true
    switch (record.fact.kind) {
      case 'rotate':
        return record.fact.body.seq > maxRotations
      case 'revoke': {
        const count = this.revocations().length
        return count >= (signer.kind === 'root' ? maxRevocations : maxRevocationsByMembers)
      }
      default: {
        const own = signer.kind === 'member' ? (this.#minorBySigner.get(signer.peer) ?? 0) : 0
        const minor = this.#entries.size - this.revocations().length - this.#headers.length
        return own >= maxMinorPerSigner || minor >= maxMinorRecords
      }
    }
  }

  #apply(entry: LedgerEntry): void {
    const { record, signer } = entry
    const subject = subjectOf(record)
    const old = this.#find(subject)
    if (old !== undefined) {
      this.#entries.delete(old.record.id)
      this.#bytes -= old.record.bytes.byteLength
      this.#closings.drop(old.record)
    }
    this.#entries.set(record.id, entry)
    this.#bySubject.set(subject, record.id)
    this.#bytes += record.bytes.byteLength
    this.#digest = undefined
    if (record.fact.kind === 'rotate') this.#rotate(record)
    else if (record.fact.kind === 'revoke') this.#closings.add(record)
    else if (signer.kind === 'member') {
      this.#minorBySigner.set(signer.peer, (this.#minorBySigner.get(signer.peer) ?? 0) + 1)
    }
  }

  #rotate({ fact, keep = new Uint8Array(), signed }: LedgerRecord): void {
    if (fact.kind !== 'rotate') return
    const at = fact.body.seq - 1
    if (this.#headers[at] === undefined) {
      this.#headers.push(signed)
      this.#roots.push(fact.body.next)
    }
    this.#keeps[at] = readKeepList(keep)
    this.#dropUnsupported()
  }

  /** What members said who were not taken along is no news to others: they are out, and it with them. */
  #dropUnsupported(): void {
    for (const [id, { record, signer }] of this.#entries) {
      if (signer.kind === 'root' || record.fact.kind === 'revoke') continue
      try {
        checkRecord(record, this)
      } catch (error) {
        if (!(error instanceof NotAMemberError || error instanceof InvalidRecordError)) throw error
        this.#entries.delete(id)
        this.#bySubject.delete(subjectOf(record))
        this.#bytes -= record.bytes.byteLength
      }
    }
  }
}
