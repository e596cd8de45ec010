import type { PeerId } from '@modmesh/fill'
import { type SumdbClient, SumdbForkError, SumdbUntrustedError } from '@modmesh/sumdb'
import { errorText } from './errors.ts'
import type { Logger } from './log.ts'
import type { HeadExchange } from './lone-mesh.ts'

/** A head that a peer shows is reconciled in this time or left for the next. Milliseconds. */
const mergeMs = 20_000

/** Shows our tree head to members, and reconciles theirs with it (design, section 5, Tree heads and tiles). */
export class PeerHeads implements HeadExchange {
  readonly #client: SumdbClient | undefined
  readonly #log: Pick<Logger, 'debug' | 'warn' | 'error'>
  readonly #ended: AbortSignal

  constructor(
    components: {
      readonly client: SumdbClient | undefined
      readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>
    },
    init: { readonly ended: AbortSignal },
  ) {
    this.#client = components.client
    this.#log = components.log
    this.#ended = init.ended
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
    if (this.#client?.name === database) void this.#merge(this.#client, peer, note)
  }

  /** Never rejects: a head is news, and nobody waits for it. */
  async #merge(client: SumdbClient, peer: PeerId, note: string): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#ended, AbortSignal.timeout(mergeMs)])
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
