import type { ZipDigest } from '@modmesh/module'
import type { Level } from 'level'
import type { Disk } from './disk.ts'
import { asError } from './errors.ts'
import { nothingIndexed, openIndex, renewIndex, writeDeaths } from './index-files.ts'
import {
  allPlaces,
  dropZip,
  type IndexContents,
  type IndexedUse,
  type IndexedZip,
  type Operation,
  putPlace,
  putStamp,
  putUse,
  putZip,
} from './index-values.ts'
import type { JournalChange, JournalStamp } from './journal-contents.ts'
import type { Layout } from './layout.ts'
import { indexProbationMs, indexRetryMs, maxIndexBatch, maxIndexDeaths } from './limits.ts'
import type { ReportEvent } from './store-event.ts'

/** All that an index has to know. */
export interface WholeIndex {
  readonly zips: readonly IndexedZip[]
  readonly uses: readonly IndexedUse[]
  readonly places: ReadonlyMap<string, number>
  readonly stamp: JournalStamp
}

interface IndexComponents {
  readonly disk: Disk
  readonly report: ReportEvent
}

/**
 * What the files say, in a form that is quick to read at start. Never the truth: level returns
 * wrong data after a flipped bit, opens without its newest writes, or kills the process. So each
 * value carries its key and a checksum, the journal's part has a sum over everything, zips are
 * compared with the folder, and whoever finds something wrong throws the whole index away.
 */
export class IndexDb implements AsyncDisposable {
  readonly #components: IndexComponents
  readonly #layout: Layout
  #db: Level | undefined
  #tail: Promise<void> = Promise.resolve()
  #isSound: boolean
  #isClosed = false
  #whole: (() => WholeIndex) | undefined
  #probation: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined

  private constructor(components: IndexComponents, layout: Layout, db: Level | undefined) {
    this.#components = components
    this.#layout = layout
    this.#db = db
    this.#isSound = db !== undefined
    if (db !== undefined) this.#beginProbation()
  }

  /**
   * Opens the index or begins a new one; `contents` is what can be believed of it. Where no index
   * can be had (a full disk), the store runs without: `index-failed` is reported.
   */
  static async open(
    components: IndexComponents,
    layout: Layout,
  ): Promise<{ readonly index: IndexDb; readonly contents: IndexContents }> {
    try {
      const { db, contents } = await openIndex(components, layout)
      return { index: new IndexDb(components, layout, db), contents }
    } catch (error) {
      components.report({ kind: 'index-failed', error: asError(error) })
      return { index: new IndexDb(components, layout, undefined), contents: nothingIndexed }
    }
  }

  /** From now on an index that could not be had or written is made anew, as soon as that works. */
  renewFrom(whole: () => WholeIndex): void {
    this.#whole = whole
    if (!this.#isSound) this.#renewLater()
  }

  putZip(zip: IndexedZip): void {
    this.#write([putZip(zip)])
  }

  dropZip(digest: ZipDigest): void {
    this.#write(dropZip(digest))
  }

  putUses(uses: readonly IndexedUse[]): void {
    this.#write(uses.map(putUse))
  }

  putPlaces(changes: readonly JournalChange[], stamp: JournalStamp): void {
    this.#write([...changes.map(({ key, place }) => putPlace(key, place)), putStamp(stamp)])
  }

  /** Replaces what is known of the journal. */
  resetPlaces(places: ReadonlyMap<string, number>, stamp: JournalStamp): void {
    const operations = [...placeOperations(places), putStamp(stamp)]
    this.#enqueue(async (db) => {
      await db.clear(allPlaces)
      await writeAll(db, operations)
    })
  }

  /** Waits for what was written so far. */
  async idle(): Promise<void> {
    await this.#tail
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#probation)
    clearTimeout(this.#retry)
    await this.#tail
    if (this.#db === undefined) return
    await this.#db.close()
    const { disk } = this.#components
    await writeDeaths(disk, this.#layout, this.#isSound ? 0 : maxIndexDeaths)
  }

  #write(operations: Operation[]): void {
    this.#enqueue((db) => db.batch(operations))
  }

  /** In order and behind everybody's back: nobody waits for the index, the files are the truth. */
  #enqueue(work: (db: Level) => Promise<void>): void {
    this.#tail = this.#tail.then(async () => {
      if (!this.#isSound || this.#db === undefined) return
      try {
        await work(this.#db)
      } catch (error) {
        this.#isSound = false
        this.#components.report({ kind: 'index-failed', error: asError(error) })
        this.#renewLater()
      }
    })
  }

  #beginProbation(): void {
    this.#probation = setTimeout(() => {
      this.#enqueue(() => writeDeaths(this.#components.disk, this.#layout, 0))
    }, indexProbationMs)
    this.#probation.unref()
  }

  #renewLater(): void {
    if (this.#isClosed || this.#whole === undefined) return
    clearTimeout(this.#probation)
    this.#retry = setTimeout(() => {
      this.#tail = this.#tail.then(() => this.#renew())
    }, indexRetryMs)
    this.#retry.unref()
  }

  /** Never rejects. What is enqueued meanwhile comes after it, and says again what it may know already. */
  async #renew(): Promise<void> {
    if (this.#isClosed || this.#whole === undefined) return
    try {
      await this.#db?.close()
      this.#db = undefined
      this.#db = await renewIndex(this.#components.disk, this.#layout)
      await writeAll(this.#db, wholeOperations(this.#whole()))
      this.#isSound = true
    } catch {
      // Why it cannot be written was told when it failed first.
      this.#renewLater()
      return
    }
    this.#components.report({ kind: 'index-rebuilt', reason: 'it can be written again' })
    this.#beginProbation()
  }
}

/** The stamp comes last: without it nothing that is said of the journal is believed. */
function wholeOperations({ zips, uses, places, stamp }: WholeIndex): readonly Operation[] {
  return [...zips.map(putZip), ...uses.map(putUse), ...placeOperations(places), putStamp(stamp)]
}

function placeOperations(places: ReadonlyMap<string, number>): readonly Operation[] {
  return Array.from(places, ([key, place]) => putPlace(key, place))
}

async function writeAll(db: Level, operations: readonly Operation[]): Promise<void> {
  for (let i = 0; i < operations.length; i += maxIndexBatch) {
    await db.batch(operations.slice(i, i + maxIndexBatch))
  }
}
