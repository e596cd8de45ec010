import type { Proof } from '@modmesh/fill'
import type { ZipDigest } from '@modmesh/module'
import { ChunkPool } from './chunk-pool.ts'
import type { Disk, DiskFile } from './disk.ts'
import { asError, StoreAccessError, StoreDamagedError, StoreWriteError } from './errors.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, recordPath, zipPath } from './layout.ts'
import { rehashAfterMs } from './limits.ts'
import type { Listeners } from './listeners.ts'
import { throwIfOurs } from './read-trouble.ts'
import type { ReportEvent } from './store-event.ts'
import { hashFile, quarantineFiles, writeRecordFile } from './zip-files.ts'
import { ZipMemory } from './zip-memory.ts'
import type { ZipRecord } from './zip-record.ts'
import type { ShelvedZip, ZipShelf } from './zip-shelf.ts'
import type { ZipUses } from './zip-uses.ts'

export interface VaultComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly report: ReportEvent
  readonly shelf: ZipShelf
  readonly index: IndexDb
  readonly removed: Listeners<RemovedZip>
  readonly uses: ZipUses
}

/** A zip that is no longer held, and why. */
export interface RemovedZip {
  readonly record: ZipRecord
  readonly why: RemovalReason
}

/** Damaged ones were there to stay; evicted ones had to go; replaced ones have a successor. */
export type RemovalReason = 'damaged' | 'evicted' | 'replaced'

/** A zip that is open for reading. */
export interface OpenedZip {
  readonly file: DiskFile
  /** The reader must hash what it reads. */
  readonly hash: boolean
  /** Somebody else may write to it: the reader must look once more before it gives the last of it. */
  readonly isShared: boolean
  readonly close: () => Promise<void>
}

/**
 * Guards the bytes of committed zips: whoever opens one gets what was verified, or nothing. A file
 * whose state changed is hashed again; one that differs goes to quarantine and counts as absent.
 */
export class ZipVault {
  /** Bytes of zips that are read often. */
  readonly memory: ZipMemory = new ZipMemory()
  /** Memory of what is being read. */
  readonly chunks: ChunkPool = new ChunkPool()
  readonly #components: VaultComponents
  readonly #checks = new Map<ShelvedZip, Promise<boolean>>()
  /** Files that are on their way out of their place. */
  readonly #leaving = new Map<ZipDigest, Promise<void>>()

  constructor(components: VaultComponents) {
    this.#components = components
  }

  /** Whether the file is as it was when its bytes were right; hashes it when there is doubt. */
  async isSound(zip: ShelvedZip): Promise<boolean> {
    const { disk, layout } = this.#components
    try {
      const identity = await disk.identity(zipPath(layout, zip.record.zipDigest))
      if (identity?.stamp !== undefined && identity.stamp === zip.stamp) return true
    } catch (error) {
      throwIfOurs(error, zipPath(layout, zip.record.zipDigest))
    }
    return this.check(zip)
  }

  /** Hashes the file; on any difference the zip is gone when this resolves to false. */
  check(zip: ShelvedZip): Promise<boolean> {
    const running = this.#checks.get(zip)
    if (running !== undefined) return running
    const check = this.#checkOnce(zip).finally(() => this.#checks.delete(zip))
    this.#checks.set(zip, check)
    return check
  }

  /** Hashes the file without haste. What is wrong is gone when this resolves. */
  async recheck(
    zip: ShelvedZip,
    {
      signal,
      pace,
    }: { readonly signal: AbortSignal; readonly pace: (bytes: number) => Promise<void> },
  ): Promise<void> {
    const { disk, layout } = this.#components
    try {
      const seen = await hashFile(disk, zipPath(layout, zip.record.zipDigest), pace)
      if (seen?.digest === zip.record.zipDigest && seen.stamp === zip.stamp) {
        this.noteHashed(zip)
        return
      }
    } catch (error) {
      signal.throwIfAborted()
      throwIfOurs(error, zipPath(layout, zip.record.zipDigest))
    }
    await this.check(zip)
  }

  /** Opens a zip for reading. Throws StoreDamagedError, StoreAccessError. */
  async open(zip: ShelvedZip, isWhole: boolean): Promise<OpenedZip> {
    zip.readers += 1
    try {
      const opened = await this.#open(zip, isWhole)
      this.noteUsed(zip)
      const close = async (): Promise<void> => {
        zip.readers -= 1
        await opened.file.close()
      }
      return { ...opened, close }
    } catch (error) {
      zip.readers -= 1
      throw error
    }
  }

  /** Keeps a zip from eviction while something is done with its file. */
  async inUse<T>(zip: ShelvedZip, work: () => Promise<T>): Promise<T> {
    zip.readers += 1
    try {
      return await work()
    } finally {
      zip.readers -= 1
    }
  }

