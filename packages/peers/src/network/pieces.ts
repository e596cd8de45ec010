/** Pieces of at most so many bytes are put together, in blocks of so many. */
const gatheredBytes = 1_024
const blockBytes = 16_384

/**
 * Bytes that came and wait to be read, in order. Small pieces are put together: a million of one byte each would
 * take minutes to read, and 200 MB.
 */
export class Pieces {
  #pieces: Uint8Array[] = []
  #size = 0
  /** Where small pieces go, and how far it is full. */
  #block: Uint8Array = new Uint8Array()
  #end = 0

  /** Bytes that wait. */
  get size(): number {
    return this.#size
  }

  /** The oldest piece. */
  get first(): Uint8Array | undefined {
    return this.#pieces[0]
  }

  push(bytes: Uint8Array): void {
    this.#size += bytes.length
    if (bytes.length > gatheredBytes) this.#pieces.push(bytes)
    else if (bytes.length > 0) this.#gather(bytes)
  }

  /** The next `length` bytes, which must be there; a copy where they came in several pieces. */
  take(length: number): Uint8Array {
    const { first } = this
    if (first !== undefined && first.length >= length) {
      this.drop(length)
      return first.subarray(0, length)
    }
    const bytes = new Uint8Array(length)
    for (let filled = 0; filled < length; ) {
      const part = this.first?.subarray(0, length - filled)
      if (part === undefined) throw new RangeError(`${this.#size} bytes and not ${length} wait`)
      bytes.set(part, filled)
      filled += part.length
      this.drop(part.length)
    }
    return bytes
  }

  /** Takes so many bytes off the oldest piece. */
  drop(length: number): void {
    const { first } = this
    if (first === undefined) return
    this.#size -= length
    if (first.length > length) this.#pieces[0] = first.subarray(length)
    else this.#pieces.shift()
  }

  clear(): void {
    this.#pieces = []
    this.#size = 0
  }

  #gather(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#block.length) {
      this.#block = new Uint8Array(blockBytes)
      this.#end = 0
    }
    const at = this.#end
    this.#block.set(bytes, at)
    this.#end += bytes.length
    const last = this.#pieces.at(-1)
    const isBefore = last?.buffer === this.#block.buffer && last.byteOffset + last.length === at
    if (isBefore)
      this.#pieces[this.#pieces.length - 1] = this.#block.subarray(last.byteOffset, this.#end)
    else this.#pieces.push(this.#block.subarray(at, this.#end))
  }
}
