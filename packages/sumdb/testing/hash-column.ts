const hashBytes = 32

/** The hashes of one tree level in one growing buffer: a log of 200,000 records is 12 MiB and no objects. */
export class HashColumn {
  #bytes = new Uint8Array(hashBytes * 16)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(hash: Uint8Array): void {
    const end = this.#length * hashBytes
    if (end === this.#bytes.length) {
      const grown = new Uint8Array(2 * end)
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    this.#bytes.set(hash, end)
    this.#length++
  }

  /** A view of `count` hashes from `index` on; throws RangeError when there are not as many. */
  range(index: number, count: number): Uint8Array {
    if (index < 0 || index + count > this.#length) throw new RangeError('no such hash')
    return this.#bytes.subarray(index * hashBytes, (index + count) * hashBytes)
  }

  /** A copy of the first `count` hashes. */
  slice(count: number): HashColumn {
    const copy = new HashColumn()
    copy.#bytes = this.#bytes.slice(0, Math.max(1, count) * hashBytes)
    copy.#length = count
    return copy
  }
}
