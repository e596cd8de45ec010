/** One timer that runs its action once per wake-up; an earlier wake-up replaces a later one. */
export class WakeableTimer {
  readonly #action: () => void
  #timer: NodeJS.Timeout | undefined
  #dueMs = Infinity
  #stopped = false

  constructor(action: () => void) {
    this.#action = action
  }

  /** Runs the action after `ms`, or at the time already set if that is sooner. */
  wakeIn(ms: number): void {
    const dueMs = performance.now() + ms
    if (this.#stopped || dueMs >= this.#dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    this.#timer = setTimeout(() => {
      this.#dueMs = Infinity
      this.#action()
    }, ms)
    this.#timer.unref()
  }

  /** Never runs the action again. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}
