import type { ModulePath } from '@modmesh/module'
import { ModuleNotFoundError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { maxNegativeAnswers, maxNegativeBytes, meshNegativeTtlMs } from './limits.ts'
import { MemoryLevel } from './memory-level.ts'

interface Nothing {
  readonly error: ModuleNotFoundError
  readonly untilMs: number
}

/** What nobody has, for a short time and in memory only: `go` probes every prefix of a path. */
export class NegativeAnswers {
  readonly #ctx: FillContext
  readonly #ttlMs: number
  readonly #known = new MemoryLevel<Nothing>({
    entries: maxNegativeAnswers,
    bytes: maxNegativeBytes,
  })

  readonly #remembered = new WeakSet<Error>()

  constructor(ctx: FillContext, init: { readonly ttlMs: number }) {
    this.#ctx = ctx
    this.#ttlMs = init.ttlMs
  }

  /** Why there is nothing under a key, where that is known. */
  find(key: string): ModuleNotFoundError | undefined {
    const known = this.#known.get(key)
    if (known === undefined) return undefined
    if (this.#ctx.clock.monotonicMs() < known.untilMs) return known.error
    this.#known.delete(key)
    return undefined
  }

  /** Whether an error came from here. */
  has(error: Error): boolean {
    return this.#remembered.has(error)
  }

  /** Believes an upstream for the whole time, the mesh alone for a moment. */
  remember(key: string, path: ModulePath, { message, wasAsked }: ModuleNotFoundError): void {
    // Nobody was asked: that costs nothing, and may change with the first peer.
    if (!this.#ctx.canAskAnybody(path)) return
    const isUpstreams = this.#ctx.canAskUpstream(path)
    const lifeMs = isUpstreams ? this.#ttlMs : Math.min(this.#ttlMs, meshNegativeTtlMs)
    const untilMs = this.#ctx.clock.monotonicMs() + lifeMs
    // Without its causes, which hold on to whole answers.
    const error = new ModuleNotFoundError(message, { wasAsked })
    this.#remembered.add(error)
    this.#known.set(key, { error, untilMs }, 2 * message.length)
  }
}
