import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import { BoundedSet } from './bounded-set.ts'
import type { ChecksumDb } from './checksum-db.ts'
import type { Clock } from './clock.ts'
import { asError } from './errors.ts'
import type { FillEvent } from './fill-event.ts'
import {
  maxKnownObjects,
  maxParallelWrites,
  maxWaitingWrites,
  remoteDrainMs,
  remoteWriteMs,
} from './limits.ts'
import { infoForStrangers } from './peer-facts.ts'
import type { Proof } from './proof.ts'
import type { RemoteLevel } from './remote-level.ts'
import type { RemoteObject } from './remote-store.ts'
import { abortable, noLongerNeeded, Scope } from './scope.ts'
import { mayShare } from './share-policy.ts'
import type { HeldZip, StoredRecord } from './zip-store.ts'

/** What goes to a remote store comes from here. */
export interface WriteBackComponents {
  readonly level: RemoteLevel
  readonly checksumDb: Pick<ChecksumDb, 'known'>
  readonly clock: Clock
  /** Both with what is still on its way to the disk. */
  readonly findRecord: (module: ModuleVersion) => Promise<StoredRecord | undefined>
  readonly findZip: (module: ModuleVersion) => Promise<HeldZip | undefined>
}

/**
 * Writes what was answered to a remote store, behind the answers: only what may be shared, what is
 * not known to be there, and of infos only upstream's own. Nothing is kept over a restart: what was
 * not written is offered again by the next answer, here or elsewhere.
 */
export class WriteBack implements AsyncDisposable {
  readonly #parts: WriteBackComponents
  readonly #isPrivate: (path: ModulePath) => boolean
  readonly #onEvent: (event: FillEvent) => void
  /** Of these all that is held here is there. */
  readonly #settled = new BoundedSet(maxKnownObjects)
  readonly #waiting = new Map<string, ModuleVersion>()
  /** Each has one writer at most: a zip is not sent twice at a time. */
  readonly #writing = new Set<string>()
  readonly #work = new Scope(new AbortController().signal)
  readonly #running = new Set<Promise<void>>()
  #isClosed = false

  constructor(
    components: WriteBackComponents,
    init: {
      readonly isPrivate: (path: ModulePath) => boolean
      readonly onEvent: (event: FillEvent) => void
    },
  ) {
    this.#parts = components
    this.#isPrivate = init.isPrivate
    this.#onEvent = init.onEvent
  }

  /**
   * Puts a module version in the row, unless the row is full. `isNew` says that something of it has
   * just come in; else one look at it is enough. Never waits.
   */
  offer(module: ModuleVersion, { isNew }: { readonly isNew: boolean }): void {
    const { level } = this.#parts
    if (this.#isClosed || this.#isPrivate(module.path) || !level.canWrite()) return
    const key = formatModuleVersion(module)
    if (!isNew && this.#settled.has(key)) return
    if (!this.#waiting.has(key) && this.#waiting.size >= maxWaitingWrites) {
      this.#tell(module, 'zip', 'dropped', undefined)
      return
    }
    this.#waiting.set(key, module)
    if (this.#running.size < maxParallelWrites) this.#startWorker()
  }

  /** Gives what waits `remoteDrainMs` to be written, then ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const drained = new Scope(this.#work.signal)
    const late = drained.start((signal) => this.#parts.clock.sleep(remoteDrainMs, { signal }))
    await Promise.race([Promise.all(this.#running), late.catch(ignoreEnd)])
    this.#waiting.clear()
    await Promise.all([drained.close(), this.#work.close()])
    await Promise.all(this.#running)
  }

  #startWorker(): void {
    const worker: Promise<void> = this.#drain().then(() => {
      this.#running.delete(worker)
    })
    this.#running.add(worker)
  }

  async #drain(): Promise<void> {
    for (const [key, module] of this.#waiting) {
      if (this.#work.signal.aborted) return
      // Offered again meanwhile: it stands behind its writer's place in the row, who will come to it.
      if (this.#writing.has(key)) continue
      this.#waiting.delete(key)
      this.#writing.add(key)
      if (await this.#writeAll(module)) this.#settled.add(key)
      else this.#settled.delete(key)
      this.#writing.delete(key)
    }
  }

  /** Whether all that is held is there now. */
  async #writeAll(module: ModuleVersion): Promise<boolean> {
    try {
      for await (const object of this.#objects(module)) {
        // The rest would fail alike; the next answer offers it again.
        if (!(await this.#write(object))) return false
      }
      return true
    } catch (error) {
      this.#tell(module, 'zip', 'failed', asError(error))
      return false
    }
  }

  async *#objects(module: ModuleVersion): AsyncGenerator<RemoteObject> {
    const { level, checksumDb, findRecord, findZip } = this.#parts
    const { mod, info } = (await findRecord(module)) ?? {}
    const zip = level.has(module, 'zip') ? undefined : await findZip(module)
    const record = (await checksumDb.known(module))?.record
    const sharesMod = mod !== undefined && this.#mayShare(module, mod)
    const sharesZip = zip !== undefined && this.#mayShare(module, zip)
    if (record !== undefined) yield { part: 'record', module, record }
    if (sharesMod) yield { part: 'mod', module, bytes: mod.bytes }
    // It cannot be proven: nothing but upstream's own word goes where it stays for ever.
    const isShared = record !== undefined || sharesMod || sharesZip
    if (info?.from === 'upstream' && isShared) {
      yield { part: 'info', module, bytes: infoForStrangers(info.bytes, module) }
    }
    if (sharesZip) yield { part: 'zip', module, zip }
  }

  /** Whether it went well. */
  async #write(object: RemoteObject): Promise<boolean> {
    const { level, clock } = this.#parts
    if (level.has(object.module, object.part)) return true
    const scope = new Scope(this.#work.signal)
    const limit = scope.start((signal) => clock.sleep(remoteWriteMs, { signal }))
    void limit.then(() => scope.abort(noLongerNeeded), ignoreEnd)
    try {
      const writing = level.write(object, { signal: scope.signal })
      this.#tell(object.module, object.part, await abortable(writing, scope.signal), undefined)
      return true
    } catch (error) {
      if (!this.#work.signal.aborted)
        this.#tell(object.module, object.part, 'failed', asError(error))
      return false
    } finally {
      await scope.close()
    }
  }

  #mayShare(module: ModuleVersion, { proof }: { readonly proof: Proof }): boolean {
    return mayShare({ module, proof }, this.#isPrivate)
  }

  #tell(
    module: ModuleVersion,
    part: RemoteObject['part'],
    outcome: Extract<FillEvent, { readonly kind: 'remote-write' }>['outcome'],
    error: Error | undefined,
  ): void {
    this.#onEvent({ kind: 'remote-write', module, part, outcome, error })
  }
}

/** A timer that was stopped. */
function ignoreEnd(): void {}
