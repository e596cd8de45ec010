/** Chunks that come, read as numbers and pieces. */
export class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = new Uint8Array()
  #at = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Whether nothing comes any more. */
  async isAtEnd(): Promise<boolean> {
    return this.#left === 0 && !(await this.#more())
  }

  /** A number in seven bits per byte, low ones first. Throws MalformedError beyond `max`. */
  async number(max: number): Promise<number> {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#left > 0 ? this.#chunk[this.#at++] : await this.#byte()
      if (byte === undefined) throw new MalformedError('ends too early')
      value += (byte & 0x7f) * scale
      if (value > max || scale > 2 ** 49) throw new MalformedError('a number is too large')
      if (byte < 0x80) return value
    }
  }

  /** The next bytes; memory is taken as they come, not as they are declared. Throws MalformedError. */
  async whole(length: number): Promise<Uint8Array> {
    if (this.#left >= length) return this.#take(length)
    // One memory that grows: kept piece by piece, bytes that come one by one take a hundred times as much.
    let whole = new Uint8Array(Math.min(length, firstBytes))
    let filled = 0
    for await (const piece of this.pieces(length)) {
      const needed = filled + piece.length
      if (needed > whole.length) {
        const larger = new Uint8Array(Math.min(length, Math.max(needed, 2 * whole.length)))
        larger.set(whole.subarray(0, filled))
        whole = larger
      }
      whole.set(piece, filled)
      filled = needed
    }
    return whole
  }

  /** The next bytes in pieces, each valid until the next one is asked for. Throws MalformedError. */
  async *pieces(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#left === 0 && !(await this.#more())) throw new MalformedError('ends too early')
      const piece = this.#take(Math.min(left, this.#left))
      left -= piece.length
      yield piece
    }
  }

  get #left(): number {
    return this.#chunk.length - this.#at
  }

  #take(length: number): Uint8Array {
    const bytes = this.#chunk.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  async #byte(): Promise<number | undefined> {
    if (!(await this.#more())) return undefined
    return this.#chunk[this.#at++]
  }

  /** The next chunk that is not empty. */
  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next()
      if (next.done === true) return false
      this.#chunk = next.value
      this.#at = 0
      if (this.#left > 0) return true
    }
  }
}

/** Taken at once for a piece of any length. */
const firstBytes = 65_536

/** Bytes that are not what they should be. */
export class MalformedError extends Error {
  readonly code = 'MALFORMED'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'MalformedError'
  }
}