  async #open(zip: ShelvedZip, isWhole: boolean): Promise<Omit<OpenedZip, 'close'>> {
    const { disk, layout } = this.#components
    const path = zipPath(layout, zip.record.zipDigest)
    const isStale = zip.hashedMs === undefined || performance.now() - zip.hashedMs > rehashAfterMs
    // A part cannot be checked while it is served.
    if (isStale && !isWhole) await this.#checkOrThrow(zip, path)
    const file = await this.#openFile(zip, path, disk)
    try {
      const { stamp, isShared } = await file.identity()
      if (stamp !== zip.stamp) await this.#checkOrThrow(zip, path)
      return { file, hash: isStale && isWhole, isShared }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Throws StoreDamagedError when a file was written to since it was opened, and holds something else now. */
  async refuseWhenChanged(zip: ShelvedZip, file: DiskFile): Promise<void> {
    if ((await file.identity()).stamp === zip.stamp || (await this.check(zip))) return
    throw new StoreDamagedError(zip.record.zipDigest, 'changed while it was read')
  }

  /** Notes that a zip was read, from wherever. */
  noteUsed(zip: ShelvedZip): void {
    this.#components.uses.noteUsed(zip)
  }

  /** Notes that a reader found the bytes right. */
  noteHashed(zip: ShelvedZip): void {
    this.#components.uses.noteHashed(zip)
  }

  /** What a failed read means: trouble of ours, or a file that cannot be read any more and is set aside. */
  async readFailed(zip: ShelvedZip, error: unknown): Promise<Error> {
    const { zipDigest } = zip.record
    try {
      throwIfOurs(error, zipPath(this.#components.layout, zipDigest))
    } catch (ours) {
      return asError(ours)
    }
    await this.quarantine(zip, 'cannot be read')
    return new StoreDamagedError(zipDigest, 'cannot be read', { cause: error })
  }

  /** Moves a zip that is not what it was aside. It is never served again. */
  async quarantine(zip: ShelvedZip, reason: string): Promise<void> {
    if (!this.#components.shelf.remove(zip)) return
    const { zipDigest, module } = zip.record
    this.#components.index.dropZip(zipDigest)
    this.#components.removed.tell({ record: zip.record, why: 'damaged' })
    await this.#leave(zipDigest, quarantineFiles(this.#components, zipDigest, { module, reason }))
  }

  /** Resolves when nothing is about to take this file away: another of the same name may take its place. */
  async settled(digest: ZipDigest): Promise<void> {
    await this.#leaving.get(digest)
  }

  /** The work must never reject. */
  async #leave(digest: ZipDigest, work: Promise<void>): Promise<void> {
    this.#leaving.set(digest, work)
    await work
    if (this.#leaving.get(digest) === work) this.#leaving.delete(digest)
  }

  /** Removes what another zip replaced. The next start repeats what fails here. */
  async removeReplaced(record: ZipRecord): Promise<void> {
    const { layout, index, report, removed } = this.#components
    removed.tell({ record, why: 'replaced' })
    index.dropZip(record.zipDigest)
    await this.#leave(
      record.zipDigest,
      this.#unlink(record).catch((error: unknown) => {
        const path = zipPath(layout, record.zipDigest)
        report({ kind: 'tidy-failed', path, error: asError(error) })
      }),
    )
  }

  /**
   * Takes a sound zip out; whoever has it open reads on. False when it was gone already. Throws
   * StoreWriteError when the file cannot be removed; it is still held then.
   */
  async evict(zip: ShelvedZip): Promise<boolean> {
    const { shelf, index, removed } = this.#components
    if (!shelf.remove(zip)) return false
    let failure: unknown
    const unlinking = this.#unlink(zip.record).then(
      () => index.dropZip(zip.record.zipDigest),
      (error: unknown) => {
        failure = error
        shelf.put(zip)
      },
    )
    await this.#leave(zip.record.zipDigest, unlinking)
    if (failure !== undefined) throw new StoreWriteError('an eviction', failure)
    removed.tell({ record: zip.record, why: 'evicted' })
    return true
  }

  /** The zip first: a record alone is removed by the next start. */
  async #unlink(record: ZipRecord): Promise<void> {
    const { disk, layout, report } = this.#components
    await disk.remove(zipPath(layout, record.zipDigest))
    const path = recordPath(layout, record.zipDigest)
    await disk.remove(path).catch((error: unknown) => {
      report({ kind: 'tidy-failed', path, error: asError(error) })
    })
  }

  /** Notes a better proof, durably. */
  async upgradeProof(zip: ShelvedZip, proof: Proof): Promise<void> {
    const record = { ...zip.record, proof }
    await writeRecordFile(this.#components, record)
    zip.record = record
    this.#components.index.putZip(zip)
  }

  async #checkOrThrow(zip: ShelvedZip, path: string): Promise<void> {
    if (await this.check(zip)) return
    throw new StoreDamagedError(
      path,
      'is not what was committed; ask again to have it fetched anew',
    )
  }

  async #openFile(zip: ShelvedZip, path: string, disk: Disk): Promise<DiskFile> {
    try {
      return await disk.open(path, 'read')
    } catch (error) {
      throwIfOurs(error, path)
      await this.#throwIfUnmounted()
      await this.quarantine(zip, 'cannot be opened')
      throw new StoreDamagedError(path, 'cannot be opened', { cause: error })
    }
  }

  async #checkOnce(zip: ShelvedZip): Promise<boolean> {
    const { disk, layout, index } = this.#components
    const path = zipPath(layout, zip.record.zipDigest)
    let reason = 'its bytes changed'
    try {
      const seen = await hashFile(disk, path)
      if (seen?.digest === zip.record.zipDigest) {
        zip.stamp = seen.stamp
        this.noteHashed(zip)
        index.putZip(zip)
        return true
      }
      if (seen === undefined) reason = 'the file is missing, or being written'
    } catch (error) {
      throwIfOurs(error, path)
      reason = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
    }
    await this.#throwIfUnmounted()
    await this.quarantine(zip, reason)
    return false
  }

  /** A file that is missing with all others says nothing: its file system is gone. */
  async #throwIfUnmounted(): Promise<void> {
    const { disk, layout } = this.#components
    if ((await disk.identity(layout.zips)) !== undefined) return
    throw new StoreAccessError(layout.zips, 'the folder is gone; is its file system mounted?')
  }
}
