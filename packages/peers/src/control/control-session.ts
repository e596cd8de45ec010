import type { Clock } from '@modmesh/fill'
import * as lp from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import {
  isProtocolFault,
  NoCommonVersionError,
  ProtocolError,
  SessionClosedError,
} from '../errors.ts'
import { FloodGuard } from './flood-guard.ts'
import { decodeMessage, encodeMessage } from './frame.ts'
import { type ControlTimes, controlLimits, type FloodLimits } from './limits.ts'
import {
  type Answer,
  type AnswerKinds,
  type Ask,
  controlVersions,
  type Hello,
  isAnswer,
  isQuery,
  type Message,
  type Notice,
  type Query,
  type Reply,
} from './message.ts'
import { Outbox } from './outbox.ts'
import { type AskOptions, Questions } from './questions.ts'
import { type AnswerQuery, ServedQueries } from './served-queries.ts'
import type { Wire } from './wire.ts'

/** What the node makes of a peer's words. Exceptions end the answer, never the session. */
export interface SessionHandlers {
  readonly answer: AnswerQuery
  notice(notice: Notice): void
  /** Told of exceptions of the two above: bugs or failing disks of ours. */
  failed(error: unknown): void
  /** Told of each message that goes out. Must not throw. */
  sent(kind: Message['kind']): void
}

/** Why a session is over; `fault` says that the peer broke the protocol. */
export interface SessionEnd {
  readonly fault: boolean
  readonly reason: string
}

/**
 * One keep-open control stream, both directions: hello first, then notices, queries and answers in
 * any order. Everything a peer can make us keep is bounded here; what it sends can end this session
 * and nothing else.
 */
export class ControlSession {
  readonly ended: Promise<SessionEnd>
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #handlers: SessionHandlers
  readonly #times: ControlTimes
  readonly #ourHello: Hello
  readonly #outbox: Outbox
  readonly #questions: Questions
  readonly #stop = new AbortController()
  readonly #served: ServedQueries
  readonly #hello = Promise.withResolvers<Hello>()
  readonly #end = Promise.withResolvers<SessionEnd>()
  readonly #flood: FloodGuard
  #theirHello: Hello | undefined
  /** Since when a query of ours is out without a byte from the peer. */
  #unheardSince: number | undefined
  #heardAt: number
  #takenAt: number
  #rttMs: number | undefined

  constructor(
    components: { readonly wire: Wire; readonly clock: Clock; readonly handlers: SessionHandlers },
    init: { readonly hello: Hello; readonly times: ControlTimes; readonly flood: FloodLimits },
  ) {
    const { clock } = components
    this.#wire = components.wire
    this.#clock = clock
    this.#handlers = components.handlers
    this.#times = init.times
    this.#ourHello = init.hello
    this.#heardAt = clock.monotonicMs()
    this.#takenAt = this.#heardAt
    this.#outbox = new Outbox({ onTaken: () => (this.#takenAt = clock.monotonicMs()) })
    this.#flood = new FloodGuard({ clock }, init.flood)
    const send = (query: Query) => {
      this.#unheardSince ??= clock.monotonicMs()
      this.#send(query)
    }
    this.#questions = new Questions({ clock, send })
    this.#served = this.#newServed()
    this.ended = this.#end.promise
    // Nobody may be waiting for the hello when the session ends: that is no unhandled rejection.
    this.#hello.promise.catch(() => {})
  }

  /** Smoothed round trip, or undefined before the first heartbeat came back. */
  get rttMs(): number | undefined {
    return this.#rttMs
  }

  /** Aborts when the session ends. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Queries of ours that are not answered yet. */
  get outstanding(): number {
    return this.#questions.size
  }

  /** How long we have heard nothing from a peer that we asked something; 0 when we have. */
  get quietMs(): number {
    const since = this.#unheardSince
    return since === undefined ? 0 : this.#clock.monotonicMs() - since
  }

  /** How long we have heard nothing at all. */
  get silentMs(): number {
    return this.#clock.monotonicMs() - this.#heardAt
  }

  /** Sends our hello and gives the peer's. Throws SessionClosedError, NoCommonVersionError or ProtocolError. */
  start(): Promise<Hello> {
    this.#send(this.#ourHello)
    void this.#run()
    return this.#hello.promise
  }

  /** Ends the session; queries not answered fail with SessionClosedError. */
  close(reason: string): void {
    this.#finish({ fault: false, reason })
  }

  /** Sends words that need no answer. Nothing happens after the end. */
  tell(notice: Notice): void {
    this.#send(notice)
  }

  /** Resolves when a large notice may be sent. Throws SessionClosedError. */
  room(): Promise<void> {
    return this.#outbox.room()
  }

  /**
   * Asks and gives the answer. Waits in line when too many queries are on their way. Throws
   * QueryFailedError, SessionClosedError, or the signal's reason.
   */
  ask<K extends keyof AnswerKinds>(
    query: Ask<K>,
    options: Pick<AskOptions, 'signal' | 'onFetching'> & Partial<Pick<AskOptions, 'deadlineMs'>>,
  ): Promise<Reply<K>> {
    return this.#questions.ask(query, { deadlineMs: this.#times.answerMs, ...options })
  }

