import { join } from 'node:path'
import type { FirstHash, FirstHashes, PartHashes } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModuleVersion,
  parseModHash,
  parseModuleVersion,
  parseZipHash,
} from '@modmesh/module'
import type { Disk } from './disk.ts'
import { DurableFile } from './durable-file.ts'
import { StoreDamagedError } from './errors.ts'
import { firstHashesFile, type Layout } from './layout.ts'
import { isObject } from './zip-record.ts'

type Shard = Map<string, FirstHash>
type Published = NonNullable<FirstHash['published']>

/** Files read at once: there are 256 at most, and each takes two descriptors. */
const shardsAtOnce = 32

/**
 * The first hashes of module versions that nobody can prove. They must not roll back (design, section 7), so they
 * are in small durable files, each of which holds some of the module paths: one write costs the size of one.
 */
export class DiskFirstHashes implements FirstHashes {
  readonly #disk: Disk
  readonly #layout: Layout
  readonly #files = new Map<string, DurableFile>()
  /** Those that are listed, by name, once they were read: status asks often, and there are many files. */
  #listed: Promise<Shard> | undefined

  constructor({ disk, layout }: { readonly disk: Disk; readonly layout: Layout }) {
    this.#disk = disk
    this.#layout = layout
  }

  /** Throws StoreDamagedError where both copies of a file are unusable: nobody knows what was first then. */
  async update(
    module: ModuleVersion,
    change: (kept: FirstHash | undefined) => FirstHash | undefined,
  ): Promise<void> {
    const path = firstHashesFile(this.#layout, module.path)
    const key = formatModuleVersion(module)
    let after: FirstHash | undefined
    await this.#file(path).update((bytes) => {
      const shard = parseShard(path, bytes)
      const kept = shard.get(key)
      const next = change(kept)
      after = next
      if (next === kept) return bytes
      if (next === undefined) shard.delete(key)
      else shard.set(key, next)
      return formatShard(shard)
    })
    await this.#noteChange(key, after)
  }

  /** The versions that came otherwise later and wait for somebody to accept that, in order of their names. */
  async changed(): Promise<readonly FirstHash[]> {
    const entries = await this.#list()
    return entries
      .filter(([, entry]) => entry.changed !== undefined)
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([, entry]) => entry)
  }

  /** The versions for which a publisher of the mesh vouches, in no order. */
  async published(): Promise<readonly FirstHash[]> {
    const entries = await this.#list()
    return entries.map(([, entry]) => entry).filter((entry) => entry.published !== undefined)
  }

  async #list(): Promise<readonly (readonly [string, FirstHash])[]> {
    const reading = this.#listed ?? this.#readListed()
    this.#listed = reading
    // A file that cannot be read now may be put right.
    reading.catch(() => {
      this.#listed = undefined
    })
    return [...(await reading)]
  }

  async #readListed(): Promise<Shard> {
    const names = await this.#disk.list(this.#layout.firstHashes)
    const listed: Shard = new Map()
    const shards = names.filter(isShardName)
    for (let i = 0; i < shards.length; i += shardsAtOnce) {
      const some = shards.slice(i, i + shardsAtOnce).map((name) => this.#read(name))
      for (const shard of await Promise.all(some)) {
        for (const [key, entry] of shard) if (isListed(entry)) listed.set(key, entry)
      }
    }
    return listed
  }

  async #noteChange(key: string, after: FirstHash | undefined): Promise<void> {
    // Nobody asked yet, or it failed, which is told to whoever asked.
    const listed = await this.#listed?.catch(() => undefined)
    if (after === undefined || !isListed(after)) listed?.delete(key)
    else listed?.set(key, after)
  }

  async #read(name: string): Promise<Shard> {
    const path = join(this.#layout.firstHashes, name)
    return parseShard(path, await this.#file(path).read())
  }

  /** One object for each: it is what keeps changes in order. */
  #file(path: string): DurableFile {
    const file = this.#files.get(path) ?? new DurableFile(path, this.#disk)
    this.#files.set(path, file)
    return file
  }
}

/** Beside each file lies its second copy, and at times a temporary one. */
function isShardName(name: string): boolean {
  return !name.includes('.')
}

function formatShard(shard: Shard): Uint8Array {
  const entries = [...shard.values()].map(({ module, published, ...rest }) => ({
    ...module,
    ...rest,
    ...(published && { published: formatPublished(published) }),
  }))
  return Buffer.from(JSON.stringify(entries))
}

function parseShard(path: string, bytes: Uint8Array | undefined): Shard {
  if (bytes === undefined) return new Map()
  try {
    const entries: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (!Array.isArray(entries)) throw new TypeError('not a list')
    return new Map(
      entries.map(parseEntry).map((entry) => [formatModuleVersion(entry.module), entry]),
    )
  } catch (cause) {
    throw new StoreDamagedError(path, 'cannot be read', { cause })
  }
}

function parseEntry(entry: unknown): FirstHash {
  if (!isObject(entry) || typeof entry.path !== 'string' || typeof entry.version !== 'string') {
    throw new TypeError('not an entry')
  }
  const first = {
    module: parseModuleVersion(entry.path, entry.version),
    ...parseParts(entry),
    ...(typeof entry.acceptedMs === 'number' && { acceptedMs: entry.acceptedMs }),
    ...(entry.published !== undefined && { published: parsePublished(entry.published) }),
  }
  const { changed } = entry
  if (changed === undefined) return first
  if (!isObject(changed) || typeof changed.from !== 'string' || typeof changed.atMs !== 'number') {
    throw new TypeError('not a change')
  }
  const { from, atMs } = changed
  return { ...first, changed: { ...parseParts(changed), from, atMs } }
}

function formatPublished({ publisher, statement }: Published): object {
  return { ...publisher, statement: Buffer.from(statement).toString('base64') }
}

function parsePublished(value: unknown): Published {
  if (!isObject(value)) throw new TypeError('not a publisher')
  const { peer, name, atMs, statement } = value
  if (typeof peer !== 'string' || typeof name !== 'string') throw new TypeError('not a publisher')
  if (typeof atMs !== 'number' || typeof statement !== 'string')
    throw new TypeError('not a publisher')
  const bytes = Uint8Array.from(Buffer.from(statement, 'base64'))
  return { publisher: { peer, name, atMs }, statement: bytes }
}

function isListed({ changed, published }: FirstHash): boolean {
  return changed !== undefined || published !== undefined
}

function parseParts({ zip, mod }: Readonly<Record<string, unknown>>): PartHashes {
  return {
    ...(typeof zip === 'string' && { zip: parseZipHash(zip) }),
    ...(typeof mod === 'string' && { mod: parseModHash(mod) }),
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
