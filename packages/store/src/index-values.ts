import { crc32 } from 'node:zlib'
import { parseZipDigest, type ZipDigest } from '@modmesh/module'
import type { Level } from 'level'
import type { JournalStamp } from './journal-contents.ts'
import { formatZipRecord, isObject, parseZipRecord, type ZipRecord } from './zip-record.ts'
import type { ZipUse } from './zip-shelf.ts'

/** A zip as the index remembers it. */
export interface IndexedZip {
  readonly record: ZipRecord
  /** The file's identity when its bytes were last known to be right. */
  readonly stamp: string | undefined
}

/** When a zip was used. */
export interface IndexedUse extends ZipUse {
  readonly digest: ZipDigest
}

/** All that the index knew at start. */
export interface IndexContents {
  readonly zips: ReadonlyMap<ZipDigest, IndexedZip>
  readonly uses: ReadonlyMap<ZipDigest, ZipUse>
  readonly journal:
    | { readonly places: Map<string, number>; readonly stamp: JournalStamp }
    | undefined
}

/** One write to the index. */
export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

const zipPrefix = 'z!'
const usePrefix = 'u!'
const placePrefix = 'm!'
const stampKey = '!stamp'

/** The keys of all places. */
export const allPlaces: { readonly gte: string; readonly lt: string } = {
  gte: placePrefix,
  lt: 'm"',
}

export function putZip({ record, stamp }: IndexedZip): Operation {
  const value = JSON.stringify({ record: formatZipRecord(record), stamp })
  return put(zipPrefix + record.zipDigest, value)
}

export function dropZip(digest: ZipDigest): Operation[] {
  return [
    { type: 'del', key: zipPrefix + digest },
    { type: 'del', key: usePrefix + digest },
  ]
}

export function putUse({ digest, usedMs, checkedMs }: IndexedUse): Operation {
  return put(usePrefix + digest, JSON.stringify([usedMs, checkedMs]))
}

/** An undefined place: the key was dropped. */
export function putPlace(key: string, place: number | undefined): Operation {
  if (place === undefined) return { type: 'del', key: placePrefix + key }
  return put(placePrefix + key, String(place))
}

export function putStamp(stamp: JournalStamp): Operation {
  return put(stampKey, JSON.stringify(stamp))
}

/** Everything in the index; undefined when any of it is not as it was written. */
export async function readAll(db: Level): Promise<IndexContents | undefined> {
  const zips = new Map<ZipDigest, IndexedZip>()
  const uses = new Map<ZipDigest, ZipUse>()
  const places = new Map<string, number>()
  let stamp: JournalStamp | undefined
  try {
    for await (const [key, sealed] of db.iterator()) {
      const value = unseal(key, sealed)
      if (value === undefined) return undefined
      if (key === stampKey) stamp = parseStamp(value)
      else if (key.startsWith(placePrefix)) places.set(key.slice(2), Number(value))
      else if (key.startsWith(usePrefix)) addUse(uses, key.slice(usePrefix.length), value)
      else addZip(zips, value)
    }
  } catch {
    // Level found damage itself.
    return undefined
  }
  return { zips, uses, journal: stamp === undefined ? undefined : { places, stamp } }
}

function addZip(zips: Map<ZipDigest, IndexedZip>, value: string): void {
  const fields: unknown = JSON.parse(value)
  if (!isObject(fields) || typeof fields.record !== 'string') return
  const record = parseZipRecord(fields.record)
  const stamp = typeof fields.stamp === 'string' ? fields.stamp : undefined
  if (record !== undefined) zips.set(record.zipDigest, { record, stamp })
}

function addUse(uses: Map<ZipDigest, ZipUse>, digest: string, value: string): void {
  const times: unknown = JSON.parse(value)
  if (!Array.isArray(times)) return
  const [usedMs, checkedMs]: unknown[] = times
  if (typeof usedMs !== 'number' || typeof checkedMs !== 'number') return
  uses.set(parseZipDigest(digest), { usedMs, checkedMs })
}

function parseStamp(value: string): JournalStamp | undefined {
  const fields: unknown = JSON.parse(value)
  if (!isObject(fields)) return undefined
  const { segment, end, frames, keys, sum } = fields
  if (typeof segment !== 'number' || typeof end !== 'number' || typeof sum !== 'number') {
    return undefined
  }
  if (typeof frames !== 'number' || typeof keys !== 'number') return undefined
  return { segment, end, frames, keys, sum }
}

function put(key: string, value: string): Operation {
  return { type: 'put', key, value: `${checkOf(key, value)} ${value}` }
}

function unseal(key: string, sealed: string): string | undefined {
  const space = sealed.indexOf(' ')
  const value = sealed.slice(space + 1)
  return sealed.slice(0, Math.max(space, 0)) === checkOf(key, value) ? value : undefined
}

/** Covers the key, so that a value found under another key is noticed. */
function checkOf(key: string, value: string): string {
  return crc32(`${key}\n${value}`).toString(16)
}
