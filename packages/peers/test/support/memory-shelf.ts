import { createHash } from 'node:crypto'
import type { HeldZip, ModuleRecord } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  parseModuleVersion,
  parseZipDigest,
  type Version,
  type ZipHash,
  zipHashFromBytes,
} from '@modmesh/module'
import type { PeerShelf, ShelfItem } from '../../src/peer-shelf.ts'

/** A shelf in memory. Its zips are any bytes: nobody here looks into them. */
export class MemoryShelf implements PeerShelf {
  readonly items: (ShelfItem & { readonly zip: HeldZip })[] = []
  readonly records = new Map<string, Omit<ModuleRecord, 'peer'>>()
  readonly tiles = new Map<string, Uint8Array>()
  readonly #listeners = new Set<(item: ShelfItem) => void>()

  async *contents(): AsyncGenerator<ShelfItem> {
    yield* this.items
  }

  async *mods(): AsyncGenerator<ModuleVersion> {
    for (const { module, mod } of this.records.values()) if (mod !== undefined) yield module
  }

  onAdded(listener: (item: ShelfItem) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    return this.items.find((item) => item.zipHash === zipHash)?.zip
  }

  async record(module: ModuleVersion): Promise<Omit<ModuleRecord, 'peer'> | undefined> {
    return this.records.get(formatModuleVersion(module))
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    return this.items
      .filter(({ module }) => module.path === path)
      .map(({ module }) => module.version)
  }

  async tile(database: string, path: string): Promise<Uint8Array | undefined> {
    return this.tiles.get(`${database} ${path}`)
  }

  /** Puts bytes on the shelf as the zip of a module version. */
  put(name: string, bytes: Uint8Array): ShelfItem & { readonly zip: HeldZip } {
    const module = moduleOf(name)
    const zipHash = hashOf(name)
    const zip = heldZip(module, zipHash, bytes)
    const item = { module, zipHash, zip }
    this.items.push(item)
    this.records.set(name, {
      module,
      info: Buffer.from(`{"Version":"${module.version}"}`),
      mod: Buffer.from(`module ${module.path}\n`),
      record: undefined,
      holdsZip: true,
    })
    for (const listener of this.#listeners) listener(item)
    return item
  }
}

export function moduleOf(name: string): ModuleVersion {
  const at = name.lastIndexOf('@')
  return parseModuleVersion(name.slice(0, at), name.slice(at + 1))
}

/** Some h1: the same for the same name. */
export function hashOf(name: string): ZipHash {
  return zipHashFromBytes(createHash('sha256').update(name).digest())
}

function heldZip(module: ModuleVersion, zipHash: ZipHash, bytes: Uint8Array): HeldZip {
  return {
    module,
    zipHash,
    zipDigest: parseZipDigest(createHash('sha256').update(bytes).digest('hex')),
    size: bytes.byteLength,
    proof: { kind: 'go-sum' },
    async *read({ start, end } = { start: 0, end: bytes.byteLength }) {
      for (let at = start; at < end; at += 65_536) {
        yield bytes.subarray(at, Math.min(end, at + 65_536))
      }
    },
  }
}
