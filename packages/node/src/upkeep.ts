import type { Clock } from '@modmesh/fill'
import type { SumdbClient, VerifierKey } from '@modmesh/sumdb'
import { errorText } from './errors.ts'
import { findClientHeads } from './go-client-heads.ts'
import type { Logger } from './log.ts'
import type { Surroundings } from './settings.ts'

/** After a new head, so that a burst of lookups that moves it makes one round. Milliseconds. */
const settleMs = 5_000
/** Between rounds without a new head: go commands of this host bring heads of their own. Milliseconds. */
const roundMs = 600_000
/** Between rounds of which the last failed. Milliseconds. */
const retryMs = 60_000

interface UpkeepComponents {
  readonly client: SumdbClient
  readonly clock: Clock
  readonly log: Pick<Logger, 'debug'>
}

/**
 * Keeps the tiles that clients will ask for: all upper ones of our tree, and those at the edge of the
 * heads that `go` commands of this host have seen. Nobody waits for it.
 */
export class SumdbUpkeep implements AsyncDisposable {
  readonly #components: UpkeepComponents
  readonly #key: VerifierKey
  readonly #around: Pick<Surroundings, 'env' | 'home'>
  readonly #ended = new AbortController()
  readonly #keptHeads = new Set<number>()
  readonly #stopListening: () => void
  readonly #running: Promise<void>
  #wake: () => void = () => undefined

  constructor(
    components: UpkeepComponents,
    init: { readonly key: VerifierKey; readonly around: Pick<Surroundings, 'env' | 'home'> },
  ) {
    this.#components = components
    this.#key = init.key
    this.#around = init.around
    this.#stopListening = components.client.onHead(() => this.#wake())
    this.#running = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening()
    this.#ended.abort(new Error('the node stops'))
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const done = await this.#round()
      await Promise.race([woken, this.#sleep(done ? roundMs : retryMs)])
      await this.#sleep(settleMs)
    }
  }

  /** Returns early when the node stops. */
  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#ended
    try {
      await this.#components.clock.sleep(ms, { signal })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #round(): Promise<boolean> {
    const { client, log } = this.#components
    const { signal } = this.#ended
    try {
      if ((await client.head()) === undefined) return true
      await client.keepTiles({ signal })
      for (const size of await findClientHeads(this.#key, this.#around)) {
        if (this.#keptHeads.has(size)) continue
        await client.keepClientHead(size, { signal })
        this.#keptHeads.add(size)
      }
      return true
    } catch (error) {
      if (!signal.aborted) log.debug({ reason: errorText(error) }, 'tiles could not be kept ahead')
      return false
    }
  }
}
