import type { PeerId } from '@modmesh/fill'
import type { HeadExchange, ReadTile } from '@modmesh/peers'
import { type SumdbClient, SumdbForkError, SumdbUntrustedError } from '@modmesh/sumdb'
import { errorText } from './errors.ts'
import { KeptHeads, type KeptHeadsFile } from './kept-heads.ts'
import type { Logger } from './log.ts'

/** A head that a peer shows is reconciled in this time, or kept for later. Milliseconds. */
const mergeMs = 20_000

/** Before kept heads are tried again when nothing happens; doubles up to `retryMaxMs`. Milliseconds. */
const retryMs = 30_000
const retryMaxMs = 600_000

/** Peers that showed a head lately, and may have its tiles. */
const maxShowers = 4

export interface PeerHeadsComponents {
  readonly client: SumdbClient | undefined
  readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>
  /** Where heads wait that cannot be reconciled yet. */
  readonly file: KeptHeadsFile
}

/**
 * Shows our tree head to members, and reconciles theirs with it (design, section 5, Tree heads and tiles).
 * One whose tiles cannot be had is kept, and tried again when our head moves, when a peer shows a head, and
 * from time to time: a fork that was seen is not forgotten because nobody could look at that moment.
 */
export class PeerHeads implements HeadExchange, AsyncDisposable {
  readonly #client: SumdbClient | undefined
  readonly #log: PeerHeadsComponents['log']
  readonly #kept: KeptHeads
  readonly #ended = new AbortController()
  readonly #work = new Set<Promise<void>>()
  readonly #showers = new Map<PeerId, ReadTile>()
  readonly #stopListening: () => void
  #timer: NodeJS.Timeout | undefined
  #waitMs = retryMs
  #isTrying = false

  constructor(components: PeerHeadsComponents) {
    this.#client = components.client
    this.#log = components.log
    this.#kept = new KeptHeads(components.file)
    this.#stopListening = this.#client?.onHead(() => this.#tryKept()) ?? (() => undefined)
    this.#tryKept()
  }

  async heads(): Promise<readonly { readonly database: string; readonly note: string }[]> {
    const head = await this.#client?.head()
    const database = this.#client?.name
    return head === undefined || database === undefined ? [] : [{ database, note: head.note }]
  }

  onHead(listener: () => void): () => void {
    return this.#client?.onHead(listener) ?? (() => undefined)
  }

  received(peer: PeerId, database: string, note: string, readTile: ReadTile): void {
    const client = this.#client
    if (client?.name !== database || this.#ended.signal.aborted) return
    this.#remember(peer, readTile)
    this.#run(async () => {
      await this.#merge(client, { peer, note })
      // Whoever shows a head may have the tiles for others, too.
      await this.#mergeKept(client, note)
    })
  }

  /** A tile that peers who showed a head have; undefined when none does. Unverified. */
  async tile(
    database: string,
    path: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    if (database !== this.#client?.name) return undefined
    for (const [peer, readTile] of [...this.#showers].toReversed()) {
      try {
        const tile = await readTile(path, options)
        if (tile !== undefined) return tile
      } catch {
        options.signal.throwIfAborted()
        this.#showers.delete(peer) // it is gone
      }
    }
    return undefined
  }

  /** Heads that could not be reconciled yet. */
  async waiting(): Promise<number> {
    return (await this.#kept.all()).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening()
    clearTimeout(this.#timer)
    this.#ended.abort(new Error('the node stops'))
    await Promise.all(this.#work)
  }

  #remember(peer: PeerId, readTile: ReadTile): void {
    this.#showers.delete(peer)
    this.#showers.set(peer, readTile)
    const [oldest] = this.#showers.size > maxShowers ? this.#showers.keys() : []
    if (oldest !== undefined) this.#showers.delete(oldest)
  }

  #tryKept(): void {
    const client = this.#client
    if (client !== undefined) this.#run(() => this.#mergeKept(client))
  }

  /** All but one that was just tried. */
  async #mergeKept(client: SumdbClient, tried?: string): Promise<void> {
    if (this.#isTrying) return
    this.#isTrying = true
    try {
      for (const head of await this.#kept.all()) {
        if (this.#ended.signal.aborted) return
        if (head.note !== tried) await this.#merge(client, head)
      }
      await this.#plan()
    } finally {
      this.#isTrying = false
    }
  }

  async #plan(): Promise<void> {
    clearTimeout(this.#timer)
    if ((await this.waiting()) === 0) {
      this.#waitMs = retryMs
      return
    }
    if (this.#ended.signal.aborted) return
    this.#timer = setTimeout(() => this.#tryKept(), this.#waitMs).unref()
    this.#waitMs = Math.min(retryMaxMs, this.#waitMs * 2)
  }

  async #merge(client: SumdbClient, { peer, note }: { peer: PeerId; note: string }): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(mergeMs)])
      await client.mergeHead(note, { signal })
      await this.#kept.drop(note)
    } catch (error) {
      const reason = errorText(error)
      if (error instanceof SumdbForkError) {
        // Both notes are kept as evidence by the client.
        this.#log.error({ peer, reason }, 'checksum database forked')
        await this.#kept.drop(note)
      } else if (client.isHead(note)) {
        // Signed, and the tiles that came are not its own: a lying peer, or a fork that nobody can show yet.
        const level = error instanceof SumdbUntrustedError ? 'warn' : 'debug'
        this.#log[level]({ peer, reason }, 'tree head kept until its tiles can be had')
        await this.#kept.keep({ peer, note })
      } else {
        this.#log.warn({ peer, reason }, 'bad tree head')
        await this.#kept.drop(note)
      }
    }
  }

  /** Nobody waits for it: what fails is told to the log. */
  #run(work: () => Promise<void>): void {
    const running = work().catch((error: unknown) => {
      this.#log.warn({ reason: errorText(error) }, 'heads of peers are not kept')
    })
    this.#work.add(running)
    void running.then(() => this.#work.delete(running))
  }
}
