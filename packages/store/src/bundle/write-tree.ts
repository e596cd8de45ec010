import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  escapeModulePath,
  escapeVersion,
  InvalidVersionError,
  isPseudoVersion,
  type ModulePath,
  type ModuleVersion,
  parseVersion,
  selectLatest,
  unescapeVersion,
  type Version,
} from '@modmesh/module'
import { formatLookup, formatTilePath, parseStoredRecord, parseTilePath } from '@modmesh/sumdb'
import type { BundleReader } from './bundle-reader.ts'
import type { BundleItem } from './inventory.ts'

/**
 * Writes a bundle as a tree of files that `go` reads with GOPROXY=file://DIR, its checksum database included; what is
 * there already is kept beside it. Each file is there whole or not at all. Throws BundleError, and what the disk says.
 */
export async function writeTree(dir: string, reader: BundleReader): Promise<void> {
  const writer = new TreeWriter(dir, reader)
  for (const item of reader.inventory.items) await writer.add(item)
  await reader.end()
  await writer.finish()
}

class TreeWriter {
  readonly #dir: string
  readonly #reader: BundleReader
  readonly #paths = new Set<ModulePath>()
  readonly #folders = new Set<string>()
  #note = ''

  constructor(dir: string, reader: BundleReader) {
    this.#dir = dir
    this.#reader = reader
  }

  async add(item: BundleItem): Promise<void> {
    if (item.kind === 'zip' || item.kind === 'mod' || item.kind === 'info') {
      this.#paths.add(item.module.path)
      const path = join(versionsFolder(item.module.path), nameOf(item.module, item.kind))
      return await this.#write(path, this.#reader.pieces(item))
    }
    const bytes = await this.#reader.read(item)
    switch (item.kind) {
      case 'head':
        this.#note = Buffer.from(bytes).toString('utf8')
        await this.#writeWhole(this.#ofDatabase('latest'), bytes)
        return
      case 'tile':
      case 'leaf':
        // Formatted anew: a path that is none never becomes a file.
        return await this.#writeWhole(
          this.#ofDatabase(formatTilePath(parseTilePath(item.path))),
          bytes,
        )
      case 'record':
        return await this.#writeRecord(item.module, bytes)
    }
  }

  /** What tells of the rest comes last. */
  async finish(): Promise<void> {
    for (const path of this.#paths) await this.#writeList(path)
    if (this.#note !== '') await this.#writeWhole(this.#ofDatabase('supported'), new Uint8Array())
  }

  #ofDatabase(name: string): string {
    const { tree } = this.#reader.inventory
    return join('sumdb', tree?.database ?? '', name)
  }

  async #writeRecord(module: ModuleVersion, bytes: Uint8Array): Promise<void> {
    const { id, text } = parseStoredRecord(bytes)
    const name = `${escapeModulePath(module.path)}@${escapeVersion(module.version)}`
    const lookup = formatLookup({ id, text, note: this.#note })
    await this.#writeWhole(this.#ofDatabase(join('lookup', name)), Buffer.from(lookup))
  }

  /** A list is of what is there: pseudo-versions only where there is nothing else, as go's mirror does. */
  async #writeList(path: ModulePath): Promise<void> {
    const folder = join(this.#dir, versionsFolder(path))
    const versions = (await readdir(folder)).flatMap((name) => versionOfMod(name) ?? [])
    const tagged = versions.filter((version) => !isPseudoVersion(version))
    const listed = (tagged.length > 0 ? tagged : versions).toSorted()
    const text = listed.map((version) => `${version}\n`).join('')
    await this.#writeWhole(join(versionsFolder(path), 'list'), Buffer.from(text))
    const latest = selectLatest(listed)
    const info = latest && (await readIfThere(join(folder, nameOf({ version: latest }, 'info'))))
    if (info) await this.#writeWhole(join(escapeModulePath(path), '@latest'), info)
  }

  async #writeWhole(path: string, bytes: Uint8Array): Promise<void> {
    await this.#write(path, [bytes])
  }

  async #write(
    path: string,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const target = join(this.#dir, path)
    await this.#makeFolder(dirname(target))
    const temporary = join(dirname(target), `.modmesh-${randomBytes(8).toString('hex')}`)
    try {
      await using file = await open(temporary, 'wx', 0o644)
      for await (const piece of pieces) await writeFile(file, piece)
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    await mkdir(folder, { recursive: true })
    this.#folders.add(folder)
  }
}

function versionsFolder(path: ModulePath): string {
  return join(escapeModulePath(path), '@v')
}

/** The version whose go.mod has this name; undefined for what lies beside them. */
function versionOfMod(name: string): Version | undefined {
  if (!name.endsWith('.mod')) return undefined
  try {
    return parseVersion(unescapeVersion(name.slice(0, -'.mod'.length)))
  } catch (error) {
    if (error instanceof InvalidVersionError) return undefined
    throw error
  }
}

function nameOf({ version }: { readonly version: Version }, kind: 'zip' | 'mod' | 'info'): string {
  return `${escapeVersion(version)}.${kind}`
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
