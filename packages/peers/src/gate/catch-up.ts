import { catchUpMs } from './limits.ts'

/**
 * Keeps those who knock waiting, for a moment, at a node that was away: it may not have heard yet
 * who was revoked meanwhile. Whom it dials itself tells it.
 */
export class CatchUp {
  readonly #heard = Promise.withResolvers<void>()
  readonly #timer: NodeJS.Timeout | undefined

  constructor(init: { readonly wasAway: boolean; readonly waitMs?: number | undefined }) {
    if (init.wasAway) {
      this.#timer = setTimeout(() => this.heard(), init.waitMs ?? catchUpMs)
      this.#timer.unref()
    } else this.#heard.resolve()
  }

  /** A member has told us what it knows. */
  heard(): void {
    clearTimeout(this.#timer)
    this.#heard.resolve()
  }

  /** Resolves when somebody has told us, or nobody will in time. */
  done(): Promise<void> {
    return this.#heard.promise
  }
}
