import { createHash, hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { compareBytes, formatManifest, hashManifest, type ManifestLine } from '@modmesh/module'
import { oneShotEntryBytes } from '../limits.ts'
import { type DirectoryEntry, parseZipDirectory } from '../zip-directory.ts'
import { type EntrySpan, locateEntry } from '../zip-entries.ts'
import { contentPieces, inflateSmall } from '../zip-verify.ts'
import { ZipWindow } from '../zip-window.ts'
import type { NamesAndHashes } from './job-message.ts'

/** Entries between two moments in which other work of the thread may go on. */
const breathEvery = 64

/** A zip of the store, by its files. Synchronous where it can be: it runs in a worker. */
export class ZipContents implements Disposable {
  /** In the order of the manifest. */
  readonly entries: readonly DirectoryEntry[]
  readonly #zip: ZipWindow
  readonly #start: number
  readonly #byName: ReadonlyMap<string, DirectoryEntry>

  /** Throws what opening the file throws, and ZipRulesError. */
  constructor(path: string) {
    this.#zip = new ZipWindow(path)
    try {
      const directory = parseZipDirectory((from, to) => this.#zip.read(from, to), this.#zip.size)
      this.#start = directory.start
      this.entries = directory.entries.toSorted((a, b) => compareBytes(a.name, b.name))
      this.#byName = new Map(this.entries.map((entry) => [entry.name, entry]))
    } catch (error) {
      this.#zip.close()
      throw error
    }
  }

  find(name: string): DirectoryEntry | undefined {
    return this.#byName.get(name)
  }

  /** Where its bytes are in the file. Throws ZipRulesError. */
  span(entry: DirectoryEntry): EntrySpan {
    return locateEntry((from, to) => this.#zip.read(from, to), entry, this.#start)
  }

  /** Bytes of the file, in new memory. */
  copy(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(end - start)
    this.#zip.readInto(bytes, start)
    return bytes
  }

  /** The whole content, in memory that the next call may use again: for entries that are known not to be large. */
  content(entry: DirectoryEntry): Buffer {
    const { start, end } = this.span(entry)
    const packed = this.#zip.read(start, end)
    return entry.method === 0 ? packed : inflateSmall(entry, packed)
  }

  /** The content in pieces, each valid until the next one is asked for. */
  async *pieces(entry: DirectoryEntry): AsyncGenerator<Buffer> {
    if (isSmall(entry)) yield this.content(entry)
    else yield* contentPieces(this.#zip, entry, this.span(entry))
  }

  /** Its manifest, and the h1 that makes. */
  async manifest(): Promise<NamesAndHashes> {
    const lines: ManifestLine[] = []
    const hashes = new Uint8Array(32 * this.entries.length)
    for (const entry of this.entries) {
      if (lines.length % breathEvery === 0) await setImmediate()
      const sha256 = await this.#hash(entry)
      hashes.set(sha256, 32 * lines.length)
      lines.push({ name: entry.name, sha256 })
    }
    const zipHash = hashManifest(formatManifest(lines))
    return {
      names: lines.map(({ name }) => name),
      hashes,
      sizes: Float64Array.from(this.entries, ({ size }) => size),
      packedSizes: Float64Array.from(this.entries, ({ compressedSize }) => compressedSize),
      zipHash,
    }
  }

  [Symbol.dispose](): void {
    this.#zip.close()
  }

  async #hash(entry: DirectoryEntry): Promise<Uint8Array> {
    if (isSmall(entry)) return hash('sha256', this.content(entry), 'buffer')
    const sha = createHash('sha256')
    for await (const piece of this.pieces(entry)) sha.update(piece)
    return sha.digest()
  }
}

function isSmall(entry: DirectoryEntry): boolean {
  return entry.size <= oneShotEntryBytes && entry.compressedSize <= oneShotEntryBytes
}