  #newServed(): ServedQueries {
    const handlers = this.#handlers
    return new ServedQueries(
      {
        answer: (query, options) => handlers.answer(query, options),
        send: (message) => this.#send(message),
        room: () => this.#outbox.room(),
        failed: (error) => handlers.failed(error),
      },
      { signal: this.#stop.signal },
    )
  }

  async #run(): Promise<void> {
    try {
      await Promise.race([this.#read(), this.#write(), this.#beat(), this.#awaitHello()])
      this.#finish({ fault: false, reason: 'stream ended' })
    } catch (error) {
      this.#finish({ fault: isProtocolFault(error), reason: reasonOf(error) })
    }
  }

  #finish(end: SessionEnd): void {
    if (this.#stop.signal.aborted) return
    const error = new SessionClosedError(end.reason)
    this.#stop.abort(error)
    this.#outbox.end()
    this.#questions.fail(error)
    this.#hello.reject(end.fault ? new ProtocolError(end.reason) : error)
    this.#wire.abort(error)
    this.#end.resolve(end)
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop
    await pipe(
      this.#wire.source,
      (source) => this.#flood.pieces(source, { signal, heard: () => this.#heard() }),
      (source) =>
        lp.decode(source, { maxDataLength: controlLimits.frameBytes, maxLengthLength: 4 }),
      async (frames) => {
        for await (const frame of frames) {
          await this.#flood.frame({ signal })
          this.#onFrame(frame.subarray())
        }
      },
    )
  }

  async #write(): Promise<void> {
    await this.#wire.sink(this.#outbox)
  }

  #heard(): void {
    this.#heardAt = this.#clock.monotonicMs()
    this.#unheardSince = undefined
  }

  async #awaitHello(): Promise<never> {
    const { signal } = this.#stop
    await this.#clock.sleep(this.#times.helloMs, { signal })
    if (this.#theirHello === undefined) throw new SessionClosedError('no hello')
    return new Promise<never>(() => {})
  }

  async #beat(): Promise<never> {
    await this.#hello.promise
    for (;;) {
      this.#checkSilence()
      void this.#measure()
      await this.#clock.sleep(this.#times.heartbeatMs, { signal: this.#stop.signal })
    }
  }

  #checkSilence(): void {
    const now = this.#clock.monotonicMs()
    const isDeaf = this.#outbox.bytes > 0 && now - this.#takenAt > this.#times.silenceMs
    if (isDeaf || now - this.#heardAt > this.#times.silenceMs) {
      throw new SessionClosedError(isDeaf ? 'peer does not read' : 'peer is silent')
    }
  }

  async #measure(): Promise<void> {
    const sentAt = this.#clock.monotonicMs()
    try {
      const options = { signal: this.#stop.signal, deadlineMs: this.#times.silenceMs }
      await this.#questions.askNow<'heartbeat'>({ kind: 'heartbeat' }, options)
    } catch {
      return // silence is noticed by checkSilence, the end by everybody
    }
    const sample = this.#clock.monotonicMs() - sentAt
    // RFC 6298 §2: an eighth of the new sample.
    this.#rttMs = this.#rttMs === undefined ? sample : this.#rttMs + (sample - this.#rttMs) / 8
  }

  #onFrame(frame: Uint8Array): void {
    const message = decodeMessage(frame)
    if (this.#theirHello === undefined) return this.#onHello(message)
    if (message.kind === 'unknown') {
      if (message.id !== undefined)
        this.#send({ kind: 'error', re: message.id, reason: 'unsupported' })
    } else if (isAnswer(message)) this.#onAnswer(message, frame.byteLength)
    else if (isQuery(message)) this.#onQuery(message)
    else if (message.kind === 'fetching') this.#questions.fetching(message)
    else if (message.kind === 'hello') throw new ProtocolError('a second hello')
    else this.#onNotice(message)
  }

  #onHello(message: ReturnType<typeof decodeMessage>): void {
    if (message.kind !== 'hello') throw new ProtocolError('no hello first')
    if (!message.versions.some((version) => controlVersions.includes(version))) {
      const error = new NoCommonVersionError(message.versions)
      this.#hello.reject(error)
      throw error
    }
    this.#theirHello = message
    this.#hello.resolve(message)
  }

  #onAnswer(answer: Answer, bytes: number): void {
    if (!this.#questions.settle(answer)) return // late: the asker gave up
    this.#flood.answered(bytes)
  }

  #onQuery(query: Query): void {
    if (query.kind === 'heartbeat') {
      this.#send({ kind: 'heartbeat-answer', re: query.id })
    } else {
      this.#served.serve(query)
    }
  }

  #onNotice(notice: Notice): void {
    if (notice.kind !== 'inventory' && !this.#flood.takeNotice()) return
    try {
      this.#handlers.notice(notice)
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      this.#handlers.failed(error)
    }
  }

  #send(message: Message): void {
    this.#handlers.sent(message.kind)
    if (this.#outbox.push(encodeMessage(message)) === 'full') {
      this.#finish({ fault: true, reason: 'peer does not read what it asked for' })
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'stream failed'
}
