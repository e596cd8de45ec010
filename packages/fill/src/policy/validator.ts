import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { BoundedMap } from '../bounded-map.ts'
import type { Clock } from '../clock.ts'
import { abortable, abortReason } from '../scope.ts'
import { SingleFlight } from '../single-flight.ts'
import { ValidatorUnavailableError } from './policy-errors.ts'
import { maxCachedVerdicts, validatorPauseMs, validatorVerdictMs } from './policy-limits.ts'

/** What somebody else says of a module version. */
export type ValidatorVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly reason: string }

/** Somebody who is asked before a module version is answered. */
export interface Validator {
  /** Throws ValidatorUnavailableError for any trouble; bounded in time. */
  check(module: ModuleVersion, options: { readonly signal: AbortSignal }): Promise<ValidatorVerdict>
}

interface Cached {
  readonly verdict: ValidatorVerdict
  readonly untilMs: number
}

/**
 * Asks a validator once for equal questions, believes its word for a minute, and leaves one that failed in peace for
 * two seconds: a dead one must not cost each request its time limit.
 */
export class CachedValidator implements Validator {
  readonly #validator: Validator
  readonly #clock: Clock
  readonly #failure: 'open' | 'closed'
  readonly #flights = new SingleFlight<ValidatorVerdict>()
  readonly #verdicts = new BoundedMap<Cached>(maxCachedVerdicts)
  #failed: { readonly error: ValidatorUnavailableError; readonly untilMs: number } | undefined

  constructor(
    components: { readonly validator: Validator; readonly clock: Clock },
    /** `open`: what cannot be asked about is allowed. `closed`: it is an error. */
    init: { readonly failure: 'open' | 'closed' },
  ) {
    this.#validator = components.validator
    this.#clock = components.clock
    this.#failure = init.failure
  }

  async check(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<ValidatorVerdict> {
    const key = formatModuleVersion(module)
    const cached = this.#verdicts.get(key)
    const nowMs = this.#clock.monotonicMs()
    if (cached !== undefined && nowMs < cached.untilMs) return cached.verdict
    if (this.#failed !== undefined && nowMs < this.#failed.untilMs)
      return this.#giveUp(this.#failed.error)
    try {
      // Without the client's signal: the answer is everybody's.
      const never = new AbortController().signal
      const asking = () => this.#ask(key, module, never)
      return await abortable(this.#flights.join(key, asking, { signal: never }), options.signal)
    } catch (error) {
      if (options.signal.aborted) throw abortReason(options.signal)
      if (error instanceof ValidatorUnavailableError) return this.#giveUp(error)
      throw error
    }
  }

  async #ask(key: string, module: ModuleVersion, signal: AbortSignal): Promise<ValidatorVerdict> {
    try {
      const verdict = await this.#validator.check(module, { signal })
      this.#verdicts.set(key, { verdict, untilMs: this.#clock.monotonicMs() + validatorVerdictMs })
      this.#failed = undefined
      return verdict
    } catch (error) {
      if (error instanceof ValidatorUnavailableError) {
        this.#failed = { error, untilMs: this.#clock.monotonicMs() + validatorPauseMs }
      }
      throw error
    }
  }

  #giveUp(error: ValidatorUnavailableError): ValidatorVerdict {
    if (this.#failure === 'open') return { kind: 'allowed' }
    throw error
  }
}
