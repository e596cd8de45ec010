import type { ModuleSource } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { errorText } from './errors.ts'
import type { Logger } from './log.ts'

/** Zips that wait to be fetched anew: a disk that dies must not have its whole store fetched. */
const maxWaiting = 64

/** Fetches zips anew that the store found damaged, one at a time, so that nobody has to wait for them later. */
export class Refill implements AsyncDisposable {
  readonly #source: Pick<ModuleSource, 'zip'>
  readonly #log: Pick<Logger, 'info'>
  readonly #waiting = new Map<string, ModuleVersion>()
  readonly #ended = new AbortController()
  #running: Promise<void> | undefined

  constructor(components: {
    readonly source: Pick<ModuleSource, 'zip'>
    readonly log: Pick<Logger, 'info'>
  }) {
    this.#source = components.source
    this.#log = components.log
  }

  /** Takes note of a zip that is gone. Whoever asks for it meanwhile joins, or comes first. */
  add(module: ModuleVersion): void {
    if (this.#ended.signal.aborted || this.#waiting.size >= maxWaiting) return
    this.#waiting.set(formatModuleVersion(module), module)
    this.#running ??= this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the node stops'))
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (const [name, module] of this.#waiting) {
      if (this.#ended.signal.aborted) break
      await this.#fetch(name, module)
      this.#waiting.delete(name)
    }
    this.#running = undefined
  }

  async #fetch(name: string, module: ModuleVersion): Promise<void> {
    const { signal } = this.#ended
    try {
      await this.#source.zip(module, { signal })
      this.#log.info({ module: name }, 'damaged zip fetched anew')
    } catch (error) {
      // The next request for it tries again.
      if (!signal.aborted)
        this.#log.info({ module: name, reason: errorText(error) }, 'damaged zip not fetched anew')
    }
  }
}
