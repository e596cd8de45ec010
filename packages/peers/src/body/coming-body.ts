import { createHash, type Hash } from 'node:crypto'
import type { ByteSink, ResumePoint } from '@modmesh/fill'
import type { ZipDigest } from '@modmesh/module'

/** How far a zip has come, with its hash so far: from here the next holder of the same bytes goes on. */
export class CutBody implements ResumePoint {
  readonly zipDigest: ZipDigest
  readonly size: number
  readonly #hash: Hash

  constructor(zipDigest: ZipDigest, size: number, hash: Hash) {
    this.zipDigest = zipDigest
    this.size = size
    this.#hash = hash
  }

  /** Gives the hash of these bytes, to go on with. */
  hash(): Hash {
    return this.#hash.copy()
  }
}

/** A zip that comes from one holder: from its beginning, or from where another one was cut. */
export class ComingBody {
  readonly zipDigest: ZipDigest
  readonly #hash: Hash
  #size: number

  /** `zipDigest`: as declared, of the whole. */
  constructor(zipDigest: ZipDigest, from: CutBody | undefined) {
    this.zipDigest = zipDigest
    this.#hash = from?.hash() ?? createHash('sha256')
    this.#size = from?.size ?? 0
  }

  /** How far it has come by now, whatever comes later. */
  point(): CutBody {
    return new CutBody(this.zipDigest, this.#size, this.#hash.copy())
  }

  /** Takes up what goes into a sink. */
  into(sink: ByteSink): ByteSink {
    return {
      write: (chunk) => {
        this.#hash.update(chunk)
        this.#size += chunk.byteLength
        return sink.write(chunk)
      },
    }
  }

  /** Whether all that came, joined bytes included, has the digest that was declared. */
  isTrue(): boolean {
    return this.#hash.copy().digest('hex') === this.zipDigest
  }
}
