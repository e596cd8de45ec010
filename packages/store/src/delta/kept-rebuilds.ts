import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ZipHash } from '@modmesh/module'
import type { Disk } from '../disk.ts'
import { asError, StoreWriteError } from '../errors.ts'
import type { Layout } from '../layout.ts'
import type { ReportEvent } from '../store-event.ts'
import { keptRebuildBytes, keptRebuildMs, keptRebuilds } from './limits.ts'
import type { Rebuild } from './rebuild.ts'

interface KeptRebuildsComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly report: ReportEvent
}

/** A rebuild between two fetches. */
interface Kept {
  readonly rebuild: Rebuild
  readonly untilMs: number
}

/** Keeps what came of cut transfers for the next fetch, for a while and within bounds. */
export class KeptRebuilds {
  readonly #components: KeptRebuildsComponents
  /** The oldest first. */
  readonly #kept = new Map<ZipHash, Kept>()

  constructor(components: KeptRebuildsComponents) {
    this.#components = components
  }

  /** Gives away what is kept of a content. */
  async take(zipHash: ZipHash): Promise<Rebuild | undefined> {
    await this.#forgetOld()
    const rebuild = this.#kept.get(zipHash)?.rebuild
    this.#kept.delete(zipHash)
    return rebuild
  }

  /** Makes an empty file for parts. Throws StoreWriteError. */
  async makeParts(): Promise<string> {
    const { disk, layout } = this.#components
    const path = join(layout.staging, `${randomBytes(16).toString('hex')}.parts`)
    try {
      await (await disk.open(path, 'create')).close()
      return path
    } catch (error) {
      throw new StoreWriteError('a zip', error)
    }
  }

  /** Takes back one that is not worked on: it is kept for the next fetch, or removed. */
  async release(rebuild: Rebuild, isFinished: boolean): Promise<void> {
    await rebuild.stop()
    const isKept = !isFinished && rebuild.hasManifest && (await this.#trim(rebuild))
    if (!isKept) return await this.#remove(rebuild)
    const untilMs = performance.now() + keptRebuildMs
    this.#kept.set(rebuild.zipHash, { rebuild, untilMs })
    await this.#forgetOld()
  }

  /** Cuts off what did not verify: a sender could fill the disk with it, as only the rest is counted. */
  async #trim({ parts, size }: Rebuild): Promise<boolean> {
    if (parts === undefined) return true
    const { disk, report } = this.#components
    try {
      const file = await disk.open(parts, 'write')
      try {
        await file.truncate(size)
      } finally {
        await file.close()
      }
      return true
    } catch (error) {
      report({ kind: 'tidy-failed', path: parts, error: asError(error) })
      return false
    }
  }

  /** Forgets what waits too long, and the oldest of what is too much. */
  async #forgetOld(): Promise<void> {
    const now = performance.now()
    let bytes = 0
    for (const { rebuild } of this.#kept.values()) bytes += rebuild.size
    for (const [zipHash, { rebuild, untilMs }] of this.#kept) {
      const isTooMuch = bytes > keptRebuildBytes || this.#kept.size > keptRebuilds
      if (untilMs > now && !isTooMuch) continue
      bytes -= rebuild.size
      this.#kept.delete(zipHash)
      await this.#remove(rebuild)
    }
  }

  /** What cannot be removed now, the next start removes. */
  async #remove({ parts }: Rebuild): Promise<void> {
    if (parts === undefined) return
    const { disk, report } = this.#components
    await disk.remove(parts).catch((error: unknown) => {
      report({ kind: 'tidy-failed', path: parts, error: asError(error) })
    })
  }
}
