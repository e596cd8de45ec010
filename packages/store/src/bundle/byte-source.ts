import { BundleError } from './faults.ts'

/** Takes a stream of bytes in the portions that its reader wants. Each chunk may be used again once the next one is asked for. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Reads exactly so many bytes, into memory of their own. Throws BundleError (BUNDLE_TRUNCATED). */
  async take(size: number): Promise<Uint8Array> {
    if (this.#rest.length >= size) return Uint8Array.from(this.#cut(size))
    const parts: Uint8Array[] = []
    for await (const part of this.pieces(size)) parts.push(Uint8Array.from(part))
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
  }

  /** Reads so many bytes as they come; a piece is valid until the next one is asked for. Throws BundleError (BUNDLE_TRUNCATED). */
  async *pieces(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0) await this.#pull(left)
      const piece = this.#cut(Math.min(left, this.#rest.length))
      left -= piece.length
      yield piece
    }
  }

  /** Whether nothing more comes. */
  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) return true
      this.#rest = next.value
    }
    return false
  }

  async #pull(left: number): Promise<void> {
    if (!(await this.isAtEnd())) return
    throw new BundleError('BUNDLE_TRUNCATED', `it ends ${left} or more bytes too early`)
  }

  #cut(size: number): Uint8Array {
    const piece = this.#rest.subarray(0, size)
    this.#rest = this.#rest.subarray(size)
    return piece
  }
}
