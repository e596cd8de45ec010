import { maxTilesInMemory } from './limits.ts'
import { Recent } from './recent.ts'
import type { SumdbOps } from './sumdb-ops.ts'

/**
 * Writes verified things to the cache behind the answer that needed them: one write at a time per
 * path, the latest value wins, and failures cost a later fetch only.
 */
export class CacheWriter {
  readonly #ops: Pick<SumdbOps, 'writeCache'>
  readonly #waiting = new Map<string, Uint8Array>()
  readonly #writing = new Map<string, Uint8Array>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #lengths = new Recent<string, number>(4 * maxTilesInMemory)

  constructor(ops: Pick<SumdbOps, 'writeCache'>) {
    this.#ops = ops
  }

  write(path: string, bytes: Uint8Array): void {
    this.#waiting.set(path, bytes)
    if (!this.#running.has(path)) this.#running.set(path, this.#drain(path))
  }

  /** What was asked to be written and is not in the cache yet. */
  pending(path: string): Uint8Array | undefined {
    return this.#waiting.get(path) ?? this.#writing.get(path)
  }

  /** Writes something that only grows, so that a narrower version never replaces a wider one. */
  writeWider(path: string, bytes: Uint8Array): void {
    if (bytes.length <= (this.#lengths.get(path) ?? 0)) return
    this.#lengths.set(path, bytes.length)
    this.write(path, bytes)
  }

  /** Notes what the cache has already, so that writeWider does not write it again. */
  noteCached(path: string, length: number): void {
    this.#lengths.set(path, Math.max(length, this.#lengths.get(path) ?? 0))
  }

  /** Lets writeWider start anew after the cached value was dropped. */
  forget(path: string): void {
    this.#lengths.delete(path)
    this.#waiting.delete(path)
  }

  /** Resolves when everything asked for so far is written. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values())
  }

  async #drain(path: string): Promise<void> {
    // Leaves the caller's turn first, so that #running is set before the entry is removed from it.
    await Promise.resolve()
    for (;;) {
      const bytes = this.#waiting.get(path)
      if (bytes === undefined) break
      this.#waiting.delete(path)
      this.#writing.set(path, bytes)
      await this.#writeOne(path, bytes)
      this.#writing.delete(path)
    }
    this.#running.delete(path)
  }

  async #writeOne(path: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#ops.writeCache(path, bytes)
    } catch {
      // The cache is an aid: a full disk must not make a proven answer fail. The store reports its own trouble.
      this.#lengths.delete(path)
    }
  }
}
