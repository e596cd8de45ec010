import { ByteLru } from './byte-lru.ts'

/** What a value costs beside its bytes: the entry, its key and the objects around it, bytes. */
const entryBytes = 300

/** Values in memory, the longest unused out first; bounded in number and in bytes. */
export class MemoryLevel<T> {
  readonly #maxEntries: number
  readonly #values: ByteLru<T>

  constructor(limits: { readonly entries: number; readonly bytes: number }) {
    this.#maxEntries = limits.entries
    this.#values = new ByteLru(limits.bytes)
  }

  /** Bytes held, what the entries themselves cost included. */
  get bytes(): number {
    return this.#values.bytes
  }

  get size(): number {
    return this.#values.size
  }

  get(key: string): T | undefined {
    return this.#values.get(key)
  }

  /** `size` is that of the value's bytes. */
  set(key: string, value: T, size: number): void {
    this.#values.set(key, value, size + 2 * key.length + entryBytes)
    const oldest = this.#values.size > this.#maxEntries ? this.#values.oldestKey() : undefined
    if (oldest !== undefined) this.delete(oldest)
  }

  delete(key: string): void {
    this.#values.delete(key)
  }
}
