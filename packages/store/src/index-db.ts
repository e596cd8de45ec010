import { crc32 } from 'node:zlib'
import { parseZipDigest, type ZipDigest } from '@modmesh/module'
import { Level } from 'level'
import type { Disk } from './disk.ts'
import { asError } from './errors.ts'
import type { Layout } from './layout.ts'
import { indexProbationMs, maxIndexDeaths } from './limits.ts'
import type { JournalChange, JournalStamp } from './meta-journal.ts'
import type { ReportEvent } from './store-event.ts'
import { formatZipRecord, isObject, parseZipRecord, type ZipRecord } from './zip-record.ts'
import type { ZipUse } from './zip-shelf.ts'

/** A zip as the index remembers it. */
export interface IndexedZip {
  readonly record: ZipRecord
  /** The file's identity when its bytes were last known to be right. */
  readonly stamp: string | undefined
}

/** All that the index knew at start. */
export interface IndexContents {
  readonly zips: ReadonlyMap<ZipDigest, IndexedZip>
  readonly uses: ReadonlyMap<ZipDigest, ZipUse>
  readonly journal:
    | { readonly places: Map<string, number>; readonly stamp: JournalStamp }
    | undefined
}

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

const zipPrefix = 'z!'
const usePrefix = 'u!'
const placePrefix = 'm!'
const stampKey = '!stamp'
const empty: IndexContents = { zips: new Map(), uses: new Map(), journal: undefined }

/**
 * What the files say, in a form that is quick to read at start. Never the truth: level returns
 * wrong data after a flipped bit, opens without its newest writes, or kills the process. So each
 * value carries its key and a checksum, the journal's part has a sum over everything, zips are
 * compared with the folder, and whoever finds something wrong throws the whole index away.
 */
export class IndexDb implements AsyncDisposable {
  readonly #disk: Disk
  readonly #layout: Layout
  readonly #report: ReportEvent
  readonly #db: Level | undefined
  #tail: Promise<void> = Promise.resolve()
  #isBroken = false
  readonly #probation: NodeJS.Timeout

  /** Takes over an open database; undefined forgets everything it is told. */
  constructor(
    components: { readonly disk: Disk; readonly report: ReportEvent },
    layout: Layout,
    db: Level | undefined,
  ) {
    this.#disk = components.disk
    this.#report = components.report
    this.#layout = layout
    this.#db = db
    this.#probation = setTimeout(() => {
      this.#enqueue(() => writeDeaths(this.#disk, this.#layout, 0))
    }, indexProbationMs)
    this.#probation.unref()
  }

  /**
   * Opens the index or begins a new one; `contents` is what can be believed of it. Where no index
   * can be had (a full disk), the store runs without: `index-failed` is reported.
   */
  static async open(
    components: { readonly disk: Disk; readonly report: ReportEvent },
    layout: Layout,
  ): Promise<{ readonly index: IndexDb; readonly contents: IndexContents }> {
    try {
      return await openOrRenew(components, layout)
    } catch (error) {
      components.report({ kind: 'index-failed', error: asError(error) })
      return { index: new IndexDb(components, layout, undefined), contents: empty }
    }
  }

  putZip(zip: IndexedZip): void {
    const value = JSON.stringify({ record: formatZipRecord(zip.record), stamp: zip.stamp })
    this.#write([putOperation(zipPrefix + zip.record.zipDigest, value)])
  }

  dropZip(digest: ZipDigest): void {
    this.#write([
      { type: 'del', key: zipPrefix + digest },
      { type: 'del', key: usePrefix + digest },
    ])
  }

  putUses(uses: readonly (ZipUse & { readonly digest: ZipDigest })[]): void {
    this.#write(
      uses.map(({ digest, usedMs, checkedMs }) =>
        putOperation(usePrefix + digest, JSON.stringify([usedMs, checkedMs])),
      ),
    )
  }

  putPlaces(changes: readonly JournalChange[], stamp: JournalStamp): void {
    const operations = changes.map(({ key, place }): Operation => {
      if (place === undefined) return { type: 'del', key: placePrefix + key }
      return putOperation(placePrefix + key, String(place))
    })
    this.#write([...operations, putOperation(stampKey, JSON.stringify(stamp))])
  }

  /** Replaces what is known of the journal. */
  resetPlaces(places: ReadonlyMap<string, number>, stamp: JournalStamp): void {
    this.#enqueue((db) => db.clear({ gte: placePrefix, lt: 'm"' }))
    this.putPlaces(
      [...places].map(([key, place]) => ({ key, place })),
      stamp,
    )
  }

  /** Waits for what was written so far. */
  async idle(): Promise<void> {
    await this.#tail
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#probation)
    await this.#tail
    if (this.#db === undefined) return
    await this.#db.close()
    await writeDeaths(this.#disk, this.#layout, this.#isBroken ? maxIndexDeaths : 0)
  }

  #write(operations: Operation[]): void {
    this.#enqueue((db) => db.batch(operations))
  }

  /** In order and behind everybody's back: nobody waits for the index, the files are the truth. */
  #enqueue(work: (db: Level) => Promise<void>): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#isBroken || this.#db === undefined) return
      try {
        await work(this.#db)
      } catch (error) {
        this.#isBroken = true
        this.#report({ kind: 'index-failed', error: asError(error) })
      }
    })
  }
}

