import { ByteLru } from '@modmesh/fill'
import type { ZipDigest } from '@modmesh/module'
import { hotZipBytes, hotZipsBytes, maxCountedZips } from './limits.ts'

/**
 * Bytes of zips that are read again and again, so that a rack of builds does not read each from the
 * disk for every host. A zip comes in with its second whole read while there is room, then only in
 * the place of one that is read not half as much (as TinyLFU does): a round of reads through more zips than fit would
 * else copy each of them and find none. Bytes are kept under their digest and so are never stale.
 */
export class ZipMemory {
  readonly #maxBytes: number
  readonly #kept: ByteLru<Uint8Array>
  /** How often each was read of late; a read moves it to the end. */
  readonly #reads = new Map<ZipDigest, number>()
  #readsSinceHalved = 0

  constructor({ maxBytes = hotZipsBytes }: { readonly maxBytes?: number } = {}) {
    this.#maxBytes = maxBytes
    this.#kept = new ByteLru(maxBytes)
  }

  get(digest: ZipDigest): Uint8Array | undefined {
    const bytes = this.#kept.get(digest)
    if (bytes !== undefined) this.#count(digest)
    return bytes
  }

  /** Notes a whole read; says whether its bytes should be offered to `keep` when it ends well. */
  isWorthKeeping(digest: ZipDigest, size: number): boolean {
    if (size > hotZipBytes) return false
    const reads = this.#count(digest)
    if (reads < 2) return false
    const rival = this.#kept.oldestKey() as ZipDigest | undefined
    if (rival === undefined || this.#kept.bytes + size <= this.#maxBytes) return true
    // Chance alone makes counts differ a little: each change of place costs a copy and a hash.
    return reads > 2 * (this.#reads.get(rival) ?? 0)
  }

  keep(digest: ZipDigest, bytes: Uint8Array): void {
    this.#kept.set(digest, bytes, bytes.length)
  }

  #count(digest: ZipDigest): number {
    const reads = (this.#reads.get(digest) ?? 0) + 1
    this.#reads.delete(digest)
    this.#reads.set(digest, reads)
    const oldest = this.#reads.keys().next().value
    if (this.#reads.size > maxCountedZips && oldest !== undefined) this.#reads.delete(oldest)
    if (++this.#readsSinceHalved >= 10 * maxCountedZips) this.#halve()
    return reads
  }

  /** What was read much long ago must make room one day. */
  #halve(): void {
    this.#readsSinceHalved = 0
    for (const [digest, reads] of this.#reads) this.#reads.set(digest, reads >> 1)
  }
}
