import { hash, randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { HeadConflictError, type SumdbOps } from '@modmesh/sumdb'
import type { Disk } from './disk.ts'
import { DurableFile } from './durable-file.ts'
import { StoreWriteError } from './errors.ts'
import { makeFolder } from './folders.ts'
import { type Layout, parseTilePath, sumdbFolder, tilePath } from './layout.ts'
import { maxForkEvidence } from './limits.ts'
import type { MetaJournal } from './meta-journal.ts'

/** What a checksum-database client keeps on disk. */
export type SumdbCache = Pick<
  SumdbOps,
  'readHead' | 'writeHead' | 'readCache' | 'writeCache' | 'dropCache' | 'keepForkEvidence'
>

export interface SumdbCacheComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly journal: MetaJournal
}

/** The largest tile that is kept: 2^8 hashes of 32 bytes is usual, a client verifies each. Bytes. */
const maxTileBytes = 1 << 20

/**
 * The disk of one checksum database's client. The head is in a durable file of its own, lookups
 * in the journal, tiles in files without fsync: they prove themselves against the head on use.
 */
export class DiskSumdbCache implements SumdbCache {
  readonly #components: SumdbCacheComponents
  readonly #name: string
  readonly #folder: string
  readonly #head: DurableFile

  constructor(components: SumdbCacheComponents, name: string) {
    this.#components = components
    this.#name = name
    this.#folder = sumdbFolder(components.layout, name)
    this.#head = new DurableFile(join(this.#folder, 'head'), components.disk)
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

  async keepForkEvidence(notes: { readonly ours: string; readonly theirs: string }): Promise<void> {
    const { disk } = this.#components
    const text = `our signed tree head:\n${notes.ours}\ntheir signed tree head:\n${notes.theirs}`
    const folder = join(this.#folder, 'fork')
    const path = join(folder, `${hash('sha256', text)}.txt`)
    if ((await disk.identity(path)) !== undefined) return
    if ((await disk.list(folder)).length >= maxForkEvidence) return
    await this.#replaceFile(path, Buffer.from(text), { isDurable: true })
  }

  #key(path: string): string {
    return `s ${this.#name} ${path}`
  }

  #tileFile(path: string): string | undefined {
    const tile = parseTilePath(path)
    return tile === undefined ? undefined : tilePath(this.#folder, tile)
  }

  async #writeTile(file: string, bytes: Uint8Array): Promise<void> {
    await this.#replaceFile(file, bytes, { isDurable: false })
  }

  async #replaceFile(
    path: string,
    bytes: Uint8Array,
    { isDurable }: { readonly isDurable: boolean },
  ): Promise<void> {
    const { disk, layout } = this.#components
    const temporary = join(layout.staging, `${randomBytes(16).toString('hex')}.tmp`)
    try {
      await makeFolder(disk, dirname(path))
      const file = await disk.open(temporary, 'create')
      try {
        await file.write(bytes, 0)
        if (isDurable) await file.fsync()
      } finally {
        await file.close()
      }
      await disk.rename(temporary, path)
      if (isDurable) await disk.fsyncFolder(dirname(path))
    } catch (error) {
      await disk.remove(temporary).catch(() => {
        // The next start empties staging.
      })
      throw new StoreWriteError('a checksum-database file', error)
    }
  }
}
