import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { FirstHash, FirstHashes } from '../src/first-hashes.ts'

/** First hashes in memory. */
export class MemoryFirstHashes implements FirstHashes {
  readonly kept: Map<string, FirstHash>
  /** Thrown by every update while it is set. */
  error: Error | undefined
  writes = 0

  constructor(kept: Map<string, FirstHash> = new Map()) {
    this.kept = kept
  }

  async update(
    module: ModuleVersion,
    change: (kept: FirstHash | undefined) => FirstHash | undefined,
  ): Promise<void> {
    if (this.error !== undefined) throw this.error
    const key = formatModuleVersion(module)
    const kept = this.kept.get(key)
    const next = change(kept)
    if (next === kept) return
    this.writes++
    if (next === undefined) this.kept.delete(key)
    else this.kept.set(key, next)
  }
}
