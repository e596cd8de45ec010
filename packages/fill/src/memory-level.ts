/** What a value costs beside its bytes: the entry, its key and the objects around it, bytes. */
const entryBytes = 300

/** Values in memory, the longest unused out first; bounded in number and in bytes. */
export class MemoryLevel<T> {
  readonly #limits: { readonly entries: number; readonly bytes: number }
  readonly #entries = new Map<string, { readonly value: T; readonly bytes: number }>()
  #bytes = 0

  constructor(limits: { readonly entries: number; readonly bytes: number }) {
    this.#limits = limits
  }

  /** Bytes held, what the entries themselves cost included. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** `size` is that of the value's bytes. */
  set(key: string, value: T, size: number): void {
    this.delete(key)
    const bytes = size + 2 * key.length + entryBytes
    if (bytes > this.#limits.bytes) return
    this.#entries.set(key, { value, bytes })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limits.entries && this.#bytes <= this.#limits.bytes) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}
