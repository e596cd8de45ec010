import { Turns } from '@modmesh/fill'
import { controlLimits } from './limits.ts'
import type { Answer, AnyReply, Fetching, Query } from './message.ts'

/** A query that the node answers; heartbeats are answered by the session itself. */
export type NodeQuery = Exclude<Query, { kind: 'heartbeat' }>

/** Makes the answer to a query. */
export type AnswerQuery = (
  query: NodeQuery,
  options: {
    readonly signal: AbortSignal
    /** Sends a sign of life before the answer. */
    readonly tell: (notice: Omit<Fetching, 're'>) => void
  },
) => Promise<AnyReply>

/** What serving a peer's queries needs. */
export interface ServedQueriesComponents {
  readonly answer: AnswerQuery
  readonly send: (message: Answer | Fetching) => void
  /** Resolves when a large answer may be sent. */
  readonly room: () => Promise<void>
  /** Told of exceptions of `answer`. */
  readonly failed: (error: unknown) => void
}

/** Answers a peer's queries: many are worked on at once, and more than it may have on its way are refused. */
export class ServedQueries {
  readonly #components: ServedQueriesComponents
  readonly #signal: AbortSignal
  readonly #answering = new Turns(controlLimits.servedAtOnce)
  /** Large answers that became ready together must not all take the same room. */
  readonly #large = new Turns(1)
  #served = 0
  #fetches = 0

  constructor(components: ServedQueriesComponents, init: { readonly signal: AbortSignal }) {
    this.#components = components
    this.#signal = init.signal
  }

  /** Answers a query when it is its turn. */
  serve(query: NodeQuery): void {
    const isFetch = query.kind === 'fetch-query'
    const isTooMany = isFetch
      ? this.#fetches >= controlLimits.servedFetches
      : this.#served >= controlLimits.servedQueries
    if (isTooMany) this.#components.send({ kind: 'error', re: query.id, reason: 'busy' })
    else void (isFetch ? this.#serveFetch(query) : this.#serveInLine(query))
  }

  async #serveInLine(query: NodeQuery): Promise<void> {
    const options = { signal: this.#signal }
    this.#served += 1
    await this.#answering
      .run(async () => {
        await this.#components.room()
        await this.#answer(query)
      }, options)
      .catch(noop) // the session ended before its turn
    this.#served -= 1
  }

  /** Fetching takes long and little memory: it has no lane of those that answer at once. */
  async #serveFetch(query: NodeQuery): Promise<void> {
    this.#fetches += 1
    await this.#answer(query, () =>
      this.#large.run(() => this.#components.room(), { signal: this.#signal }),
    )
    this.#fetches -= 1
  }

  /** Never rejects. */
  async #answer(query: NodeQuery, whenRoom: () => Promise<void> = noWait): Promise<void> {
    const { answer, send, failed } = this.#components
    const re = query.id
    const signal = this.#signal
    const tell = (notice: Omit<Fetching, 're'>) => send({ ...notice, re })
    try {
      const reply = await answer(query, { signal, tell })
      await whenRoom()
      send({ ...reply, re } as Answer)
    } catch (error) {
      if (signal.aborted) return
      failed(error)
      send({ kind: 'error', re, reason: 'failed' })
    }
  }
}

function noop(): void {}

async function noWait(): Promise<void> {}
