import type { Multiaddr } from '@multiformats/multiaddr'
import {
  firstResolveRetryMs,
  maxResolveRetryMs,
  minResolveMs,
  resolveEveryMs,
  resolveTimeoutMs,
} from './limits.ts'
import { addressesOf, type NamedHost, type ResolveName } from './resolve-name.ts'
import { WakeableTimer } from './wakeable-timer.ts'

/** Waits of a name's watch, milliseconds; a test may shorten them. */
export interface NamePace {
  readonly everyMs: number
  readonly firstRetryMs: number
  readonly maxRetryMs: number
  readonly minMs: number
  readonly timeoutMs: number
}

/** The waits of a running node. */
const namePace: NamePace = {
  everyMs: resolveEveryMs,
  firstRetryMs: firstResolveRetryMs,
  maxRetryMs: maxResolveRetryMs,
  minMs: minResolveMs,
  timeoutMs: resolveTimeoutMs,
}

/** What a watch works with. */
export interface NameWatchComponents {
  readonly resolve: ResolveName
  /** Called with all addresses of the name whenever they differ from those before. */
  readonly changed: (addresses: readonly Multiaddr[]) => void
  /** Called when the reason why it cannot be resolved is another one than before. */
  readonly failed: (message: string) => void
}

/**
 * Follows the addresses of a name for as long as the node runs. A name that cannot be resolved keeps
 * the addresses it had: a resolver that is down must not take the mesh with it.
 */
export class NameWatch {
  readonly #components: NameWatchComponents
  readonly #name: NamedHost
  readonly #pace: NamePace
  readonly #timer: WakeableTimer
  #known = ''
  #askedMs = Number.NEGATIVE_INFINITY
  #isAsking = false
  #failures = 0
  #lastError: string | undefined

  constructor(
    components: NameWatchComponents,
    init: { readonly name: NamedHost; readonly pace?: NamePace | undefined },
  ) {
    this.#components = components
    this.#name = init.name
    this.#pace = init.pace ?? namePace
    this.#timer = new WakeableTimer(() => void this.#ask())
  }

  /** Times in a row that it could not be resolved. */
  get failures(): number {
    return this.#failures
  }

  /** Why it cannot be resolved; undefined when it could. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Resolves it now, and for ever after. */
  start(): void {
    this.#timer.wakeIn(0)
  }

  stop(): void {
    this.#timer.stop()
  }

  /** Resolves it soon: an address of it does not answer, and may be another's by now. */
  hurry(): void {
    this.#timer.wakeIn(Math.max(0, this.#askedMs + this.#pace.minMs - performance.now()))
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#askedMs = performance.now()
    try {
      this.#resolved(await this.#resolve())
    } catch (error) {
      this.#notResolved(error)
    }
    this.#isAsking = false
    this.#timer.wakeIn(this.#nextMs() * (0.75 + Math.random() / 4))
  }

  /** Rejects in time also when the resolver never answers: it takes no signal. */
  async #resolve(): Promise<readonly Multiaddr[]> {
    const { host, family } = this.#name
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new Error('no answer')), this.#pace.timeoutMs)
    try {
      const ips = await Promise.race([this.#components.resolve(host, family), late.promise])
      return addressesOf(this.#name, ips)
    } finally {
      clearTimeout(timer)
    }
  }

  #resolved(addresses: readonly Multiaddr[]): void {
    if (addresses.length === 0) return this.#notResolved(new Error('it has no address'))
    this.#failures = 0
    this.#lastError = undefined
    const now = addresses.join()
    if (now === this.#known) return
    this.#known = now
    this.#components.changed(addresses)
  }

  #notResolved(error: unknown): void {
    this.#failures += 1
    const message = `${this.#name.host}: ${error instanceof Error ? error.message : String(error)}`
    if (message !== this.#lastError) this.#components.failed(message)
    this.#lastError = message
  }

  #nextMs(): number {
    const { everyMs, firstRetryMs, maxRetryMs } = this.#pace
    if (this.#failures === 0) return everyMs
    return Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(this.#failures - 1, 30))
  }
}
