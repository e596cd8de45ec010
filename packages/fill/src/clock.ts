/** Time as pure code sees it: the simulator's or the machine's. */
export interface Clock {
  /** Milliseconds on a clock that never goes back. For budgets. */
  monotonicMs(): number
  /** Milliseconds since 1970. For display, times of first sight, and expiry. */
  wallMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void>
}
