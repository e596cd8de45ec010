import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import { isStrongerProof, type ZipRecord } from './zip-record.ts'

/** A zip that is held, and what we know of its file. */
export interface ShelvedZip {
  record: ZipRecord
  /** The file's identity when its bytes were last known to be right. */
  stamp: string | undefined
  /** When this process last hashed it, on the monotonic clock. */
  hashedMs: number | undefined
  /** When its bytes were last known to be right, ms since 1970. */
  checkedMs: number
  /** When it was last read, or else committed, ms since 1970. */
  usedMs: number
  /** When it was last handed out, on the monotonic clock. */
  heldMs: number
  /** Reads under way. */
  readers: number
}

/** What is remembered of a zip over a restart, roughly. Milliseconds since 1970. */
export interface ZipUse {
  readonly usedMs: number
  readonly checkedMs: number
}

/** A zip of which nothing was asked yet. */
export function shelvedZip(
  zip: Pick<ShelvedZip, 'record' | 'stamp'>,
  use: ZipUse = { usedMs: zip.record.committedMs, checkedMs: zip.record.committedMs },
): ShelvedZip {
  const { record, stamp } = zip
  const fresh = { hashedMs: undefined, heldMs: Number.NEGATIVE_INFINITY, readers: 0 }
  return { record, stamp, ...fresh, usedMs: use.usedMs, checkedMs: use.checkedMs }
}

/** Which zips are held, in memory. */
export class ZipShelf {
  readonly #byModule = new Map<string, ShelvedZip>()
  readonly #byHash = new Map<ZipHash, ShelvedZip>()
  readonly #versions = new Map<ModulePath, Map<Version, ShelvedZip>>()
  #bytes = 0

  get count(): number {
    return this.#byModule.size
  }

  /** Size of all zip files together. */
  get bytes(): number {
    return this.#bytes
  }

  find(module: ModuleVersion): ShelvedZip | undefined {
    return this.#byModule.get(formatModuleVersion(module))
  }

  findContent(zipHash: ZipHash): ShelvedZip | undefined {
    return this.#byHash.get(zipHash)
  }

  versions(path: ModulePath): Iterable<Version> {
    return this.#versions.get(path)?.keys() ?? []
  }

  all(): ShelvedZip[] {
    return [...this.#byModule.values()]
  }

  /** Puts a zip in; returns the one of the same module version that it replaces. */
  put(zip: ShelvedZip): ShelvedZip | undefined {
    const { module, zipHash, size } = zip.record
    const replaced = this.find(module)
    if (replaced !== undefined) this.remove(replaced)
    this.#byModule.set(formatModuleVersion(module), zip)
    this.#byHash.set(zipHash, zip)
    const versions = this.#versions.get(module.path) ?? new Map<Version, ShelvedZip>()
    this.#versions.set(module.path, versions.set(module.version, zip))
    this.#bytes += size
    return replaced
  }

  /** Takes a zip out, unless another one has its place. False when it was not in. */
  remove(zip: ShelvedZip): boolean {
    const { module, zipHash, size } = zip.record
    if (this.find(module) !== zip) return false
    this.#byModule.delete(formatModuleVersion(module))
    if (this.#byHash.get(zipHash) === zip) this.#byHash.delete(zipHash)
    const versions = this.#versions.get(module.path)
    versions?.delete(module.version)
    if (versions?.size === 0) this.#versions.delete(module.path)
    this.#bytes -= size
    return true
  }
}

/** Which of two zips of one module version to keep: the better proven, then the newer. */
export function isPreferred(a: ZipRecord, b: ZipRecord): boolean {
  if (isStrongerProof(a.proof, b.proof)) return true
  return !isStrongerProof(b.proof, a.proof) && a.committedMs > b.committedMs
}
