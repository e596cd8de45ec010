import { Level } from 'level'
import type { Disk } from './disk.ts'
import { type IndexContents, readAll } from './index-values.ts'
import type { Layout } from './layout.ts'
import { maxIndexDeaths } from './limits.ts'
import type { ReportEvent } from './store-event.ts'

/** An open index, and what of it can be believed. */
export interface OpenedIndex {
  readonly db: Level
  readonly contents: IndexContents
}

/** What a store without an index knows. */
export const nothingIndexed: IndexContents = {
  zips: new Map(),
  uses: new Map(),
  journal: undefined,
}

/** Opens the index, or begins a new one where there is none that can be believed. */
export async function openIndex(
  { disk, report }: { readonly disk: Disk; readonly report: ReportEvent },
  layout: Layout,
): Promise<OpenedIndex> {
  const deaths = await readDeaths(disk, layout)
  const isWorthTrying = deaths !== undefined && deaths < maxIndexDeaths
  // Counted before level is touched: it may abort the process.
  await writeDeaths(disk, layout, isWorthTrying ? deaths + 1 : 1)
  const old = isWorthTrying ? await tryOpen(layout) : undefined
  const contents = old === undefined ? undefined : await readAll(old)
  if (old !== undefined && contents !== undefined) return { db: old, contents }
  await old?.close()
  if (deaths !== undefined) {
    const reason = isWorthTrying ? 'the index is damaged' : `${deaths} starts ended early`
    report({ kind: 'index-rebuilt', reason })
  }
  await moveAside(disk, layout)
  return { db: await createIndex(disk, layout), contents: nothingIndexed }
}

/** Replaces the index by an empty one. The old one is not kept: a full disk has no room for both. */
export async function renewIndex(disk: Disk, layout: Layout): Promise<Level> {
  await writeDeaths(disk, layout, 1)
  await disk.remove(layout.index)
  return await createIndex(disk, layout)
}

async function createIndex(disk: Disk, layout: Layout): Promise<Level> {
  // Level would make it for everybody to read.
  await disk.mkdir(layout.index)
  const db = new Level(layout.index, { createIfMissing: true })
  await db.open()
  return db
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

/** Deaths since the index last proved sound; undefined when there is no index yet. */
async function readDeaths(disk: Disk, layout: Layout): Promise<number | undefined> {
  const bytes = await disk.readFile(layout.indexState, 1024)
  if (bytes === undefined) return undefined
  const deaths = Number.parseInt(Buffer.from(bytes).toString('latin1'), 10)
  return Number.isSafeInteger(deaths) ? deaths : maxIndexDeaths
}

/** Not fsynced: it is about processes that die, not about power. */
export async function writeDeaths(disk: Disk, layout: Layout, deaths: number): Promise<void> {
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
