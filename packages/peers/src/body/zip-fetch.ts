import type { ByteSink, ZipBytes, ZipFetchOptions } from '@modmesh/fill'
import { parseZipDigest, type ZipDigest, type ZipHash, zipHashBytes } from '@modmesh/module'
import { ProtocolError } from '../errors.ts'
import { ComingBody, CutBody } from './coming-body.ts'
import type { ReceiveBody } from './exchange.ts'
import type { BodyHeader, ZipRequest } from './message.ts'
import { NotGivenError } from './not-given.ts'

/** What comes before a zip. */
export type OkHeader = Extract<BodyHeader, { status: 'ok' }>

/** One zip asked of one holder: the rest of it where the beginning is there, and all of it when that cannot be joined. */
export class ZipFetch {
  readonly #zipHash: ZipHash
  readonly #sink: ByteSink
  readonly #options: Omit<ZipFetchOptions, 'signal'>
  /** What is asked to go on from. */
  #from: CutBody | undefined
  #isSinkEmpty: boolean
  #hasBegun = false

  constructor(zipHash: ZipHash, sink: ByteSink, options: Omit<ZipFetchOptions, 'signal'>) {
    this.#zipHash = zipHash
    this.#sink = sink
    this.#options = options
    const from = options.resume?.from
    this.#isSinkEmpty = from === undefined || from.size === 0
    this.#from = from instanceof CutBody && from.size > 0 ? from : undefined
  }

  /** What to ask now. */
  get request(): ZipRequest {
    const asked = { kind: 'zip', zipHash: zipHashBytes(this.#zipHash) } as const
    if (this.#from === undefined) return asked
    const { size: offset, zipDigest } = this.#from
    return { ...asked, offset, zipDigest: digestBytes(zipDigest) }
  }

  /**
   * Takes an answer and its body; undefined when the holder is to be asked for the whole. Throws
   * ProtocolError, NotGivenError, what `receive` and the options' functions throw.
   */
  async take(header: BodyHeader, receive: ReceiveBody): Promise<ZipBytes | undefined> {
    if (header.status === 'part') throw new ProtocolError('a part where a zip was due')
    if (header.status === 'unsupported' && this.#from !== undefined) {
      // It is older than resuming. What came is kept until its body begins.
      this.#from = undefined
      return undefined
    }
    if (header.status !== 'ok') throw new NotGivenError(header)
    return await this.#receive(header, receive)
  }

  async #receive(header: OkHeader, receive: ReceiveBody): Promise<ZipBytes | undefined> {
    const { length } = header
    const zipDigest = digestOf(header)
    const from = this.#joinedTo(header)
    this.#from = undefined
    if (from === undefined && !this.#isSinkEmpty) await this.#empty('other-bytes')
    const body = new ComingBody(zipDigest, from)
    this.#begin(body, { zipDigest, size: length })
    await receive(body.into(this.#sink), length - (from?.size ?? 0))
    if (body.isTrue()) return { zipDigest, size: length }
    if (from === undefined) {
      throw new ProtocolError('the bytes do not have the digest that was declared')
    }
    // Either holder may have lied: nobody is to blame, and this one shows what it has from the beginning.
    await this.#empty('mismatch')
    return undefined
  }

  /** What the holder goes on from. */
  #joinedTo(header: OkHeader): CutBody | undefined {
    const { length, offset = 0, end } = header
    if (end !== undefined) throw new ProtocolError('an end that was not asked for')
    const from = this.#from
    if (offset === 0) return undefined
    const isAsked = from?.size === offset && from.zipDigest === digestOf(header)
    if (!isAsked || offset > length) throw new ProtocolError('bytes that were not asked for')
    return from
  }

  #begin(body: ComingBody, whole: ZipBytes): void {
    const { resume, onFirstByte } = this.#options
    this.#isSinkEmpty = false
    resume?.onBody(() => body.point(), whole)
    if (!this.#hasBegun) onFirstByte?.()
    this.#hasBegun = true
  }

  async #empty(why: 'other-bytes' | 'mismatch'): Promise<void> {
    this.#isSinkEmpty = true
    await this.#options.resume?.onReset(why)
  }
}

/** Reads the digest that a header declares. */
export function digestOf(header: OkHeader): ZipDigest {
  return parseZipDigest(Buffer.from(header.zipDigest).toString('hex'))
}

/** Writes a digest as a request has it. */
export function digestBytes(zipDigest: ZipDigest): Uint8Array {
  return Uint8Array.from(Buffer.from(zipDigest, 'hex'))
}
