import { hash } from 'node:crypto'
import { dirname, join } from 'node:path'
import {
  type ForkNotes,
  HeadConflictError,
  maxNoteBytes,
  type RefusedAnswer,
  type SumdbOps,
} from '@modmesh/sumdb'
import { concurrently } from './concurrently.ts'
import type { Disk } from './disk.ts'
import { DurableFile } from './durable-file.ts'
import { StoreWriteError } from './errors.ts'
import { makeFolder } from './folders.ts'
import { type Layout, parseTilePath, sumdbFolder, tilePath } from './layout.ts'
import { commitConcurrency, maxForkEvidence, maxRefusedAnswers, maxRefusedBytes } from './limits.ts'
import type { MetaJournal } from './meta-journal.ts'
import { replaceFile } from './replace-file.ts'

/** What a checksum-database client keeps on disk. */
export interface SumdbCache extends Omit<SumdbOps, 'readRemote'> {
  /** Where all of it is; evidence in `fork` and `refused`. */
  readonly folder: string
  /** Makes tiles durable that are kept under these paths: else a power cut may cost them. Throws StoreWriteError. */
  syncTiles(paths: readonly string[]): Promise<void>
}

export interface SumdbCacheComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly journal: MetaJournal
}

/** Two notes of the size that a client reads at most, and their headings. Bytes. */
const maxForkBytes: number = 2 * maxNoteBytes + 1024
const oursHeading = 'our signed tree head:\n'
const theirsHeading = '\ntheir signed tree head:\n'

/** The largest tile that is kept: 2^8 hashes of 32 bytes is usual, a client verifies each. Bytes. */
const maxTileBytes = 1 << 20

/**
 * The disk of one checksum database's client. The head is in a durable file of its own, lookups
 * in the journal, tiles in files without fsync: they prove themselves against the head on use.
 */
export class DiskSumdbCache implements SumdbCache {
  readonly #components: SumdbCacheComponents
  readonly #name: string
  readonly folder: string
  readonly #head: DurableFile

  constructor(components: SumdbCacheComponents, name: string) {
    this.#components = components
    this.#name = name
    this.folder = sumdbFolder(components.layout, name)
    this.#head = new DurableFile(join(this.folder, 'head'), components.disk)
  }

  async readHead(): Promise<string | undefined> {
    const bytes = await this.#head.read()
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
  }

  writeHead(previous: string | undefined, next: string): Promise<void> {
    return this.#head.update((bytes) => {
      const current = bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
      if (current !== previous) throw new HeadConflictError()
      return Buffer.from(next)
    })
  }

  async readCache(path: string): Promise<Uint8Array | undefined> {
    const file = this.#tileFile(path)
    if (file !== undefined) return this.#components.disk.readFile(file, maxTileBytes)
    return (await this.#components.journal.get(this.#key(path)))?.bytes
  }

  async writeCache(path: string, bytes: Uint8Array): Promise<void> {
    const file = this.#tileFile(path)
    if (file !== undefined) await this.#writeTile(file, bytes)
    else await this.#components.journal.put({ key: this.#key(path), meta: '', bytes })
  }

  async dropCache(path: string): Promise<void> {
    const file = this.#tileFile(path)
    const key = this.#key(path)
    if (file !== undefined) await this.#components.disk.remove(file)
    else if (this.#components.journal.has(key)) {
      await this.#components.journal.put({ key, meta: '', bytes: undefined })
    }
  }

  async syncTiles(paths: readonly string[]): Promise<void> {
    const { disk } = this.#components
    const files = paths.map((path) => this.#tileFile(path)).filter((file) => file !== undefined)
    const folders = new Set(files.map((file) => dirname(file)))
    try {
      await concurrently(files, commitConcurrency, async (path) => {
        const file = await disk.open(path, 'read')
        try {
          await file.fsync()
        } finally {
          await file.close()
        }
      })
      await concurrently(folders, commitConcurrency, (folder) => disk.fsyncFolder(folder))
    } catch (error) {
      throw new StoreWriteError('tiles of the checksum database', error)
    }
  }

  async keepForkEvidence(notes: ForkNotes): Promise<void> {
    await this.#keepEvidence('fork', Buffer.from(formatFork(notes)), maxForkEvidence)
  }

  async readForkEvidence(): Promise<ForkNotes | undefined> {
    const { disk } = this.#components
    const folder = join(this.folder, 'fork')
    const [name] = (await disk.list(folder)).toSorted()
    if (name === undefined) return undefined
    const bytes = await disk.readFile(join(folder, name), maxForkBytes)
    return parseFork(Buffer.from(bytes ?? []).toString('utf8'))
  }

  async keepRefused(answer: RefusedAnswer): Promise<void> {
    await this.#keepEvidence('refused', formatRefused(answer), maxRefusedAnswers)
  }

  /** Keeps equal evidence once, under a name that is its digest. */
  async #keepEvidence(kind: string, bytes: Uint8Array, maxFiles: number): Promise<void> {
    const { disk } = this.#components
    const folder = join(this.folder, kind)
    const path = join(folder, `${hash('sha256', bytes)}.txt`)
    if ((await disk.identity(path)) !== undefined) return
    if ((await disk.list(folder)).length >= maxFiles) return
    await this.#replaceFile(path, bytes, { isDurable: true })
  }

  #key(path: string): string {
    return `s ${this.#name} ${path}`
  }

  #tileFile(path: string): string | undefined {
    const tile = parseTilePath(path)
    return tile === undefined ? undefined : tilePath(this.folder, tile)
  }

  async #writeTile(file: string, bytes: Uint8Array): Promise<void> {
    await this.#replaceFile(file, bytes, { isDurable: false })
  }

  async #replaceFile(
    path: string,
    bytes: Uint8Array,
    { isDurable }: { readonly isDurable: boolean },
  ): Promise<void> {
    try {
      await makeFolder(this.#components.disk, dirname(path))
      await replaceFile(this.#components, path, bytes, { isDurable })
    } catch (error) {
      throw new StoreWriteError('a checksum-database file', error)
    }
  }
}

function formatFork({ ours, theirs }: ForkNotes): string {
  return oursHeading + ours + theirsHeading + theirs
}

/** Reads what formatFork wrote; of a damaged text as much as there is, because it still tells of a fork. */
function parseFork(text: string): ForkNotes {
  const start = text.startsWith(oursHeading) ? oursHeading.length : 0
  const end = text.indexOf(theirsHeading, start)
  if (end < 0) return { ours: text.slice(start), theirs: '' }
  return { ours: text.slice(start, end), theirs: text.slice(end + theirsHeading.length) }
}

/** A text that says what was asked and why the answer was refused, then the answer byte by byte. */
function formatRefused({ path, reason, head, bytes }: RefusedAnswer): Uint8Array {
  const lines = [`asked: ${path}`, `refused: ${reason}`]
  if (head !== undefined) lines.push(`signed tree head:\n${head}`)
  const heading = `${lines.join('\n')}\nanswer, ${bytes.length} bytes:\n`
  return Buffer.concat([Buffer.from(heading), bytes.subarray(0, maxRefusedBytes)])
}
