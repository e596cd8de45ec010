import { ByteLru } from '@modmesh/fill'
import type { Disk } from './disk.ts'
import { asError, StoreWriteError } from './errors.ts'
import { type JournalChange, JournalContents, type JournalStamp } from './journal-contents.ts'
import { type JournalRecord, segmentHeaderBytes } from './journal-frame.ts'
import { offsetOf, segmentOf } from './journal-place.ts'
import {
  appendRecords,
  changeOf,
  createSegment,
  listSegments,
  openSegment,
  readRecord,
  type Segment,
  scanSegment,
  segmentPath,
} from './journal-segment.ts'
import { maxGroupBytes, maxSegmentBytes, minCompactBytes, recordCacheBytes } from './limits.ts'
import type { ReportEvent } from './store-event.ts'

export interface JournalInit {
  readonly folder: string
  /** What the index knows; undefined reads all segments. */
  readonly known: { readonly places: Map<string, number>; readonly stamp: JournalStamp } | undefined
  /** Below this nothing is compacted; the default is the named limit. Bytes. */
  readonly minCompactBytes?: number
  /** Called after a group is durable. */
  readonly onChanges: (changes: readonly JournalChange[], stamp: JournalStamp) => void
}

interface Pending {
  readonly record: JournalRecord
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Records copied at a time while compacting: bounds memory. */
const compactGroup = 64

/**
 * Many small records in append-only files. Records written at the same time share one write and
 * one fsync: while one group is on its way, the next one gathers, so nothing waits longer than the
 * disk needs. Every place in memory was durable before it got there.
 */
export class MetaJournal {
  readonly #disk: Disk
  readonly #report: ReportEvent
  readonly #init: JournalInit
  readonly #segments = new Map<number, Segment>()
  readonly #cache = new ByteLru<JournalRecord>(recordCacheBytes)
  #contents = new JournalContents()
  #active: Segment | undefined
  #lastNumber = 0
  #queue: Pending[] = []
  #flushing: Promise<void> | undefined

  private constructor(
    components: { readonly disk: Disk; readonly report: ReportEvent },
    init: JournalInit,
  ) {
    this.#disk = components.disk
    this.#report = components.report
    this.#init = init
  }

  /** Opens the segments, cuts a torn tail, reads what the index does not know, compacts when worth it. */
  static async open(
    components: { readonly disk: Disk; readonly report: ReportEvent },
    init: JournalInit,
  ): Promise<MetaJournal> {
    const journal = new MetaJournal(components, init)
    try {
      await journal.#load()
      await journal.#compact()
      return journal
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  keys(): IterableIterator<string> {
    return this.#contents.places.keys()
  }

  has(key: string): boolean {
    return this.#contents.places.has(key)
  }

  /** What an index must know to start from here. */
  stamp(): JournalStamp {
    const { frames, places, sum } = this.#contents
    const { number: segment = 0, end = 0 } = this.#active ?? {}
    return { segment, end, frames, keys: places.size, sum }
  }

  /** Every key with its place, for a new index. */
  places(): ReadonlyMap<string, number> {
    return this.#contents.places
  }

  /** Reads a record; undefined when absent or damaged (which is reported). */
  async get(key: string): Promise<JournalRecord | undefined> {
    const cached = this.#cache.get(key)
    if (cached !== undefined) return cached
    const place = this.#contents.places.get(key)
    if (place === undefined) return undefined
    const record = await this.#readPlace(key, place)
    if (this.#contents.places.get(key) === place && record !== undefined) this.#remember(record)
    return record
  }

  /** Appends; resolves when durable. Rejects with StoreWriteError, and then nothing has changed. */
  put(record: JournalRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, resolve, reject })
      this.#flushing ??= this.#flushAll()
    })
  }

  async close(): Promise<void> {
    await this.#flushing
    for (const segment of this.#segments.values()) await segment.file.close()
    this.#segments.clear()
  }

  async #readPlace(key: string, place: number): Promise<JournalRecord | undefined> {
    const segment = this.#segments.get(segmentOf(place))
    const offset = offsetOf(place)
    const record = segment === undefined ? undefined : await readRecord(segment, offset)
    if (record?.key === key) return record
    if (this.#contents.places.get(key) === place) {
      this.#report({ kind: 'record-damaged', segment: segment?.path ?? '', offset })
      this.#change({ key, place: undefined })
      this.#init.onChanges([{ key, place: undefined }], this.stamp())
    }
    return undefined
  }

