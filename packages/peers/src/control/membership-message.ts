import * as v from 'valibot'
import {
  maxChainBytes,
  maxMinorRecords,
  maxRecordBytes,
  maxRevocations,
  maxRotations,
  recordIdBytes,
} from '../membership/limits.ts'

/** The ability to keep a ledger, and to be counter-signed. */
export const membershipCapability = 'membership'

/** What one exchange about membership may carry. */
export const membershipLimits: {
  readonly records: number
  readonly recordBytes: number
  readonly chains: number
  readonly ids: number
} = {
  /** Records asked for at once. */
  records: 16,
  /** Bytes of records in one answer, beyond the first: within a frame. */
  recordBytes: 180_000,
  /** Chains in one answer: 128 KiB. */
  chains: 32,
  /** Ids of records: as many as a ledger keeps. */
  ids: maxRevocations + maxMinorRecords + maxRotations,
}

/** What the sender knows: the digest of its ledger, and a number that grows with the members it knows. */
export interface LedgerNotice {
  readonly kind: 'ledger'
  readonly digest: Uint8Array
  readonly members: number
}

/** The chain that the sender shows from now on. */
interface OwnChain {
  readonly kind: 'own-chain'
  readonly chain: Uint8Array
}

/** The chain that the receiver should show from now on: counter-signed. */
interface YourChain {
  readonly kind: 'your-chain'
  readonly chain: Uint8Array
}

/** Asks for the ids of all records. */
interface LedgerQuery {
  readonly kind: 'ledger-query'
  readonly id: number
}

/** Asks for some records. */
interface LedgerRead {
  readonly kind: 'ledger-read'
  readonly id: number
  readonly ids: Uint8Array
}

/** A counter-signer asks another for the members it knows, from that place on. */
interface MembersQuery {
  readonly kind: 'members-query'
  readonly id: number
  readonly from: number
}

interface LedgerAnswer {
  readonly kind: 'ledger-answer'
  readonly re: number
  readonly ids: Uint8Array
}

/** Records in the order asked for; those that found no room are missing at the end. */
interface LedgerRecords {
  readonly kind: 'ledger-records'
  readonly re: number
  readonly records: readonly Uint8Array[]
}

interface MembersAnswer {
  readonly kind: 'members-answer'
  readonly re: number
  readonly chains: readonly Uint8Array[]
  /** Where to go on; absent at the end. */
  readonly next?: number
}

/** Words about membership that need no answer. */
export type MembershipNotice = LedgerNotice | OwnChain | YourChain
/** Questions about membership. */
export type MembershipQuery = LedgerQuery | LedgerRead | MembersQuery
/** Answers to them. */
export type MembershipAnswer = LedgerAnswer | LedgerRecords | MembersAnswer

type Words = MembershipNotice | MembershipQuery | MembershipAnswer

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const bytes = (max: number) => v.pipe(v.instance(Uint8Array), v.minLength(1), v.maxLength(max))
const ids = (max: number) =>
  v.pipe(
    v.instance(Uint8Array),
    v.maxLength(max * recordIdBytes),
    v.check((value: Uint8Array<ArrayBuffer>) => value.length % recordIdBytes === 0),
  )
const chain = bytes(maxChainBytes)

/** Schemas by kind. */
export const membershipSchemas: {
  readonly [K in Words['kind']]: v.GenericSchema<unknown, Extract<Words, { readonly kind: K }>>
} = {
  ledger: v.object({
    kind: v.literal('ledger'),
    digest: v.pipe(v.instance(Uint8Array), v.length(32)),
    members: count,
  }),
  'own-chain': v.object({ kind: v.literal('own-chain'), chain }),
  'your-chain': v.object({ kind: v.literal('your-chain'), chain }),
  'ledger-query': v.object({ kind: v.literal('ledger-query'), id: count }),
  'ledger-read': v.object({
    kind: v.literal('ledger-read'),
    id: count,
    ids: ids(membershipLimits.records),
  }),
  'members-query': v.object({ kind: v.literal('members-query'), id: count, from: count }),
  'ledger-answer': v.object({
    kind: v.literal('ledger-answer'),
    re: count,
    ids: ids(membershipLimits.ids),
  }),
  'ledger-records': v.object({
    kind: v.literal('ledger-records'),
    re: count,
    records: v.pipe(v.array(bytes(maxRecordBytes)), v.maxLength(membershipLimits.records)),
  }),
  'members-answer': v.object({
    kind: v.literal('members-answer'),
    re: count,
    chains: v.pipe(v.array(chain), v.maxLength(membershipLimits.chains)),
    next: v.exactOptional(count),
  }),
}
