import { join } from 'node:path'
import type {
  Answer,
  Asker,
  AskOptions,
  Clock,
  FillEvent,
  HeldZip,
  ModuleSource,
  Source,
  ZipStore,
} from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { AppendLog } from './append-log.ts'
import { toIso } from './iso-time.ts'

/** Size at which the audit file is put aside: some 20,000 lines. Bytes. */
const maxFileBytes = 10 * 1024 * 1024
/** Audit files put aside that are kept, beside the one that grows. */
const oldFiles = 9
/** Module versions whose asker is remembered until their zip is kept. */
const maxAskers = 4_096

/** One line of the audit file. Fields are only added. */
interface AuditLine {
  /** When it was kept, ISO 8601. */
  readonly time: string
  readonly module: string
  readonly version: string
  /** Who asked first; null when it was fetched for nobody in particular. */
  readonly asker: Asker | null
  readonly source: Source
  readonly proof: HeldZip['proof']
  readonly zipHash: string
  readonly zipDigest: string
  /** Of the zip, bytes. */
  readonly size: number
}

interface AuditComponents {
  readonly store: Pick<ZipStore, 'findZip'>
  readonly clock: Clock
}

/**
 * Writes one line for each module version whose code was let into the store: who asked, where it came from, what proves it.
 * `<dir>/audit/audit.jsonl`, older files beside it.
 */
export class AuditTrail implements AsyncDisposable {
  readonly #components: AuditComponents
  readonly #log: AppendLog
  readonly #askers = new Map<string, Asker>()
  readonly #writing = new Set<Promise<void>>()
  readonly #onError: (error: unknown) => void

  /** Opens the file. Throws errors of the file system. */
  static async open(
    components: AuditComponents,
    init: { readonly dir: string; readonly onError: (error: unknown) => void },
  ): Promise<AuditTrail> {
    const path = join(init.dir, 'audit', 'audit.jsonl')
    const { onError } = init
    const log = await AppendLog.open({ path, maxBytes: maxFileBytes, oldFiles, onError })
    return new AuditTrail(components, log, onError)
  }

  private constructor(
    components: AuditComponents,
    log: AppendLog,
    onError: (error: unknown) => void,
  ) {
    this.#components = components
    this.#log = log
    this.#onError = onError
  }

  /** Answers as `source` does, and remembers who asked for zips. */
  watch(source: ModuleSource): ModuleSource {
    return {
      ...(source.peek && { peek: (...asked) => source.peek?.(...asked) }),
      zip: (module, options) => this.#zip(source, module, options),
      mod: (...asked) => source.mod(...asked),
      info: (...asked) => source.info(...asked),
      list: (...asked) => source.list(...asked),
      latest: (...asked) => source.latest(...asked),
      query: (...asked) => source.query(...asked),
      sums: (...asked) => source.sums(...asked),
    }
  }

  /** Takes note of what a fill tells. */
  record(event: FillEvent): void {
    switch (event.kind) {
      case 'committed': {
        const writing = this.#write(event.module, event.source)
        this.#writing.add(writing)
        void writing.finally(() => this.#writing.delete(writing))
        return
      }
      case 'store-failed':
        this.#askers.delete(formatModuleVersion(event.module))
        return
      default:
        return
    }
  }

  /** Writes what is under way, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#writing)
    await this.#log[Symbol.asyncDispose]()
  }

  /** The first one counts: those who join its fill did not cause it. */
  async #zip(
    source: ModuleSource,
    module: ModuleVersion,
    options: AskOptions,
  ): Promise<Answer<HeldZip>> {
    const key = formatModuleVersion(module)
    const isFirst = options.asker !== undefined && !this.#askers.has(key)
    if (isFirst) this.#remember(key, options.asker)
    try {
      const answer = await source.zip(module, options)
      if (isFirst && answer.source.kind === 'store') this.#askers.delete(key)
      return answer
    } catch (error) {
      // The fill goes on without a client that went away.
      if (isFirst && !options.signal.aborted) this.#askers.delete(key)
      throw error
    }
  }

  #remember(key: string, asker: Asker): void {
    this.#askers.set(key, asker)
    const [oldest] = this.#askers.keys()
    if (this.#askers.size > maxAskers && oldest !== undefined) this.#askers.delete(oldest)
  }

  async #write(module: ModuleVersion, source: Source): Promise<void> {
    const key = formatModuleVersion(module)
    const asker = this.#askers.get(key) ?? null
    this.#askers.delete(key)
    const { store, clock } = this.#components
    const time = toIso(clock.wallMs())
    try {
      const zip = await store.findZip(module)
      if (zip === undefined) throw new Error(`${key} was kept and cannot be found`)
      const { zipHash, zipDigest, size, proof } = zip
      const { path, version } = module
      const what = { module: path, version, zipHash, zipDigest, size }
      const line: AuditLine = { time, ...what, asker, source, proof }
      await this.#log.append(JSON.stringify(line))
    } catch (error) {
      this.#onError(error)
    }
  }
}
