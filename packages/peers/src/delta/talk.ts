import type { Stream } from '@libp2p/interface'
import type { ByteSink, DeltaTalk } from '@modmesh/fill'
import { NotGivenError } from '../body/not-given.ts'
import { ProtocolError } from '../errors.ts'
import type { Taking } from '../sites/site-links.ts'
import { DeltaCutError, type Frame, FrameReader, frameKinds } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { deltaLimits } from './limits.ts'
import {
  type DeltaAnswer,
  type DeltaAsk,
  type DeltaRequest,
  decodeDeltaAnswer,
  encodeDelta,
} from './message.ts'

type GivenAnswer = Extract<DeltaAnswer, { status: 'whole' | 'manifest' | 'files' }>
type Waiting = { readonly signal: AbortSignal }

/** One stream on which one zip is told in parts. Throws what `failed` makes of its troubles, and the sinks' own errors. */
export class Talk implements DeltaTalk {
  /** Told once when the stream is closed, and whether all went well. */
  onClosed: (isGood: boolean) => void = () => {}
  receivedBytes = 0
  readonly #stream: Stream
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  readonly #onBytes: (bytes: number) => void
  readonly #failed: (error: unknown) => Error
  readonly #taking: Taking | undefined
  readonly #signal: AbortSignal
  #answer: DeltaTalk['answer'] | undefined
  #wholeBytes = 0
  #lastMs = performance.now()
  /** When bytes of an answer came last. */
  #fedMs = performance.now()
  /** Signs of life since then. */
  #signs = 0
  /** Nothing that was asked for is still to come. */
  #isIdle = false
  #isGood = true
  #isClosed = false

