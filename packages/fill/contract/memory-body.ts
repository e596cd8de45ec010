import { createHash } from 'node:crypto'
import { parseZipDigest, type ZipDigest } from '@modmesh/module'
import type { ResumePoint, ZipFetchOptions } from '../src/peers.ts'
import type { ByteSink } from '../src/zip-store.ts'

/** Where a body in memory was cut. */
class MemoryPoint implements ResumePoint {
  readonly zipDigest: ZipDigest
  readonly bytes: Uint8Array

  constructor(zipDigest: ZipDigest, bytes: Uint8Array) {
    this.zipDigest = zipDigest
    this.bytes = bytes
  }

  get size(): number {
    return this.bytes.length
  }
}

/** A body that comes from a peer in memory. */
export class MemoryBody implements ByteSink {
  readonly #zipDigest: ZipDigest
  readonly #sink: ByteSink
  bytes: Uint8Array

  constructor(zipDigest: ZipDigest, sink: ByteSink, came: Uint8Array) {
    this.#zipDigest = zipDigest
    this.#sink = sink
    this.bytes = came
  }

  get size(): number {
    return this.bytes.length
  }

  point(): MemoryPoint {
    return new MemoryPoint(this.#zipDigest, this.bytes)
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return
    this.bytes = Buffer.concat([this.bytes, chunk])
    await this.#sink.write(chunk)
  }
}

/** What came of a zip before, if it is of these bytes as far as was declared. */
export function joinedTo(bytes: Uint8Array, { resume }: ZipFetchOptions): Uint8Array {
  const from = resume?.from
  const isSame = from?.zipDigest === digestOf(bytes) && from.size <= bytes.length
  return isSame && from instanceof MemoryPoint ? from.bytes : new Uint8Array()
}

export function digestOf(bytes: Uint8Array): ZipDigest {
  return parseZipDigest(createHash('sha256').update(bytes).digest('hex'))
}
