import type { ByteSink, ResumePoint, ZipBytes, ZipResume } from '@modmesh/fill'
import type { ZipDigest } from '@modmesh/module'
import { fastZipDigest } from './truth.ts'

/** Where a body of the simulation was cut. */
interface SimPoint extends ResumePoint {
  readonly bytes: Uint8Array
}

/** A body that comes from a node, perhaps joined to what came of another one. */
export class SimBody {
  readonly zipDigest: ZipDigest
  readonly isJoined: boolean
  readonly #sink: ByteSink
  #bytes: Uint8Array

  private constructor(zipDigest: ZipDigest, sink: ByteSink, came: Uint8Array) {
    this.zipDigest = zipDigest
    this.isJoined = came.length > 0
    this.#sink = sink
    this.#bytes = came
  }

  /** Begins where the one before was cut if both declare one digest, else anew. */
  static async begin(
    whole: ZipBytes,
    sink: ByteSink,
    resume: ZipResume | undefined,
  ): Promise<SimBody> {
    const { zipDigest } = whole
    const from = resume?.from
    const came = from !== undefined && isSimPoint(from) ? from.bytes : undefined
    const isSame = came !== undefined && from?.zipDigest === zipDigest
    if (from !== undefined && !isSame) await resume?.onReset('other-bytes')
    const body = new SimBody(zipDigest, sink, isSame ? came : new Uint8Array())
    resume?.onBody(() => body.#point(), whole)
    return body
  }

  get size(): number {
    return this.#bytes.length
  }

  /** Whether what came has the digest that was declared. */
  get isTrue(): boolean {
    return fastZipDigest(this.#bytes) === this.zipDigest
  }

  /** Writes what is not there yet of the first bytes. */
  async writeTo(bytes: Uint8Array, end: number): Promise<void> {
    const rest = bytes.subarray(this.size, end)
    this.#bytes = Buffer.concat([this.#bytes, rest])
    if (rest.length > 0) await this.#sink.write(rest)
  }

  #point(): SimPoint {
    return { zipDigest: this.zipDigest, size: this.size, bytes: this.#bytes }
  }
}

function isSimPoint(point: ResumePoint): point is SimPoint {
  return 'bytes' in point
}
