import { type Clock, Turns } from '@modmesh/fill'
import { ProtocolError, QueryFailedError } from '../errors.ts'
import { controlLimits } from './limits.ts'
import {
  type Answer,
  type AnswerKinds,
  type Ask,
  answerKinds,
  type Fetching,
  type Query,
  type Reply,
} from './message.ts'

interface Waiting {
  readonly kind: Answer['kind']
  readonly onFetching: ((notice: Fetching) => void) | undefined
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** How long an asker waits. */
export interface AskOptions {
  readonly signal: AbortSignal
  readonly deadlineMs: number
  /** Told of signs of life before the answer of a fetch query. */
  readonly onFetching?: (notice: Fetching) => void
}

/** Ends timers whose query was answered; never seen by anybody. */
const answered = new Error('answered')

/** Our queries on their way to one peer, by number. */
export class Questions {
  readonly #clock: Clock
  readonly #send: (query: Query) => void
  readonly #waiting = new Map<number, Waiting>()
  readonly #turns = new Turns(controlLimits.outstandingQueries)
  /** Fetch queries take long: they must not keep the others waiting. */
  readonly #fetchTurns = new Turns(controlLimits.outstandingFetches)
  #nextId = 1
  #end: Error | undefined

  constructor(components: { readonly clock: Clock; readonly send: (query: Query) => void }) {
    this.#clock = components.clock
    this.#send = components.send
  }

  /** Queries not answered yet. */
  get size(): number {
    return this.#waiting.size
  }

  /** Asks, in line with the others. Throws QueryFailedError, what `fail` was given, or the signal's reason. */
  ask<K extends keyof AnswerKinds>(query: Ask<K>, options: AskOptions): Promise<Reply<K>> {
    const turns = query.kind === 'fetch-query' ? this.#fetchTurns : this.#turns
    return turns.run(() => this.askNow(query, options), options)
  }

  /** Asks at once, past the line: for heartbeats. */
  async askNow<K extends keyof AnswerKinds>(query: Ask<K>, options: AskOptions): Promise<Reply<K>> {
    if (this.#end !== undefined) throw this.#end
    options.signal.throwIfAborted()
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const timer = new AbortController()
    const onAbort = () => reject(options.signal.reason)
    options.signal.addEventListener('abort', onAbort, { once: true })
    const { onFetching } = options
    this.#waiting.set(id, { kind: answerKinds[query.kind as K], onFetching, resolve, reject })
    this.#clock.sleep(options.deadlineMs, { signal: timer.signal }).then(
      () => reject(new QueryFailedError('timeout')),
      () => {}, // answered in time
    )
    try {
      this.#send({ ...query, id } as unknown as Query)
      return (await promise) as unknown as Reply<K>
    } finally {
      timer.abort(answered)
      options.signal.removeEventListener('abort', onAbort)
      this.#waiting.delete(id)
    }
  }

  /** Gives an answer to its asker. False when nobody waits for it. Throws ProtocolError on a wrong kind. */
  settle(answer: Answer): boolean {
    const waiting = this.#waiting.get(answer.re)
    if (waiting === undefined) return false
    if (answer.kind === 'error') waiting.reject(new QueryFailedError(answer.reason))
    else if (answer.kind === waiting.kind) waiting.resolve(answer)
    else throw new ProtocolError(`${answer.kind} where ${waiting.kind} was due`)
    return true
  }

  /** Gives a sign of life to who waits for its answer, if anybody does. */
  fetching(notice: Fetching): void {
    this.#waiting.get(notice.re)?.onFetching?.(notice)
  }

  /** Fails all that wait and all that will ask. */
  fail(error: Error): void {
    this.#end = error
    for (const waiting of this.#waiting.values()) waiting.reject(error)
  }
}
