import { errorText } from './errors.ts'
import type { Logger } from './log.ts'

interface Part {
  readonly name: string
  readonly stop: () => Promise<void>
}

/** Stops what was started, in reverse order, each part once; one that fails does not keep the others. */
export class Lifecycle {
  readonly #log: Pick<Logger, 'debug' | 'error'>
  readonly #parts: Part[] = []
  #stopping: Promise<void> | undefined

  constructor(log: Pick<Logger, 'debug' | 'error'>) {
    this.#log = log
  }

  /** Takes charge of a part that was started; returns it. */
  add<T extends AsyncDisposable>(name: string, part: T): T {
    this.defer(name, async () => await part[Symbol.asyncDispose]())
    return part
  }

  /** Takes charge of a part that is stopped in a way of its own. */
  defer(name: string, stop: () => Promise<void>): void {
    this.#parts.push({ name, stop })
  }

  /** Stops everything; later calls wait for the first. Never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      try {
        await part.stop()
        this.#log.debug({ part: part.name }, 'stopped')
      } catch (error) {
        this.#log.error(
          { part: part.name, error: errorText(error) },
          'could not be stopped cleanly',
        )
      }
    }
  }
}
