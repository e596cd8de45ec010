import type { HeldZip } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { PrivateRecord, PrivateShelf } from '../../src/peer-shelf.ts'

/** What is private, in memory; every look at it is counted. */
export class MemoryPrivateShelf implements PrivateShelf {
  /** Looks on behalf of others. */
  looks = 0
  readonly #records = new Map<string, { readonly zip: HeldZip; readonly record: PrivateRecord }>()
  readonly #listeners = new Set<(path: ModulePath) => void>()

  async *paths(): AsyncGenerator<ModulePath> {
    for (const { zip } of this.#records.values()) yield zip.module.path
  }

  onAdded(listener: (path: ModulePath) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async record(module: ModuleVersion): Promise<PrivateRecord | undefined> {
    this.looks += 1
    return this.#records.get(formatModuleVersion(module))?.record
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    this.looks += 1
    const held = [...this.#records.values()].map(({ zip }) => zip.module)
    return held.filter((module) => module.path === path).map(({ version }) => version)
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    this.looks += 1
    return [...this.#records.values()].find(({ zip }) => zip.zipHash === zipHash)?.zip
  }

  put(zip: HeldZip, record: PrivateRecord): void {
    this.#records.set(formatModuleVersion(zip.module), { zip, record })
    for (const listener of this.#listeners) listener(zip.module.path)
  }
}
