import * as v from 'valibot'
import { privateSchemas } from '../private/message.ts'
import { controlLimits as limits } from './limits.ts'
import { membershipSchemas } from './membership-message.ts'
import { contentKeyBytes, fetchKinds, type Message } from './message.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const text = (max: number) => v.pipe(v.string(), v.maxLength(max))
const bytes = (max: number) => v.pipe(v.instance(Uint8Array), v.maxLength(max))
const multiple = (of: number, max: number) =>
  v.pipe(
    bytes(of * max),
    v.check((value: Uint8Array<ArrayBuffer>) => value.length % of === 0),
  )
const contentKeys = (max: number) => multiple(contentKeyBytes, max)

const proof = v.object({
  database: text(limits.databaseLength),
  id: count,
  text: text(limits.recordBytes),
  hashes: multiple(32, limits.proofHashes),
  head: text(limits.noteBytes),
})

const member = v.object({
  peer: text(limits.nameLength),
  site: text(limits.wordLength),
  addresses: v.pipe(v.array(text(limits.addressLength)), v.maxLength(limits.peerAddresses)),
})

const schemas = {
  ...membershipSchemas,
  ...privateSchemas,
  hello: v.object({
    kind: v.literal('hello'),
    versions: v.pipe(v.array(count), v.maxLength(limits.helloItems)),
    capabilities: v.pipe(v.array(text(limits.wordLength)), v.maxLength(limits.helloItems)),
    site: text(limits.wordLength),
    name: text(limits.nameLength),
    clockMs: count,
    boot: v.pipe(v.instance(Uint8Array), v.length(8)),
  }),
  inventory: v.object({
    kind: v.literal('inventory'),
    seq: count,
    full: v.boolean(),
    last: v.boolean(),
    added: contentKeys(limits.inventoryFrameEntries),
    removed: contentKeys(limits.inventoryFrameEntries),
  }),
  'inventory-resync': v.object({ kind: v.literal('inventory-resync') }),
  'tree-head': v.object({
    kind: v.literal('tree-head'),
    database: text(limits.databaseLength),
    note: text(limits.noteBytes),
  }),
  peers: v.object({
    kind: v.literal('peers'),
    peers: v.pipe(v.array(member), v.maxLength(limits.peersItems)),
    left: v.exactOptional(v.pipe(v.array(text(limits.nameLength)), v.maxLength(limits.peersItems))),
  }),
  'have-query': v.object({
    kind: v.literal('have-query'),
    id: count,
    keys: contentKeys(limits.haveKeys),
  }),
  'record-query': v.object({
    kind: v.literal('record-query'),
    id: count,
    path: text(limits.moduleTextLength),
    version: text(limits.moduleTextLength),
  }),
  'versions-query': v.object({
    kind: v.literal('versions-query'),
    id: count,
    path: text(limits.moduleTextLength),
  }),
  'tile-query': v.object({
    kind: v.literal('tile-query'),
    id: count,
    database: text(limits.databaseLength),
    path: text(limits.tilePathLength),
  }),
  'catalogue-query': v.object({
    kind: v.literal('catalogue-query'),
    id: count,
    after: v.exactOptional(text(2 * limits.moduleTextLength)),
  }),
  'fetch-query': v.object({
    kind: v.literal('fetch-query'),
    id: count,
    what: v.picklist(fetchKinds),
    path: text(limits.moduleTextLength),
    version: v.exactOptional(text(limits.moduleTextLength)),
  }),
  heartbeat: v.object({ kind: v.literal('heartbeat'), id: count }),
  'have-answer': v.object({
    kind: v.literal('have-answer'),
    re: count,
    keys: contentKeys(limits.haveKeys),
  }),
  'record-answer': v.object({
    kind: v.literal('record-answer'),
    re: count,
    holdsZip: v.boolean(),
    info: v.exactOptional(bytes(limits.infoBytes)),
    mod: v.exactOptional(bytes(limits.modBytes)),
    record: v.exactOptional(proof),
  }),
  'versions-answer': v.object({
    kind: v.literal('versions-answer'),
    re: count,
    versions: text(limits.versionsBytes),
  }),
  'tile-answer': v.object({
    kind: v.literal('tile-answer'),
    re: count,
    tile: v.exactOptional(bytes(limits.tileBytes)),
  }),
  'catalogue-answer': v.object({
    kind: v.literal('catalogue-answer'),
    re: count,
    lines: text(limits.versionsBytes),
    last: v.boolean(),
  }),
  fetching: v.object({
    kind: v.literal('fetching'),
    re: count,
    bytes: count,
    moves: v.exactOptional(count),
  }),
  'fetch-answer': v.object({
    kind: v.literal('fetch-answer'),
    re: count,
    outcome: v.picklist(['found', 'nothing', 'declined', 'failed']),
    holdsZip: v.exactOptional(v.boolean()),
    info: v.exactOptional(bytes(limits.infoBytes)),
    mod: v.exactOptional(bytes(limits.modBytes)),
    record: v.exactOptional(proof),
    zip: v.exactOptional(bytes(limits.zipBytes)),
    bytes: v.exactOptional(bytes(limits.answerBytes)),
    from: v.exactOptional(text(limits.originLength)),
    ageMs: v.exactOptional(count),
  }),
  'heartbeat-answer': v.object({ kind: v.literal('heartbeat-answer'), re: count }),
  error: v.object({
    kind: v.literal('error'),
    re: count,
    reason: v.picklist(['busy', 'unsupported', 'failed']),
  }),
} satisfies {
  readonly [K in Message['kind']]: v.GenericSchema<unknown, Extract<Message, { kind: K }>>
}

const byKind: ReadonlyMap<string, v.GenericSchema<unknown, Message>> = new Map(
  Object.entries(schemas),
)

/** A message of a kind this version does not know; `id` is set when it asks for an answer. */
export interface UnknownMessage {
  readonly kind: 'unknown'
  readonly id: number | undefined
}

const envelope = v.object({
  kind: text(limits.wordLength),
  id: v.exactOptional(count),
})

/** Checks decoded CBOR: a message, an unknown one, or undefined when it is neither. Drops unknown fields. */
export function checkMessage(value: unknown): Message | UnknownMessage | undefined {
  const outer = v.safeParse(envelope, value, { abortEarly: true })
  if (!outer.success) return undefined
  const schema = byKind.get(outer.output.kind)
  if (schema === undefined) return { kind: 'unknown', id: outer.output.id }
  const parsed = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true })
  return parsed.success ? parsed.output : undefined
}
