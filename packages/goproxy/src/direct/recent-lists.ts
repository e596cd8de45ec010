import type { ModulePath } from '@modmesh/module'
import { recentListMs } from './limits.ts'

/** Remembers for a moment which paths have versions: `go` asks for the list of a path, and then for its latest. */
export class RecentLists {
  readonly #lists = new Map<
    ModulePath,
    { readonly hasVersions: boolean; readonly untilMs: number }
  >()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Whether the path has versions; undefined when nobody looked lately. */
  hasVersions(path: ModulePath): boolean | undefined {
    const list = this.#lists.get(path)
    return list !== undefined && list.untilMs > this.#nowMs() ? list.hasVersions : undefined
  }

  /** Takes note of a list. */
  note(path: ModulePath, hasVersions: boolean): void {
    const now = this.#nowMs()
    this.#lists.delete(path)
    this.#lists.set(path, { hasVersions, untilMs: now + recentListMs })
    for (const [oldest, { untilMs }] of this.#lists) {
      if (untilMs > now) break
      this.#lists.delete(oldest)
    }
  }
}