  #remember(record: JournalRecord): void {
    const bytes = record.key.length + record.meta.length + (record.bytes?.length ?? 0)
    this.#cache.set(record.key, record, bytes + 200)
  }

  #change(change: JournalChange): void {
    this.#cache.delete(change.key)
    this.#contents.change(change)
  }

  async #flushAll(): Promise<void> {
    // Whatever is put in the same turn goes into the same group.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) await this.#flushGroup(this.#takeGroup())
    this.#flushing = undefined
  }

  #takeGroup(): Pending[] {
    let bytes = 0
    let count = 0
    for (const { record } of this.#queue) {
      bytes += (record.bytes?.length ?? 0) + record.key.length
      if (count > 0 && bytes > maxGroupBytes) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #flushGroup(group: readonly Pending[]): Promise<void> {
    try {
      const segment = await this.#writableSegment()
      const records = group.map(({ record }) => record)
      const changes = await appendRecords(segment, records)
      this.#contents.frames += group.length
      for (const [i, change] of changes.entries()) {
        this.#change(change)
        const record = records[i]
        if (record?.bytes !== undefined) this.#remember(record)
      }
      this.#init.onChanges(changes, this.stamp())
      for (const { resolve } of group) resolve()
    } catch (error) {
      await this.#abandonActive()
      for (const { reject } of group) reject(new StoreWriteError('a record', error))
    }
  }

  async #writableSegment(): Promise<Segment> {
    if (this.#active !== undefined && this.#active.end < maxSegmentBytes) return this.#active
    // A number is never used twice: after a failure nobody knows what that file holds.
    const number = ++this.#lastNumber
    this.#active = await createSegment(this.#disk, this.#init.folder, number)
    this.#segments.set(number, this.#active)
    return this.#active
  }

  /** After a failed write or fsync nobody knows what the file holds: it is never appended to again. */
  async #abandonActive(): Promise<void> {
    const segment = this.#active
    if (segment === undefined) return
    this.#active = undefined
    try {
      await segment.file.truncate(segment.end)
    } catch (error) {
      // The next scan skips what is left there.
      this.#report({ kind: 'tidy-failed', path: segment.path, error: asError(error) })
    }
  }

  async #load(): Promise<void> {
    const numbers = await listSegments(this.#disk, this.#init.folder)
    this.#lastNumber = numbers.at(-1) ?? 0
    for (const number of numbers) {
      const segment = await openSegment(this.#disk, this.#init.folder, number)
      if (segment === undefined) await this.#disk.remove(segmentPath(this.#init.folder, number))
      else this.#segments.set(number, segment)
    }
    const start = this.#adoptKnown()
    const last = numbers.findLast((number) => this.#segments.has(number))
    for (const segment of this.#segments.values()) {
      const isLast = segment.number === last
      if (segment.number > start.segment) await this.#replay(segment, segmentHeaderBytes, isLast)
      else if (segment.number === start.segment) await this.#replay(segment, start.end, isLast)
      if (isLast) this.#active = segment
    }
  }

  /** Takes over what the index knows, when it is whole and the files go as far. */
  #adoptKnown(): { readonly segment: number; readonly end: number } {
    const { known } = this.#init
    if (known === undefined) return { segment: 0, end: 0 }
    const { stamp, places } = known
    const end = this.#segments.get(stamp.segment)?.end ?? 0
    const contents = new JournalContents(places, stamp.frames)
    const isPlaced = [...places.values()].every((place) => this.#segments.has(segmentOf(place)))
    const isWhole = isPlaced && places.size === stamp.keys && contents.sum === stamp.sum
    if (!isWhole || (end < stamp.end && stamp.segment !== 0)) {
      this.#report({ kind: 'index-rebuilt', reason: 'the index does not fit the journal' })
      return { segment: 0, end: 0 }
    }
    this.#contents = contents
    return stamp
  }

  async #replay(segment: Segment, from: number, isLast: boolean): Promise<void> {
    let goodEnd = from
    let damaged: number[] = []
    for await (const found of scanSegment(segment, from)) {
      if (found.kind === 'damaged') {
        damaged.push(found.at)
        continue
      }
      for (const offset of damaged) {
        this.#report({ kind: 'record-damaged', segment: segment.path, offset })
      }
      damaged = []
      goodEnd = found.end
      this.#contents.frames++
      this.#change(changeOf(segment, found))
    }
    // Damage with nothing sound after it is the tail of a write that a crash cut short.
    if (!isLast || goodEnd === segment.end) return
    await segment.file.truncate(goodEnd)
    await segment.file.fsync()
    segment.end = goodEnd
  }

  /** Copies what is live into new segments, when more than half is not. */
  async #compact(): Promise<void> {
    const bytes = [...this.#segments.values()].reduce((sum, segment) => sum + segment.end, 0)
    const worthBytes = this.#init.minCompactBytes ?? minCompactBytes
    if (bytes < worthBytes || this.#contents.frames < 2 * this.#contents.places.size) return
    const old = [...this.#segments.values()]
    try {
      await this.#copyAll()
    } catch (error) {
      // A full disk: the old segments stay, and all places are right wherever they point.
      this.#report({ kind: 'tidy-failed', path: this.#init.folder, error: asError(error) })
      return
    }
    for (const segment of old) {
      await segment.file.close()
      this.#segments.delete(segment.number)
      await this.#disk.remove(segment.path)
    }
    await this.#disk.fsyncFolder(this.#init.folder)
  }

  async #copyAll(): Promise<void> {
    this.#contents.frames = 0
    this.#active = undefined
    const keys = [...this.#contents.places.keys()]
    for (let i = 0; i < keys.length; i += compactGroup) {
      const group = keys.slice(i, i + compactGroup)
      const records = await Promise.all(group.map((key) => this.get(key)))
      const live = records.filter((record) => record !== undefined)
      await Promise.all(live.map((record) => this.put(record)))
    }
  }
}
