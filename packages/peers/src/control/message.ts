import type { PrivateAnswer, PrivateQuery, PrivateSecret } from '../private/message.ts'
import type { MembershipAnswer, MembershipNotice, MembershipQuery } from './membership-message.ts'

/** The control protocol's name at multistream-select. */
export const controlProtocol = '/modmesh/control/1'
/** Versions of the messages below that this node speaks. */
export const controlVersions: readonly number[] = [1]
/** Bytes of a truncated content id: the first of the h1's SHA-256. */
export const contentKeyBytes = 8

export interface Hello {
  readonly kind: 'hello'
  readonly versions: readonly number[]
  /** Abilities beyond the version; unknown ones are ignored. `inventory`: sends and wants inventories; `fetch`: asks upstream for its site; `membership`: keeps a ledger; `delta`: tells zips in parts. */
  readonly capabilities: readonly string[]
  readonly site: string
  readonly name: string
  /** Wall clock of the sender, ms since 1970. For display. */
  readonly clockMs: number
  /** Drawn at start: two of them for one peer id at once are a cloned identity. */
  readonly boot: Uint8Array
}

/** `full` empties what was sent before; more parts of it follow until `last`. `seq` counts up by one per frame. */
export interface InventoryFrame {
  readonly kind: 'inventory'
  readonly seq: number
  readonly full: boolean
  readonly last: boolean
  /** Content keys in one byte string. */
  readonly added: Uint8Array
  readonly removed: Uint8Array
}

/** Asks for a full inventory after a gap. */
interface InventoryResync {
  readonly kind: 'inventory-resync'
}

export interface TreeHead {
  readonly kind: 'tree-head'
  readonly database: string
  readonly note: string
}

/** A member and where it listens, as the sender heard it. */
export interface PeerAddresses {
  readonly peer: string
  readonly site: string
  readonly addresses: readonly string[]
}

export interface PeersNotice {
  readonly kind: 'peers'
  /** Members that the sender is, or is connected to. */
  readonly peers: readonly PeerAddresses[]
  /** Members that the sender lost. */
  readonly left?: readonly string[]
}

interface HaveQuery {
  readonly kind: 'have-query'
  readonly id: number
  readonly keys: Uint8Array
}
interface RecordQuery {
  readonly kind: 'record-query'
  readonly id: number
  readonly path: string
  readonly version: string
}
interface VersionsQuery {
  readonly kind: 'versions-query'
  readonly id: number
  readonly path: string
}
interface TileQuery {
  readonly kind: 'tile-query'
  readonly id: number
  readonly database: string
  readonly path: string
}
/** Asks for all that can be had of a member, in order of the names; `after` is the last line of the page before. */
interface CatalogueQuery {
  readonly kind: 'catalogue-query'
  readonly id: number
  readonly after?: string
}
/** What is asked of a site's owner; later versions may know more. */
export const fetchKinds = ['zip', 'mod', 'info', 'sums', 'list', 'latest', 'query'] as const

interface FetchQuery {
  readonly kind: 'fetch-query'
  readonly id: number
  readonly what: (typeof fetchKinds)[number]
  readonly path: string
  /** Version or query; absent for lists and latest. */
  readonly version?: string
}
interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly id: number
}

