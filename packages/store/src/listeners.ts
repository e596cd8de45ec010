import { asError } from './errors.ts'
import type { ReportEvent } from './store-event.ts'

/** Who wants to be told of something. One that throws is reported, and harms neither us nor the others. */
export class Listeners<T> {
  readonly #report: ReportEvent
  readonly #listeners = new Set<(value: T) => void>()

  constructor(report: ReportEvent) {
    this.#report = report
  }

  /** Returns how to stop listening. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(value: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(value)
      } catch (error) {
        this.#report({ kind: 'listener-failed', error: asError(error) })
      }
    }
  }
}
