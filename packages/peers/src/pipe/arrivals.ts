import { pipeLimits } from './limits.ts'

/**
 * Bytes that came and were not read yet, in blocks that are used again: what a socket gives is garbage
 * 60,000 times a gigabyte.
 */
export class Arrivals {
  /** The oldest first; the last one may have room. */
  readonly #blocks: Block[] = []
  readonly #free: Buffer[] = []
  #size = 0

  /** Bytes that wait. */
  get size(): number {
    return this.#size
  }

  /** Copies bytes in. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const block = this.#roomy()
      const part = bytes.subarray(at, at + block.memory.byteLength - block.end)
      block.memory.set(part, block.end)
      block.end += part.byteLength
      at += part.byteLength
    }
    this.#size += bytes.byteLength
  }

  /** Gives the oldest bytes, at least one and at most `max`, to `use`, which has them until it ends. */
  async first(max: number, use: (bytes: Uint8Array) => Promise<void> | void): Promise<number> {
    const [block] = this.#blocks
    if (block === undefined) return 0
    const { memory, start, end } = block
    const bytes = memory.subarray(start, Math.min(end, start + max))
    const { byteLength } = bytes
    block.start += byteLength
    this.#size -= byteLength
    // What is being read takes no more bytes, and nobody else's.
    if (block.start === block.end) this.#blocks.shift()
    await use(bytes)
    if (block.start === block.end && this.#free.length < freeBlocks) this.#free.push(memory)
    return byteLength
  }

  #roomy(): Block {
    const last = this.#blocks.at(-1)
    if (last !== undefined && last.end < last.memory.byteLength) return last
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(pipeLimits.blockBytes)
    const block = { memory, start: 0, end: 0 }
    this.#blocks.push(block)
    return block
  }
}

interface Block {
  readonly memory: Buffer
  start: number
  end: number
}

/** One is written, one is filled. */
const freeBlocks = 2
