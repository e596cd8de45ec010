import type { Level } from 'level'
import { peerFlushMs } from './limits.ts'

/**
 * libp2p's peer records, in memory: it reads and writes one for each stream. Changed ones are saved
 * together every peerFlushMs and at the end; what a crash loses is learned again.
 */
export class PeerRecords {
  readonly #db: Level<string, Uint8Array>
  readonly #seal: (name: string, value: Uint8Array) => Uint8Array
  readonly #records = new Map<string, Uint8Array>()
  readonly #unsaved = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(
    db: Level<string, Uint8Array>,
    init: { readonly seal: (name: string, value: Uint8Array) => Uint8Array },
  ) {
    this.#db = db
    this.#seal = init.seal
  }

  /** A record that was read or written since the start. */
  get(name: string): Uint8Array | undefined {
    return this.#records.get(name)
  }

  /** Takes over what was read from the table. */
  loaded(name: string, value: Uint8Array): void {
    if (!this.#records.has(name)) this.#records.set(name, value)
  }

  put(name: string, value: Uint8Array): void {
    this.#records.set(name, value)
    this.#unsaved.add(name)
    this.#timer ??= setTimeout(() => void this.flush(), peerFlushMs).unref()
  }

  /** Forgets a record, also in the table. */
  async delete(name: string): Promise<void> {
    this.#records.delete(name)
    this.#unsaved.delete(name)
    await this.#flushing
    await this.#db.del(name)
  }

  /** Writes what changed; never rejects: these are hints, and a full disk must not stop the mesh. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flushing = this.#flushing.then(() => this.#save())
    return this.#flushing
  }

  async #save(): Promise<void> {
    const steps = [...this.#unsaved].flatMap((key) => {
      const value = this.#records.get(key)
      if (value === undefined) return []
      return [{ type: 'put' as const, key, value: this.#seal(key, value) }]
    })
    this.#unsaved.clear()
    try {
      await this.#db.batch(steps)
    } catch {
      // Kept in memory, and saved with their next change.
    }
  }
}
