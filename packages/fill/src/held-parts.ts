import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { asError } from './errors.ts'
import type { FillEvent } from './fill-event.ts'
import { maxUnwrittenZips } from './limits.ts'
import type { HeldZip, StoredRecord, ZipStore } from './zip-store.ts'

export interface HeldPartsComponents {
  readonly store: ZipStore
  /** Takes over writes that nobody waits for. */
  readonly background: (task: Promise<unknown>) => void
  readonly onEvent: (event: FillEvent) => void
}

/** What is held of module versions: what the store has, and what was verified and is on its way there. */
export class HeldParts {
  readonly #parts: HeldPartsComponents
  readonly #unwritten = new Map<string, StoredRecord>()
  readonly #unwrittenZips = new Map<
    string,
    { readonly zip: HeldZip; readonly ended: Promise<unknown> }
  >()

  constructor(components: HeldPartsComponents) {
    this.#parts = components
  }

  /** A zip to answer with: one that is held, or verified and still on its way to the disk. */
  async findZip(module: ModuleVersion): Promise<HeldZip | undefined> {
    return (
      this.#unwrittenZips.get(formatModuleVersion(module))?.zip ??
      (await this.#parts.store.findZip(module))
    )
  }

  /** A zip that others may come and fetch: durable, after a wait where it is on its way. */
  async findKeptZip(module: ModuleVersion): Promise<HeldZip | undefined> {
    await this.#unwrittenZips.get(formatModuleVersion(module))?.ended
    return await this.#parts.store.findZip(module)
  }

  /**
   * Lets requests have a verified zip while it becomes durable; `committing` never rejects. Resolves
   * at once, or when it is durable where too many others are on their way.
   */
  async keepZip(zip: HeldZip, committing: Promise<void>): Promise<void> {
    const key = formatModuleVersion(zip.module)
    const ended = committing.then(() => {
      if (this.#unwrittenZips.get(key)?.zip === zip) this.#unwrittenZips.delete(key)
    })
    this.#unwrittenZips.set(key, { zip, ended })
    this.#parts.background(ended)
    if (this.#unwrittenZips.size > maxUnwrittenZips) await ended
  }

  /** What is held of a module version beside its zip. */
  async findRecord(module: ModuleVersion): Promise<StoredRecord | undefined> {
    const unwritten = this.#unwritten.get(formatModuleVersion(module))
    const stored = await this.#parts.store.findRecord(module)
    return unwritten === undefined ? stored : { ...stored, ...unwritten }
  }

  /**
   * Keeps verified parts without making the request wait for the disk. What cannot be written was
   * still verified: it is answered, and told by an event.
   */
  keepRecord(record: StoredRecord): void {
    const key = formatModuleVersion(record.module)
    const merged = { ...this.#unwritten.get(key), ...record }
    this.#unwritten.set(key, merged)
    this.#parts.background(this.#write(key, merged))
  }

  async #write(key: string, record: StoredRecord): Promise<void> {
    const { store, onEvent } = this.#parts
    try {
      await store.putRecord(record)
    } catch (error) {
      onEvent({ kind: 'store-failed', module: record.module, error: asError(error) })
    }
    if (this.#unwritten.get(key) === record) this.#unwritten.delete(key)
  }
}
