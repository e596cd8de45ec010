import type { PeerId } from '@modmesh/fill'
import type { HeadExchange } from '@modmesh/peers'
import { type SumdbClient, SumdbForkError, SumdbUntrustedError } from '@modmesh/sumdb'
import { errorText } from './errors.ts'
import type { Logger } from './log.ts'

/** A head that a peer shows is reconciled in this time or left for the next. Milliseconds. */
const mergeMs = 20_000

/** Shows our tree head to members, and reconciles theirs with it (design, section 5, Tree heads and tiles). */
export class PeerHeads implements HeadExchange, AsyncDisposable {
  readonly #client: SumdbClient | undefined
  readonly #log: Pick<Logger, 'debug' | 'warn' | 'error'>
  readonly #ended = new AbortController()
  readonly #merges = new Set<Promise<void>>()

  constructor(components: {
    readonly client: SumdbClient | undefined
    readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>
  }) {
    this.#client = components.client
    this.#log = components.log
  }

  async heads(): Promise<readonly { readonly database: string; readonly note: string }[]> {
    const head = await this.#client?.head()
    const database = this.#client?.name
    return head === undefined || database === undefined ? [] : [{ database, note: head.note }]
  }

  onHead(listener: () => void): () => void {
    return this.#client?.onHead(listener) ?? (() => undefined)
  }

  received(peer: PeerId, database: string, note: string): void {
    if (this.#client?.name !== database || this.#ended.signal.aborted) return
    const merge = this.#merge(this.#client, peer, note)
    this.#merges.add(merge)
    void merge.then(() => this.#merges.delete(merge))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the node stops'))
    await Promise.all(this.#merges)
  }

  /** Never rejects: a head is news, and nobody waits for it. */
  async #merge(client: SumdbClient, peer: PeerId, note: string): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(mergeMs)])
      await client.mergeHead(note, { signal })
    } catch (error) {
      const reason = errorText(error)
      if (error instanceof SumdbForkError)
        this.#log.error({ peer, reason }, 'checksum database forked')
      else if (error instanceof SumdbUntrustedError)
        this.#log.warn({ peer, reason }, 'bad tree head')
      else this.#log.debug({ peer, reason }, 'tree head not reconciled')
    }
  }
}
