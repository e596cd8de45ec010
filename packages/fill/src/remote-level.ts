import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { BoundedSet } from './bounded-set.ts'
import type { RecordProof } from './checksum-db.ts'
import type { Clock } from './clock.ts'
import { RemoteError } from './errors.ts'
import { EarnedHeadStart } from './head-start.ts'
import { maxKnownObjects, remoteAvoidMs, remoteLies } from './limits.ts'
import type { RemoteObject, RemotePart, RemoteStore } from './remote-store.ts'
import type { ByteSink } from './zip-store.ts'

type Waiting = { readonly signal: AbortSignal }

/**
 * A remote store as fills use it: remembers which objects are there and which are wrong, so that
 * neither is asked for again, and leaves it alone for a while when it sends nothing but wrong ones.
 */
export class RemoteLevel {
  readonly name: string
  readonly headStart: EarnedHeadStart
  readonly #store: RemoteStore
  readonly #clock: Clock
  readonly #onRefused: (module: ModuleVersion, reason: string) => void
  readonly #right = new BoundedSet(maxKnownObjects)
  readonly #wrong = new BoundedSet(maxKnownObjects)
  #liesInRow = 0
  #avoidedUntilMs = 0

  constructor(
    components: { readonly store: RemoteStore; readonly clock: Clock },
    init: {
      readonly headStartMs: number
      readonly onRefused: (module: ModuleVersion, reason: string) => void
    },
  ) {
    this.name = components.store.name
    this.headStart = new EarnedHeadStart({ headStartMs: init.headStartMs })
    this.#store = components.store
    this.#clock = components.clock
    this.#onRefused = init.onRefused
  }

  canWrite(): boolean {
    return this.#store.canWrite()
  }

  /** As the port's; an object that was wrong is not asked for again. */
  async fetchFile(
    module: ModuleVersion,
    part: 'mod' | 'info',
    options: Waiting,
  ): Promise<Uint8Array | undefined> {
    return await this.#fetch(module, part, () => this.#store.fetchFile(module, part, options))
  }

  /** As the port's; an object that was wrong is not asked for again. */
  async fetchRecord(module: ModuleVersion, options: Waiting): Promise<RecordProof | undefined> {
    return await this.#fetch(module, 'record', () => this.#store.fetchRecord(module, options))
  }

  /** As the port's; an object that was wrong is not asked for again. */
  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: Waiting & { readonly onReset: () => Promise<void> },
  ): Promise<boolean> {
    const watched: ByteSink = {
      write: async (chunk) => {
        this.headStart.found()
        await sink.write(chunk)
      },
    }
    const fetch = async () => (await this.#store.fetchZip(module, watched, options)) || undefined
    return (await this.#fetch(module, 'zip', fetch)) ?? false
  }

  /** Takes note that an object verified. */
  accept(module: ModuleVersion, part: RemotePart): void {
    this.#liesInRow = 0
    this.#right.add(keyOf(module, part))
  }

  /** Takes note that an object did not verify: it is not asked for again until it was overwritten. */
  refuse(module: ModuleVersion, part: RemotePart, reason: string): void {
    const key = keyOf(module, part)
    this.#right.delete(key)
    this.#wrong.add(key)
    this.#liesInRow++
    if (this.#liesInRow >= remoteLies) {
      this.#liesInRow = 0
      this.#avoidedUntilMs = this.#clock.monotonicMs() + remoteAvoidMs
    }
    this.#onRefused(module, `${part}: ${reason}`)
  }

  /** Whether a right object is known to be there. Memory only. */
  has(module: ModuleVersion, part: RemotePart): boolean {
    return this.#right.has(keyOf(module, part))
  }

  /** Writes an object that is not known to be there, over one that is wrong. Throws RemoteError. */
  async write(object: RemoteObject, options: Waiting): Promise<'written' | 'exists'> {
    const key = keyOf(object.module, object.part)
    const overwrite = this.#wrong.has(key)
    const outcome = await this.#store.write(object, { ...options, overwrite })
    this.#wrong.delete(key)
    this.#right.add(key)
    return outcome
  }

  async #fetch<T>(
    module: ModuleVersion,
    part: RemotePart,
    fetch: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (this.#clock.monotonicMs() < this.#avoidedUntilMs) {
      throw new RemoteError(`${this.name} sent wrong objects a moment ago`, { fault: 'unable' })
    }
    if (this.#wrong.has(keyOf(module, part))) {
      throw new RemoteError(`what ${this.name} has does not verify`, { fault: 'unable' })
    }
    try {
      const found = await fetch()
      if (found === undefined) this.headStart.missed()
      else this.headStart.found()
      return found
    } catch (error) {
      if (error instanceof RemoteError && error.fault === 'wrong') {
        this.refuse(module, part, error.message)
      }
      throw error
    }
  }
}

/** Neither a path nor a version can hold a space. */
function keyOf(module: ModuleVersion, part: RemotePart): string {
  return `${part} ${formatModuleVersion(module)}`
}
