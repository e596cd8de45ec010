import { hash } from 'node:crypto'
import type { Proof } from '@modmesh/fill'
import {
  type ModuleVersion,
  parseModuleVersion,
  parseZipDigest,
  parseZipHash,
  type ZipDigest,
  type ZipHash,
} from '@modmesh/module'

/** What is written beside a zip: all that the index knows of it can be read again from here. */
export interface ZipRecord {
  readonly module: ModuleVersion
  readonly size: number
  readonly zipHash: ZipHash
  readonly zipDigest: ZipDigest
  readonly proof: Proof
  /** Milliseconds since 1970, by the clock of the time. */
  readonly committedMs: number
}

/** Writes a record: one line of JSON, one line with its SHA-256. */
export function formatZipRecord(record: ZipRecord): string {
  const json = JSON.stringify({
    format: 1,
    path: record.module.path,
    version: record.module.version,
    size: record.size,
    zipHash: record.zipHash,
    zipDigest: record.zipDigest,
    proof: record.proof,
    committedMs: record.committedMs,
  })
  return `${json}\n${hash('sha256', json)}\n`
}

/** Reads a record; undefined when anything in it is not as it was written. */
export function parseZipRecord(text: string): ZipRecord | undefined {
  const end = text.indexOf('\n')
  const json = text.slice(0, Math.max(end, 0))
  if (text.slice(end + 1) !== `${hash('sha256', json)}\n`) return undefined
  try {
    return readFields(JSON.parse(json))
  } catch {
    // Sound bytes of a format that we do not know: the same as no record.
    return undefined
  }
}

function readFields(value: unknown): ZipRecord | undefined {
  if (!isObject(value) || value.format !== 1) return undefined
  const proof = parseProof(value.proof)
  const { path, version, size, zipHash, zipDigest, committedMs } = value
  if (typeof path !== 'string' || typeof version !== 'string') return undefined
  if (typeof zipHash !== 'string' || typeof zipDigest !== 'string') return undefined
  if (typeof size !== 'number' || typeof committedMs !== 'number') return undefined
  if (proof === undefined) return undefined
  return {
    module: parseModuleVersion(path, version),
    size,
    zipHash: parseZipHash(zipHash),
    zipDigest: parseZipDigest(zipDigest),
    proof,
    committedMs,
  }
}

/** Reads a proof as it is stored; undefined when it is none. */
export function parseProof(value: unknown): Proof | undefined {
  if (!isObject(value)) return undefined
  const { kind, database, record } = value
  if (kind === 'go-sum' || kind === 'upstream') return { kind }
  if (kind === 'publisher') return parsePublisher(value)
  if (kind !== 'checksum-db') return undefined
  if (typeof database !== 'string' || typeof record !== 'number') return undefined
  return { kind, database, record }
}

function parsePublisher({ peer, name }: Record<string, unknown>): Proof | undefined {
  if (typeof peer !== 'string' || typeof name !== 'string') return undefined
  return { kind: 'publisher', peer, name }
}

/** Orders proofs by what they are worth: an upstream's word gives way to any other. */
export function isStrongerProof(a: Proof, b: Proof): boolean {
  const worth = { 'checksum-db': 3, 'go-sum': 2, publisher: 1, upstream: 0 } as const
  return worth[a.kind] > worth[b.kind]
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
