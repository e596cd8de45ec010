import { type RecordProof, RemoteError } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { maxProofHashes } from './limits.ts'

/** Names the shape of the object. */
const schema = 'modmesh.record/1'

/** Writes a checksum-database record with its proof as JSON. */
export function formatRecordObject(module: ModuleVersion, record: RecordProof): Uint8Array {
  const { database, id, text, hashes, head } = record
  const fields = {
    schema,
    module: formatModuleVersion(module),
    database,
    id,
    text,
    hashes: hashes.map((hash) => Buffer.from(hash).toString('base64')),
    head,
  }
  return Buffer.from(`${JSON.stringify(fields, undefined, 2)}\n`)
}

/** Reads what `formatRecordObject` wrote. Nothing in it is verified. Throws RemoteError (wrong). */
export function parseRecordObject(module: ModuleVersion, bytes: Uint8Array): RecordProof {
  const fields = parseJson(bytes)
  const { database, id, text, hashes, head } = fields
  if (fields['schema'] !== schema || fields['module'] !== formatModuleVersion(module)) {
    throw wrong('is not the record of this module version')
  }
  if (typeof database !== 'string' || typeof text !== 'string' || typeof head !== 'string') {
    throw wrong('lacks a text')
  }
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) throw wrong('has no number')
  if (!Array.isArray(hashes) || hashes.length > maxProofHashes) throw wrong('has no proof')
  return { database, id, text, hashes: hashes.map(parseHash), head }
}

function parseJson(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch (cause) {
    throw new RemoteError('is no JSON', { fault: 'wrong', cause })
  }
  throw wrong('is no JSON object')
}

function parseHash(text: unknown): Uint8Array {
  const hash = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  if (hash?.length !== 32) throw wrong('has a hash of another length')
  return hash
}

function wrong(reason: string): RemoteError {
  return new RemoteError(reason, { fault: 'wrong' })
}
