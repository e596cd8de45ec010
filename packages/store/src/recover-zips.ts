import { join } from 'node:path'
import { parseZipDigest, type ZipDigest } from '@modmesh/module'
import { concurrently } from './concurrently.ts'
import type { Disk } from './disk.ts'
import type { IndexContents, IndexedZip } from './index-values.ts'
import { type Layout, recordPath, zipFolder, zipPath } from './layout.ts'
import { maxRecordBytes, startConcurrency } from './limits.ts'
import { parseZipRecord, type ZipRecord } from './zip-record.ts'
import { isPreferred, shelvedZip, ZipShelf, type ZipUse } from './zip-shelf.ts'

/** What recovery needs and whom it tells. */
export interface RecoverComponents {
  readonly disk: Disk
  readonly layout: Layout
  /** Milliseconds since 1970. */
  readonly nowMs: number
  /** Writes a record beside a zip again. */
  readonly writeRecord: (record: ZipRecord) => Promise<void>
  readonly quarantine: (digest: ZipDigest, reason: string) => Promise<void>
}

interface Pair {
  hasZip: boolean
  hasRecord: boolean
}

/** What was found: the shelf, and how the index differs from it. */
export interface RecoveredZips {
  readonly shelf: ZipShelf
  readonly unindexed: readonly IndexedZip[]
  readonly gone: readonly ZipDigest[]
}

/**
 * Compares the zip folder with the index: the folder is right. Names alone are read for zips that
 * the index knows. Half pairs are completed from the index or put away; of two zips of one module
 * version one is kept.
 */
export async function recoverZips(
  components: RecoverComponents,
  { zips: indexed, uses }: Pick<IndexContents, 'zips' | 'uses'>,
): Promise<RecoveredZips> {
  const pairs = await listPairs(components)
  const found: IndexedZip[] = []
  const unindexed = new Set<IndexedZip>()
  await concurrently(pairs, startConcurrency, async ([digest, pair]) => {
    const known = indexed.get(digest)
    const zip = await settlePair(components, digest, pair, known)
    if (zip === undefined) return
    found.push(zip)
    if (zip !== known) unindexed.add(zip)
  })
  const { shelf, surplus } = await shelve(components, found, uses)
  const gone = [...indexed.keys()].filter((digest) => !pairs.has(digest))
  return {
    shelf,
    unindexed: [...unindexed].filter((zip) => !surplus.has(zip.record.zipDigest)),
    gone: [...gone, ...surplus],
  }
}

async function listPairs({ disk, layout }: RecoverComponents): Promise<Map<ZipDigest, Pair>> {
  const pairs = new Map<ZipDigest, Pair>()
  const folders: string[] = []
  await concurrently(await disk.list(layout.zips), startConcurrency, async (first) => {
    if (first.length !== 2) return
    for (const second of await disk.list(join(layout.zips, first))) {
      if (second.length === 2) folders.push(join(layout.zips, first, second))
    }
  })
  await concurrently(folders, startConcurrency, async (folder) => {
    for (const name of await disk.list(folder)) addName(pairs, layout, { folder, name })
  })
  return pairs
}

function addName(
  pairs: Map<ZipDigest, Pair>,
  layout: Layout,
  { folder, name }: { readonly folder: string; readonly name: string },
): void {
  const isRecord = name.endsWith('.json')
  const digest = asDigest(isRecord ? name.slice(0, -'.json'.length) : name)
  // Somebody else's file: none of our business.
  if (digest === undefined || zipFolder(layout, digest) !== folder) return
  const pair = pairs.get(digest) ?? { hasZip: false, hasRecord: false }
  if (isRecord) pair.hasRecord = true
  else pair.hasZip = true
  pairs.set(digest, pair)
}

function asDigest(name: string): ZipDigest | undefined {
  try {
    return parseZipDigest(name)
  } catch {
    return undefined
  }
}

async function settlePair(
  components: RecoverComponents,
  digest: ZipDigest,
  pair: Pair,
  known: IndexedZip | undefined,
): Promise<IndexedZip | undefined> {
  if (!pair.hasZip) {
    // The record goes first in a commit, and last in a removal.
    await components.disk.remove(recordPath(components.layout, digest))
    return undefined
  }
  if (known !== undefined) {
    if (!pair.hasRecord) await components.writeRecord(known.record)
    return known
  }
  const record = pair.hasRecord ? await readRecord(components, digest) : undefined
  if (record !== undefined) return { record, stamp: undefined }
  await components.quarantine(digest, 'its record is missing or damaged')
  return undefined
}

async function readRecord(
  { disk, layout }: RecoverComponents,
  digest: ZipDigest,
): Promise<ZipRecord | undefined> {
  const bytes = await disk.readFile(recordPath(layout, digest), maxRecordBytes)
  if (bytes === undefined) return undefined
  const record = parseZipRecord(Buffer.from(bytes).toString('utf8'))
  return record?.zipDigest === digest ? record : undefined
}

async function shelve(
  { disk, layout, nowMs }: RecoverComponents,
  found: readonly IndexedZip[],
  uses: IndexContents['uses'],
): Promise<{ readonly shelf: ZipShelf; readonly surplus: ReadonlySet<ZipDigest> }> {
  const shelf = new ZipShelf()
  const surplus = new Set<ZipDigest>()
  for (const { record, stamp } of found) {
    const other = shelf.find(record.module)?.record
    if (other !== undefined && isPreferred(other, record)) {
      surplus.add(record.zipDigest)
      continue
    }
    if (other !== undefined) surplus.add(other.zipDigest)
    shelf.put(shelvedZip({ record, stamp }, pastUse(record, uses.get(record.zipDigest), nowMs)))
  }
  for (const digest of surplus) {
    await disk.remove(zipPath(layout, digest))
    await disk.remove(recordPath(layout, digest))
  }
  return { shelf, surplus }
}

/** A clock that was wrong for a while must not keep a zip from eviction, or from being hashed, for years. */
function pastUse(
  { committedMs }: ZipRecord,
  { usedMs, checkedMs }: ZipUse = { usedMs: committedMs, checkedMs: committedMs },
  nowMs: number,
): ZipUse {
  return { usedMs: Math.min(usedMs, nowMs), checkedMs: checkedMs > nowMs ? 0 : checkedMs }
}
