import { maxZipBytes } from '@modmesh/module'
import { CommitQueue } from './commit-queue.ts'
import { type Disk, nodeDisk } from './disk.ts'
import { asError, StoreWriteError } from './errors.ts'
import { prepareFolders } from './folders.ts'
import { IndexDb, type WholeIndex } from './index-db.ts'
import type { Layout } from './layout.ts'
import { evictGraceMs } from './limits.ts'
import { Listeners } from './listeners.ts'
import { MetaJournal } from './meta-journal.ts'
import { Pins } from './pins.ts'
import { recoverZips } from './recover-zips.ts'
import { keepReserve, spendReserve } from './reserve.ts'
import { Scrub, type ScrubInit } from './scrub.ts'
import { SizeBudget } from './size-budget.ts'
import type { ReportEvent } from './store-event.ts'
import { StoreLock } from './store-lock.ts'
import { VerifyPool } from './verify-pool.ts'
import type { CommitHooks } from './zip-commit.ts'
import { quarantineFiles, writeRecordFile } from './zip-files.ts'
import type { ZipShelf } from './zip-shelf.ts'
import { useOf, ZipUses } from './zip-uses.ts'
import { type RemovedZip, ZipVault } from './zip-vault.ts'

/** How a store is opened. */
export interface StoreInit {
  /** The data directory. */
  readonly dir: string
  /** Told what somebody who runs the store should know. */
  readonly report?: ReportEvent
  /** Milliseconds since 1970; for the dates of commits. */
  readonly wallMs?: () => number
  /** Bytes of one zip; the default is what `go` accepts. */
  readonly maxZipBytes?: number
  /** Bytes of all zips, beyond which the longest unused ones are evicted; absent: what the disk takes. */
  readonly maxBytes?: number | undefined
  /** What was handed out or committed within this is not evicted, ms; the default is the named limit. */
  readonly evictGraceMs?: number
  /** How zips are hashed again in the background; absent: not at all. */
  readonly scrub?: ScrubInit | undefined
  /** Tests watch or break a commit here. */
  readonly hooks?: CommitHooks
  /** Tests fail calls or cut the power here. */
  readonly disk?: Disk
}

/** The running parts of a store. */
export interface OpenedStore {
  readonly layout: Layout
  readonly disk: Disk
  readonly report: ReportEvent
  readonly hooks: CommitHooks
  readonly wallMs: () => number
  readonly maxZipBytes: number
  readonly pool: VerifyPool
  readonly shelf: ZipShelf
  readonly vault: ZipVault
  readonly commits: CommitQueue
  readonly index: IndexDb
  readonly journal: MetaJournal
  readonly pins: Pins
  readonly budget: SizeBudget
  readonly removed: Listeners<RemovedZip>
  readonly close: () => Promise<void>
}

/** Takes the directory, tidies it and reads what is held. */
export async function openStore(
  init: StoreInit & { readonly layout: Layout },
): Promise<OpenedStore> {
  const disk = init.disk ?? nodeDisk
  const report = init.report ?? (() => {})
  await prepareFolders(disk, init.layout)
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    const failures: unknown[] = []
    // Each on its own: the lock is freed whatever the disk says.
    for (const closer of closers.splice(0).toReversed()) {
      await closer().catch((error: unknown) => failures.push(error))
    }
    if (failures.length > 0) throw new StoreWriteError('the last state', failures[0])
  }
  try {
    await spendReserve(disk, init.layout)
    const lock = await StoreLock.take({ disk, report }, init.layout)
    closers.push(() => lock[Symbol.asyncDispose]())
    await emptyFolder({ disk, report }, init.layout.staging)
    await keepReserve({ disk, report }, init.layout)
    return await openParts({ disk, report, init, closers, close })
  } catch (error) {
    await close().catch((failure: unknown) => {
      report({ kind: 'tidy-failed', path: init.layout.dir, error: asError(failure) })
    })
    throw error
  }
}