interface HaveAnswer {
  readonly kind: 'have-answer'
  readonly re: number
  /** Those of the keys asked that the peer can serve now. */
  readonly keys: Uint8Array
}
/** A checksum-database record with its compact proof; `hashes` is 32 bytes per step. */
export interface WireProof {
  readonly database: string
  readonly id: number
  readonly text: string
  readonly hashes: Uint8Array
  readonly head: string
}
interface RecordAnswer {
  readonly kind: 'record-answer'
  readonly re: number
  readonly holdsZip: boolean
  readonly info?: Uint8Array
  readonly mod?: Uint8Array
  readonly record?: WireProof
}
interface VersionsAnswer {
  readonly kind: 'versions-answer'
  readonly re: number
  /** One version per line. */
  readonly versions: string
}
interface TileAnswer {
  readonly kind: 'tile-answer'
  readonly re: number
  readonly tile?: Uint8Array
}
interface CatalogueAnswer {
  readonly kind: 'catalogue-answer'
  readonly re: number
  /** `PATH@VERSION H1` per line, without the h1 where a go.mod alone is held. */
  readonly lines: string
  /** Nothing comes after them. */
  readonly last: boolean
}
/** A sign of life before the answer to a fetch-query: `bytes` of the body so far; `moves` differs when anything else came. */
export interface Fetching {
  readonly kind: 'fetching'
  readonly re: number
  readonly bytes: number
  readonly moves?: number
}
interface FetchAnswer {
  readonly kind: 'fetch-answer'
  readonly re: number
  /** `nothing`: nobody has it; `declined`: not for this path; `failed`: it could not be had now. */
  readonly outcome: 'found' | 'nothing' | 'declined' | 'failed'
  /** Of a module version, as in a record answer. */
  readonly holdsZip?: boolean
  readonly info?: Uint8Array
  readonly mod?: Uint8Array
  readonly record?: WireProof
  /** All bytes of a small zip, where that was asked for. */
  readonly zip?: Uint8Array
  /** Of a list, latest or query: upstream's bytes, who that is, and how long ago it said so. */
  readonly bytes?: Uint8Array
  readonly from?: string
  readonly ageMs?: number
}
interface HeartbeatAnswer {
  readonly kind: 'heartbeat-answer'
  readonly re: number
}
interface ErrorAnswer {
  readonly kind: 'error'
  readonly re: number
  readonly reason: 'busy' | 'unsupported' | 'failed'
}

export type Notice =
  | InventoryFrame
  | InventoryResync
  | TreeHead
  | PeersNotice
  | MembershipNotice
  | PrivateSecret
export type Query =
  | HaveQuery
  | RecordQuery
  | VersionsQuery
  | TileQuery
  | CatalogueQuery
  | FetchQuery
  | MembershipQuery
  | PrivateQuery
  | Heartbeat
export type Answer =
  | HaveAnswer
  | RecordAnswer
  | VersionsAnswer
  | TileAnswer
  | CatalogueAnswer
  | FetchAnswer
  | MembershipAnswer
  | PrivateAnswer
  | HeartbeatAnswer
  | ErrorAnswer
export type Message = Hello | Notice | Query | Answer | Fetching

/** The answer that belongs to each query. */
export interface AnswerKinds {
  'have-query': 'have-answer'
  'record-query': 'record-answer'
  'versions-query': 'versions-answer'
  'tile-query': 'tile-answer'
  'catalogue-query': 'catalogue-answer'
  'fetch-query': 'fetch-answer'
  'ledger-query': 'ledger-answer'
  'ledger-read': 'ledger-records'
  'members-query': 'members-answer'
  'private-query': 'private-answer'
  heartbeat: 'heartbeat-answer'
}

/** A query as its asker writes it: the session adds the number. */
export type Ask<K extends keyof AnswerKinds> = Omit<Extract<Query, { kind: K }>, 'id'>
/** An answer as its giver writes it: the session adds the number. */
export type Reply<K extends keyof AnswerKinds> = Omit<
  Extract<Answer, { kind: AnswerKinds[K] }>,
  're'
>

/** Any answer as its giver writes it. */
export type AnyReply = { [K in keyof AnswerKinds]: Reply<K> }[keyof AnswerKinds]

/** Which answer fits a query. */
export const answerKinds: Readonly<AnswerKinds> = {
  'have-query': 'have-answer',
  'record-query': 'record-answer',
  'versions-query': 'versions-answer',
  'tile-query': 'tile-answer',
  'catalogue-query': 'catalogue-answer',
  'fetch-query': 'fetch-answer',
  'ledger-query': 'ledger-answer',
  'ledger-read': 'ledger-records',
  'members-query': 'members-answer',
  'private-query': 'private-answer',
  heartbeat: 'heartbeat-answer',
}

/** Whether a message asks for an answer. */
export function isQuery(message: Message): message is Query {
  return message.kind in answerKinds
}

/** Whether a message answers one of ours. */
export function isAnswer(message: Message): message is Answer {
  return 're' in message && message.kind !== 'fetching'
}
