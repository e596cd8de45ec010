import type { ZipDigest } from '@modmesh/module'
import { ByteLru } from './byte-lru.ts'
import { hotZipBytes, hotZipsBytes, maxCountedZips } from './limits.ts'

/**
 * Bytes of zips that are read again and again, so that a rack of builds does not read each from the
 * disk for every host. A zip comes in with its second whole read; bytes are kept under their digest
 * and so are never stale.
 */
export class ZipMemory {
  readonly #kept = new ByteLru<Uint8Array>(hotZipsBytes)
  /** Zips that were read once, oldest first. */
  readonly #readOnce = new Set<ZipDigest>()

  get(digest: ZipDigest): Uint8Array | undefined {
    return this.#kept.get(digest)
  }

  /** Notes a whole read; says whether its bytes should be offered to `keep` when it ends well. */
  isWorthKeeping(digest: ZipDigest, size: number): boolean {
    if (size > hotZipBytes) return false
    if (this.#readOnce.has(digest)) return true
    this.#readOnce.add(digest)
    const oldest = this.#readOnce.values().next().value
    if (this.#readOnce.size > maxCountedZips && oldest !== undefined) this.#readOnce.delete(oldest)
    return false
  }

  keep(digest: ZipDigest, bytes: Uint8Array): void {
    this.#kept.set(digest, bytes, bytes.length)
  }
}
