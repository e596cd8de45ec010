import type { Proof, StoredRecord } from '@modmesh/fill'
import {
  formatModuleVersion,
  hashMod,
  type ModHash,
  type ModuleVersion,
  parsePathAtVersion,
} from '@modmesh/module'
import type { JournalRecord } from './journal-frame.ts'
import type { MetaJournal } from './meta-journal.ts'
import { isObject, parseProof } from './zip-record.ts'

type StoredMod = NonNullable<StoredRecord['mod']>
type StoredInfo = NonNullable<StoredRecord['info']>

const modPrefix = 'm '
const infoPrefix = 'i '

/** Reads what is held of a module version beside its zip; undefined when nothing is. */
export async function readModuleMeta(
  journal: MetaJournal,
  module: ModuleVersion,
): Promise<StoredRecord | undefined> {
  const name = formatModuleVersion(module)
  const [mod, info] = await Promise.all([
    journal.get(modPrefix + name).then(parseMod),
    journal.get(infoPrefix + name).then(parseInfo),
  ])
  if (mod === undefined && info === undefined) return undefined
  return {
    module,
    ...(mod === undefined ? {} : { mod }),
    ...(info === undefined ? {} : { info }),
  }
}

/** Merges parts into what is held; resolves when durable. What is held already costs nothing. */
export async function writeModuleMeta(journal: MetaJournal, record: StoredRecord): Promise<void> {
  const name = formatModuleVersion(record.module)
  const parts: JournalRecord[] = []
  if (record.mod !== undefined) parts.push(formatMod(modPrefix + name, record.mod))
  if (record.info !== undefined) parts.push(formatInfo(infoPrefix + name, record.info))
  await Promise.all(
    parts.map(async (part) => {
      if (!isEqual(await journal.get(part.key), part)) await journal.put(part)
    }),
  )
}

/** Drops what is held of a module version beside its zip; durable when it resolves. */
export async function dropModuleMeta(journal: MetaJournal, module: ModuleVersion): Promise<void> {
  const name = formatModuleVersion(module)
  const keys = [modPrefix + name, infoPrefix + name].filter((key) => journal.has(key))
  await Promise.all(keys.map((key) => journal.put({ key, meta: '', bytes: undefined })))
}

/** Whether a journal key is that of a go.mod. */
export function isModKey(key: string): boolean {
  return key.startsWith(modPrefix)
}

/** The module version of which a journal key holds the go.mod; undefined for other keys. */
export function moduleOfModKey(key: string): ModuleVersion | undefined {
  return isModKey(key) ? parsePathAtVersion(key.slice(modPrefix.length)) : undefined
}

/** Whether the journal holds a go.mod. */
export function hasMod(journal: MetaJournal, module: ModuleVersion): boolean {
  return journal.has(modPrefix + formatModuleVersion(module))
}

function formatMod(key: string, mod: StoredMod): JournalRecord {
  return { key, meta: JSON.stringify({ hash: mod.hash, proof: mod.proof }), bytes: mod.bytes }
}

function formatInfo(key: string, info: StoredInfo): JournalRecord {
  return { key, meta: JSON.stringify({ from: info.from }), bytes: info.bytes }
}

/** What was read of a record that the journal keeps in memory: a hit hashes nothing anew. */
const parsedMods = new WeakMap<JournalRecord, StoredMod>()

function parseMod(record: JournalRecord | undefined): StoredMod | undefined {
  if (record === undefined) return undefined
  const parsed = parsedMods.get(record) ?? hashedMod(record)
  if (parsed !== undefined) parsedMods.set(record, parsed)
  return parsed
}

/** The hash is computed again: rot or a wrong caller cannot get past it. */
function hashedMod(record: JournalRecord): StoredMod | undefined {
  if (record.bytes === undefined) return undefined
  const fields: unknown = JSON.parse(record.meta)
  if (!isObject(fields)) return undefined
  const proof: Proof | undefined = parseProof(fields.proof)
  const hash: ModHash = hashMod(record.bytes)
  return proof === undefined || hash !== fields.hash
    ? undefined
    : { bytes: record.bytes, hash, proof }
}

function parseInfo(record: JournalRecord | undefined): StoredInfo | undefined {
  if (record?.bytes === undefined) return undefined
  const fields: unknown = JSON.parse(record.meta)
  if (!isObject(fields)) return undefined
  const { from } = fields
  return from === 'upstream' || from === 'peer' ? { bytes: record.bytes, from } : undefined
}

function isEqual(a: JournalRecord | undefined, b: JournalRecord): boolean {
  if (a?.bytes === undefined || b.bytes === undefined) return false
  return a.meta === b.meta && Buffer.compare(a.bytes, b.bytes) === 0
}
