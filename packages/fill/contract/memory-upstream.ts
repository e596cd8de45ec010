import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import type { Clock } from '../src/clock.ts'
import { ModuleNotFoundError, OfflineError, UpstreamUnavailableError } from '../src/errors.ts'
import type { MutableAsk, Upstream, UpstreamAnswer } from '../src/upstream.ts'
import type { ByteSink } from '../src/zip-store.ts'
import { untilAborted } from './memory-checksum-db.ts'

/** A module version as upstream has it. */
export interface PublishedModule {
  readonly zip?: Uint8Array
  readonly mod?: Uint8Array
  readonly info?: Uint8Array
}

/** An upstream in memory, with the troubles a real one has. */
export class MemoryUpstream implements Upstream {
  readonly modules: Map<string, PublishedModule> = new Map()
  /** Answers by path for lists and latest, by `path@query` for queries. */
  readonly lists: Map<string, Uint8Array> = new Map()
  readonly latests: Map<string, Uint8Array> = new Map()
  readonly queries: Map<string, Uint8Array> = new Map()
  readonly from = 'https://upstream.example'
  /** Whether it plays version control. */
  via: 'direct' | undefined
  isOn = true
  /** `down` fails at once, `stall` waits for its signal, `hang` ignores even that. */
  fault: 'none' | 'down' | 'stall' | 'hang' | 'offline' = 'none'
  /** Time to the first byte, ms. */
  delayMs = 0
  /** Time between the two halves of a zip, ms. */
  bodyMs = 0
  /** Whether the first try of a zip breaks off half way and is begun anew, as with a second entry of the list. */
  restartsBodies = false
  /** Whether it can be asked if lists and the like changed. */
  validates = false
  /** How often they had not. */
  unchanged = 0
  /** What was asked, in order. */
  readonly asked: string[] = []
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isEnabled(): boolean {
    return this.isOn
  }

  publish(module: ModuleVersion, files: PublishedModule): void {
    const key = formatModuleVersion(module)
    this.modules.set(key, { ...this.modules.get(key), ...files })
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<Pick<UpstreamAnswer, 'from' | 'via'>> {
    const zip = await this.#file('zip', module, options.signal)
    const half = zip.length >> 1
    await sink.write(zip.subarray(0, half))
    if (this.restartsBodies) {
      await options.onReset()
      await sink.write(zip.subarray(0, half))
    }
    if (this.bodyMs > 0) await this.#clock.sleep(this.bodyMs, options)
    await sink.write(zip.subarray(half))
    return this.#name()
  }

  async fetchMod(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer> {
    return { bytes: await this.#file('mod', module, options.signal), ...this.#name() }
  }

  async fetchInfo(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer> {
    return { bytes: await this.#file('info', module, options.signal), ...this.#name() }
  }

  async fetchList(path: ModulePath, options: MutableAsk): Promise<UpstreamAnswer> {
    return await this.#mutable('list', this.lists, path, options)
  }

  async fetchLatest(path: ModulePath, options: MutableAsk): Promise<UpstreamAnswer> {
    return await this.#mutable('latest', this.latests, path, options)
  }

  async fetchQuery(path: ModulePath, query: string, options: MutableAsk): Promise<UpstreamAnswer> {
    return await this.#mutable('query', this.queries, `${path}@${query}`, options)
  }

  #name(): Pick<UpstreamAnswer, 'from' | 'via'> {
    const { from, via } = this
    return via === undefined ? { from } : { from, via }
  }

  async #file(
    what: keyof PublishedModule,
    module: ModuleVersion,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const name = formatModuleVersion(module)
    await this.#answerTime(`${what} ${name}`, signal)
    return found(name, this.modules.get(name)?.[what])
  }

  async #mutable(
    what: string,
    answers: ReadonlyMap<string, Uint8Array>,
    key: string,
    { signal, known }: MutableAsk,
  ): Promise<UpstreamAnswer> {
    await this.#answerTime(`${what} ${key}`, signal)
    const bytes = found(key, answers.get(key))
    if (!this.validates) return { bytes, ...this.#name() }
    const validator = `tag of ${new TextDecoder().decode(bytes)}`
    if (known?.validator !== validator) return { bytes, validator, ...this.#name() }
    this.unchanged++
    return { ...known, ...this.#name() }
  }

  async #answerTime(asked: string, signal: AbortSignal): Promise<void> {
    this.asked.push(asked)
    signal.throwIfAborted()
    if (!this.isOn || this.fault === 'offline') throw new OfflineError('no upstream')
    if (this.fault === 'down') throw new UpstreamUnavailableError('upstream is down')
    if (this.fault === 'hang') await new Promise(() => {})
    if (this.fault === 'stall') await untilAborted(signal)
    if (this.delayMs > 0) await this.#clock.sleep(this.delayMs, { signal })
  }
}

function found(name: string, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new ModuleNotFoundError(`${name}: 404`)
  return bytes
}