async function openParts({
  disk,
  report,
  init,
  closers,
  close,
}: {
  readonly disk: Disk
  readonly report: ReportEvent
  readonly init: StoreInit & { readonly layout: Layout }
  readonly closers: (() => Promise<void>)[]
  readonly close: () => Promise<void>
}): Promise<OpenedStore> {
  const { layout } = init
  const { index, contents } = await IndexDb.open({ disk, report }, layout)
  closers.push(() => index[Symbol.asyncDispose]())
  const wallMs = init.wallMs ?? Date.now
  const shelf = await recoverShelf({ disk, layout, report, index, wallMs }, contents)
  const journal = await openJournal({ disk, report, index, layout }, contents.journal)
  closers.push(() => journal.close())
  index.renewFrom(() => wholeIndex(shelf, journal))
  const pool = new VerifyPool()
  closers.push(() => pool[Symbol.asyncDispose]())
  const removed = new Listeners<RemovedZip>(report)
  const hooks = init.hooks ?? {}
  const uses = new ZipUses({ index, shelf, wallMs })
  closers.push(() => uses[Symbol.asyncDispose]())
  const vault = new ZipVault({ disk, layout, report, shelf, index, removed, uses })
  const shelved = { disk, layout, report, shelf, vault, wallMs }
  const { pins, budget } = await startCare(shelved, init, closers)
  return {
    layout,
    disk,
    report,
    hooks,
    wallMs,
    maxZipBytes: init.maxZipBytes ?? maxZipBytes,
    pool,
    shelf,
    vault,
    pins,
    budget,
    commits: new CommitQueue({ disk, layout, hooks }),
    index,
    journal,
    close,
    removed,
  }
}

/** Finds what is held, and brings the index in line with it. */
async function recoverShelf(
  components: Pick<OpenedStore, 'disk' | 'layout' | 'report' | 'index' | 'wallMs'>,
  contents: Parameters<typeof recoverZips>[1],
): Promise<ZipShelf> {
  const { index, wallMs } = components
  const { shelf, unindexed, gone } = await recoverZips(
    {
      ...components,
      nowMs: wallMs(),
      writeRecord: (record) => writeRecordFile(components, record),
      quarantine: (digest, reason) =>
        quarantineFiles(components, digest, { module: undefined, reason }),
    },
    contents,
  )
  for (const zip of unindexed) index.putZip(zip)
  for (const digest of gone) index.dropZip(digest)
  return shelf
}

/** What an index has to know of all that is held. */
function wholeIndex(shelf: ZipShelf, journal: MetaJournal): WholeIndex {
  const zips = shelf.all()
  return { zips, uses: zips.map(useOf), places: journal.places(), stamp: journal.stamp() }
}

/** Starts what looks after the zips that are held: their size all together, and their health. */
async function startCare(
  components: Pick<OpenedStore, 'disk' | 'layout' | 'report' | 'shelf' | 'vault' | 'wallMs'>,
  init: StoreInit,
  closers: (() => Promise<void>)[],
): Promise<Pick<OpenedStore, 'pins' | 'budget'>> {
  const pins = await Pins.open(components, components.layout.pins)
  const { maxBytes, scrub: scrubInit } = init
  const budget = new SizeBudget(
    { ...components, pins },
    { maxBytes, graceMs: init.evictGraceMs ?? evictGraceMs },
  )
  closers.push(() => budget.close())
  budget.check()
  if (scrubInit !== undefined) {
    const scrub = new Scrub(components, scrubInit)
    closers.push(() => scrub[Symbol.asyncDispose]())
  }
  return { pins, budget }
}

async function openJournal(
  components: {
    readonly disk: Disk
    readonly report: ReportEvent
    readonly index: IndexDb
    readonly layout: Layout
  },
  known: Parameters<typeof MetaJournal.open>[1]['known'],
): Promise<MetaJournal> {
  const { disk, report, index, layout } = components
  let isOpen = false
  const journal = await MetaJournal.open(
    { disk, report },
    {
      folder: layout.meta,
      known,
      onChanges: (changes, stamp) => {
        if (isOpen) index.putPlaces(changes, stamp)
      },
    },
  )
  isOpen = true
  const { segment, end, sum } = journal.stamp()
  const isKnown =
    known?.stamp.segment === segment && known.stamp.end === end && known.stamp.sum === sum
  if (!isKnown) index.resetPlaces(journal.places(), journal.stamp())
  return journal
}

/** What a killed process left. */
async function emptyFolder(
  { disk, report }: { readonly disk: Disk; readonly report: ReportEvent },
  folder: string,
): Promise<void> {
  try {
    for (const name of await disk.list(folder)) await disk.remove(`${folder}/${name}`)
  } catch (error) {
    report({ kind: 'tidy-failed', path: folder, error: asError(error) })
  }
}