async function openOrRenew(
  components: { readonly disk: Disk; readonly report: ReportEvent },
  layout: Layout,
): Promise<{ readonly index: IndexDb; readonly contents: IndexContents }> {
  const deaths = await readDeaths(components.disk, layout)
  const isWorthTrying = deaths !== undefined && deaths < maxIndexDeaths
  // Counted before level is touched: it may abort the process.
  await writeDeaths(components.disk, layout, isWorthTrying ? deaths + 1 : 1)
  const old = isWorthTrying ? await tryOpen(layout) : undefined
  const contents = old === undefined ? undefined : await readAll(old)
  if (old !== undefined && contents !== undefined) {
    return { index: new IndexDb(components, layout, old), contents }
  }
  await old?.close()
  if (deaths !== undefined) {
    const reason = isWorthTrying ? 'the index is damaged' : `${deaths} starts ended early`
    components.report({ kind: 'index-rebuilt', reason })
  }
  await moveAside(components.disk, layout)
  // Level would make it for everybody to read.
  await components.disk.mkdir(layout.index)
  const db = new Level(layout.index, { createIfMissing: true })
  await db.open()
  return { index: new IndexDb(components, layout, db), contents: empty }
}

async function tryOpen(layout: Layout): Promise<Level | undefined> {
  const db = new Level(layout.index, { createIfMissing: false })
  try {
    await db.open()
    return db
  } catch {
    // Damaged or missing: both are met by a new one.
    return undefined
  }
}

/** Everything in the index; undefined when any of it is not as it was written. */
async function readAll(db: Level): Promise<IndexContents | undefined> {
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

function putOperation(key: string, value: string): Operation {
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

/** Deaths since the index last proved sound; undefined when there is no index yet. */
async function readDeaths(disk: Disk, layout: Layout): Promise<number | undefined> {
  const bytes = await disk.readFile(layout.indexState, 1024)
  if (bytes === undefined) return undefined
  const deaths = Number.parseInt(Buffer.from(bytes).toString('latin1'), 10)
  return Number.isSafeInteger(deaths) ? deaths : maxIndexDeaths
}

/** Not fsynced: it is about processes that die, not about power. */
async function writeDeaths(disk: Disk, layout: Layout, deaths: number): Promise<void> {
  const temporary = `${layout.indexState}.tmp`
  const file = await disk.open(temporary, 'write')
  try {
    await file.truncate(0)
    await file.write(Buffer.from(`${deaths}\n`), 0)
  } finally {
    await file.close()
  }
  await disk.rename(temporary, layout.indexState)
}

/** Keeps the last bad index for somebody to look at. */
async function moveAside(disk: Disk, layout: Layout): Promise<void> {
  if ((await disk.identity(layout.index)) === undefined) return
  const aside = `${layout.index}.bad`
  await disk.remove(aside)
  await disk.rename(layout.index, aside)
}
