import type { IndexDb } from './index-db.ts'
import type { IndexedUse } from './index-values.ts'
import { useFlushMs } from './limits.ts'
import type { ShelvedZip, ZipShelf } from './zip-shelf.ts'

/**
 * Remembers when zips were read and hashed. A read costs no disk access: what changed goes to the
 * index once in a while, without a sync. What a crash takes along is a minute of it; what a lost
 * index takes along is all, and then the time of the commit counts.
 */
export class ZipUses implements AsyncDisposable {
  readonly #index: IndexDb
  readonly #shelf: ZipShelf
  readonly #wallMs: () => number
  readonly #changed = new Set<ShelvedZip>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(components: {
    readonly index: IndexDb
    readonly shelf: ZipShelf
    readonly wallMs: () => number
  }) {
    this.#index = components.index
    this.#shelf = components.shelf
    this.#wallMs = components.wallMs
  }

  noteUsed(zip: ShelvedZip): void {
    zip.usedMs = this.#wallMs()
    this.#note(zip)
  }

  noteHashed(zip: ShelvedZip): void {
    zip.checkedMs = this.#wallMs()
    zip.hashedMs = performance.now()
    this.#note(zip)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#flush()
    await this.#index.idle()
  }

  #note(zip: ShelvedZip): void {
    if (this.#isClosed) return
    this.#changed.add(zip)
    this.#timer ??= setTimeout(() => this.#flush(), useFlushMs).unref()
  }

  #flush(): void {
    this.#timer = undefined
    // Of those that are gone the index has forgotten everything.
    const held = [...this.#changed].filter((zip) => this.#shelf.find(zip.record.module) === zip)
    this.#changed.clear()
    if (held.length > 0) this.#index.putUses(held.map(useOf))
  }
}

/** What the index remembers of how a zip was used. */
export function useOf({ record, usedMs, checkedMs }: ShelvedZip): IndexedUse {
  return { digest: record.zipDigest, usedMs, checkedMs }
}
