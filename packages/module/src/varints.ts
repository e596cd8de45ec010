import { InvalidFileError } from './errors.ts'

/** Appends whole numbers in seven bits per byte, low ones first, and bytes. */
export class VarintWriter {
  #bytes = new Uint8Array(256)
  #length = 0

  /** Appends a whole number from 0 up to 2^53 - 1. */
  number(value: number): void {
    let rest = value
    this.#grow(8)
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
  }

  bytes(value: Uint8Array): void {
    this.#grow(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #grow(by: number): void {
    if (this.#length + by <= this.#bytes.length) return
    const larger = new Uint8Array(2 * (this.#length + by))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** Reads what VarintWriter wrote, strictly: the shortest spelling only, never past the end. */
export class VarintReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  /** `what` names the text in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** Throws InvalidFileError beyond `max`. */
  number(max: number): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw this.fault('ends too early')
      value += (byte & 0x7f) * scale
      if (value > max) throw this.fault('a number is too large')
      if (byte >= 0x80) continue
      if (byte === 0 && scale > 1) throw this.fault('a number is not in its shortest form')
      return value
    }
  }

  /** The next bytes, not copied. Throws InvalidFileError. */
  bytes(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw this.fault('ends too early')
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  /** All bytes that are left, not copied. */
  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#at)
  }

  fault(reason: string): InvalidFileError {
    return new InvalidFileError(this.#what, reason)
  }
}
