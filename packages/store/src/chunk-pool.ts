import {
  crowdedChunkBytes,
  maxFreeChunks,
  maxFreeSmallChunks,
  maxLentBytes,
  serveChunkBytes,
} from './limits.ts'

/**
 * Memory for zips on their way out. Chunks that come back are used again: as garbage they would add up to hundreds of
 * megabytes before a collection. When many readers hold theirs, further chunks are small.
 */
export class ChunkPool {
  readonly #free: FreeChunks = { large: [], small: [] }
  #lentBytes = 0

  /** What readers hold now, bytes. */
  get lentBytes(): number {
    return this.#lentBytes
  }

  /** Begins one read. */
  lease(): ChunkLease {
    return new ChunkLease({
      take: (wanted) => this.#take(wanted),
      lend: (bytes) => {
        this.#lentBytes += bytes
      },
      keep: (memory) => this.#keep(memory),
    })
  }

  #take(wanted: number): Buffer<ArrayBuffer> {
    const isCrowded = this.#lentBytes + serveChunkBytes > maxLentBytes
    const length = Math.min(wanted, isCrowded ? crowdedChunkBytes : serveChunkBytes)
    const isSmall = length <= crowdedChunkBytes
    const free = this.#free[isSmall ? 'small' : 'large'].pop()
    return free === undefined ? Buffer.allocUnsafeSlow(length) : Buffer.from(free, 0, length)
  }

  /** Odd sizes are the ends of zips, and small ones: they are garbage soon. */
  #keep(memory: ArrayBuffer): void {
    const { large, small } = this.#free
    const { byteLength } = memory
    if (byteLength === serveChunkBytes && large.length < maxFreeChunks) large.push(memory)
    else if (byteLength === crowdedChunkBytes && small.length < maxFreeSmallChunks) {
      small.push(memory)
    }
  }
}

interface FreeChunks {
  readonly large: ArrayBuffer[]
  readonly small: ArrayBuffer[]
}

interface LeaseSource {
  readonly take: (wanted: number) => Buffer<ArrayBuffer>
  readonly lend: (bytes: number) => void
  readonly keep: (memory: ArrayBuffer) => void
}

/** A reader has one chunk on its way and one read ahead; one that holds more does not give them back. */
const chunksOfReader = 2

/** The chunks of one read. */
export class ChunkLease {
  readonly #source: LeaseSource
  /** Chunks that are out, the oldest first. */
  readonly #lent = new Set<ArrayBufferLike>()
  #isOver = false

  constructor(source: LeaseSource) {
    this.#source = source
  }

  /** Memory for at most `wanted` bytes, and often for fewer. */
  take(wanted: number): Buffer {
    const [oldest] = this.#lent
    if (oldest !== undefined && this.#lent.size >= chunksOfReader) this.#forget(oldest)
    const chunk = this.#source.take(wanted)
    this.#lent.add(chunk.buffer)
    this.#source.lend(chunk.buffer.byteLength)
    return chunk
  }

  /** Takes back what `take` gave: nobody may look at it any more. Anything else is left alone. */
  recycle({ buffer }: Uint8Array): void {
    if (this.#lent.has(buffer) && buffer instanceof ArrayBuffer) {
      this.#forget(buffer)
      this.#source.keep(buffer)
    }
  }

  /** The read is over: the last chunk may still come back. */
  end(): void {
    this.#isOver = true
    for (const { byteLength } of this.#lent) this.#source.lend(-byteLength)
  }

  #forget(buffer: ArrayBufferLike): void {
    this.#lent.delete(buffer)
    if (!this.#isOver) this.#source.lend(-buffer.byteLength)
  }
}