  constructor(
    stream: Stream,
    init: {
      readonly onBytes: (bytes: number) => void
      readonly failed: (error: unknown) => Error
      readonly taking: Taking | undefined
      /** Ends whatever is asked. */
      readonly signal: AbortSignal
    },
  ) {
    this.#stream = stream
    this.#onBytes = init.onBytes
    this.#failed = init.failed
    this.#taking = init.taking
    this.#signal = init.signal
    this.#writer = new FrameWriter(stream)
    this.#reader = new FrameReader(stream, (bytes) => {
      this.receivedBytes += bytes
      this.#lastMs = performance.now()
      this.#onBytes(bytes)
    })
  }

  get answer(): DeltaTalk['answer'] {
    if (this.#answer === undefined) throw new Error('nothing was asked yet')
    return this.#answer
  }

  /** Asks, and takes what comes at once. Throws ProtocolError, DeltaCutError, NotGivenError, the signal's reason. */
  async ask(request: DeltaRequest, options: Waiting): Promise<void> {
    this.#isGood = false
    await this.#begin(request, options)
    this.#isGood = true
  }

  async #begin(request: DeltaRequest, options: Waiting): Promise<void> {
    const answer = await this.#say(request, options)
    if (answer.status === 'whole') {
      this.#wholeBytes = answer.length
      this.#isIdle = answer.length === 0
      this.#answer = { kind: this.#isIdle ? 'elsewhere' : 'whole' }
      return
    }
    if (answer.status !== 'manifest')
      throw new ProtocolError(`${answer.status} is no answer to this`)
    const { base, shared: isBaseShared, length, zipBytes, newBytes, newPackedBytes } = answer
    if (base !== undefined && base >= request.bases.length) throw new ProtocolError('no such base')
    const packed = new Collected(length)
    await this.#take(packed, options)
    if (packed.size !== length) throw new ProtocolError('another length than declared')
    const told = { base, isBaseShared, packed: packed.bytes, zipBytes, newBytes, newPackedBytes }
    this.#answer = { kind: 'manifest', told }
  }

  async zip(sink: ByteSink, options: Waiting): Promise<void> {
    const counted = new Counted(sink, this.#wholeBytes)
    await this.#orFail(counted, options, async () => {
      await this.#take(counted, options)
      if (counted.size !== this.#wholeBytes) throw new ProtocolError('another length than declared')
    })
  }

  async files(
    { form, base, files }: Parameters<DeltaTalk['files']>[0],
    sink: ByteSink,
    options: Waiting,
  ): Promise<void> {
    const counted = new Counted(sink, deltaLimits.bodyBytes)
    const against = form === 'P' && base !== undefined ? { base } : {}
    await this.#orFail(counted, options, async () => {
      const answer = await this.#say({ kind: 'files', form, files, ...against }, options)
      if (answer.status !== 'files') throw new ProtocolError(`${answer.status} instead of files`)
      await this.#take(counted, options)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#reader[Symbol.dispose]()
    if (this.#isGood && this.#isIdle) {
      const signal = AbortSignal.timeout(deltaLimits.silenceMs)
      await this.#stream.close({ signal }).catch((error: Error) => this.#stream.abort(error))
    } else this.#stream.abort(new Error('not wanted any more'))
    this.onClosed(this.#isGood)
  }

  async #say(ask: DeltaAsk, options: Waiting): Promise<GivenAnswer> {
    this.#isIdle = false
    this.#fed()
    await this.#writer.message(encodeDelta(ask), options)
    const frame = await this.#frame(options)
    if (frame.kind !== frameKinds.message) throw new ProtocolError('data where an answer was due')
    const answer = decodeDeltaAnswer(frame.bytes)
    const { status } = answer
    const isRefusal = status === 'busy' || status === 'absent' || status === 'unsupported'
    if (isRefusal) throw new NotGivenError(answer)
    return answer
  }

  /** Brings data into a sink until its end. */
  async #take(sink: ByteSink, options: Waiting): Promise<void> {
    for (;;) {
      const frame = await this.#frame(options)
      if (frame.kind === frameKinds.end) {
        this.#taking?.pause()
        this.#isIdle = true
        return
      }
      if (frame.kind !== frameKinds.data) throw new ProtocolError('no data where some was due')
      this.#fed()
      await this.#taking?.take(frame.bytes.length, options)
      await sink.write(frame.bytes)
    }
  }

  #fed(): void {
    this.#fedMs = performance.now()
    this.#signs = 0
  }

  /** The next frame that says something. */
  async #frame({ signal }: Waiting): Promise<Frame> {
    for (;;) {
      const frame = await this.#inTime(signal)
      if (frame === undefined) throw new DeltaCutError('it ended too early')
      if (frame.kind !== frameKinds.working) return frame
      this.#signs += 1
      if (this.#signs > mostSigns) throw new ProtocolError('signs of life without an end')
      if (performance.now() - this.#fedMs > deltaLimits.longestWorkMs) {
        throw new DeltaCutError('it works for too long')
      }
      this.#onBytes(0)
    }
  }

  async #inTime(signal: AbortSignal): Promise<Frame | undefined> {
    const late = new AbortController()
    this.#lastMs = performance.now()
    const timer = setInterval(() => {
      if (performance.now() - this.#lastMs < deltaLimits.silenceMs) return
      late.abort(new DeltaCutError(`no byte for ${deltaLimits.silenceMs} ms`))
    }, deltaLimits.workingMs)
    try {
      return await this.#reader.read({
        signal: AbortSignal.any([signal, this.#signal, late.signal]),
      })
    } finally {
      clearInterval(timer)
    }
  }

  async #orFail(sink: Counted, { signal }: Waiting, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#isGood = false
      signal.throwIfAborted()
      if (sink.failure !== undefined) throw sink.failure.error
      throw this.#failed(error)
    }
  }
}

/** So many signs of life an honest sender gives at most, with room for timers that are early. */
const mostSigns = (2 * deltaLimits.longestWorkMs) / deltaLimits.workingMs

/** Passes on what comes, no more than may come, and remembers the sink's own failure. */
class Counted implements ByteSink {
  size = 0
  failure: { readonly error: unknown } | undefined
  readonly #sink: ByteSink
  readonly #max: number

  constructor(sink: ByteSink, max: number) {
    this.#sink = sink
    this.#max = max
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.size += chunk.length
    if (this.size > this.#max) throw new ProtocolError('more than declared')
    try {
      await this.#sink.write(chunk)
    } catch (error) {
      this.failure = { error }
      throw error
    }
  }
}

/** Keeps what comes, in one piece: it may come in a million. */
class Collected implements ByteSink {
  size = 0
  readonly bytes: Uint8Array

  constructor(length: number) {
    this.bytes = new Uint8Array(length)
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.size + chunk.length > this.bytes.length) throw new ProtocolError('more than declared')
    this.bytes.set(chunk, this.size)
    this.size += chunk.length
  }
}
