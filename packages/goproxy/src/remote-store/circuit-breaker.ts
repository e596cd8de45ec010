import { s3FirstRestMs, s3LongestRestMs, s3MaxFailures } from './limits.ts'

/**
 * Leaves somebody alone who failed several times in a row. After a rest one request is let through as
 * a trial; the rest grows with each trial that fails.
 */
export class CircuitBreaker {
  readonly #nowMs: () => number
  readonly #onChange: (isOpen: boolean) => void
  #failures = 0
  #restMs = s3FirstRestMs
  #openUntilMs = 0
  #isTrying = false
  #lastFailure: string | undefined

  constructor(init: {
    readonly nowMs: () => number
    /** Told when it begins, and when it ends. */
    readonly onChange?: (isOpen: boolean) => void
  }) {
    this.#nowMs = init.nowMs
    this.#onChange = init.onChange ?? (() => {})
  }

  /** The last failure, until something succeeds. */
  get lastFailure(): string | undefined {
    return this.#lastFailure
  }

  get isOpen(): boolean {
    return this.#failures >= s3MaxFailures
  }

  /** Whether a request may begin now; if so, its end must be told by one of the methods below. */
  admit(): boolean {
    if (!this.isOpen) return true
    if (this.#isTrying || this.#nowMs() < this.#openUntilMs) return false
    this.#isTrying = true
    return true
  }

  succeeded(): void {
    const wasOpen = this.isOpen
    this.#failures = 0
    this.#restMs = s3FirstRestMs
    this.#isTrying = false
    this.#lastFailure = undefined
    if (wasOpen) this.#onChange(false)
  }

  failed(reason: string): void {
    const wasTrial = this.#isTrying
    this.#isTrying = false
    this.#lastFailure = reason
    this.#failures++
    if (!this.isOpen) return
    // Several that were under way fail at once: that is one rest.
    if (wasTrial) this.#restMs = Math.min(2 * this.#restMs, s3LongestRestMs)
    this.#openUntilMs = this.#nowMs() + this.#restMs
    if (this.#failures === s3MaxFailures) this.#onChange(true)
  }

  /** It was given up before it could tell anything. */
  ended(): void {
    this.#isTrying = false
  }
}
