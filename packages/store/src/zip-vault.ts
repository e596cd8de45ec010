import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Proof } from '@modmesh/fill'
import type { ModuleVersion, ZipDigest } from '@modmesh/module'
import type { Disk, DiskFile } from './disk.ts'
import { asError, errnoOf, StoreDamagedError, StoreWriteError } from './errors.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, recordPath, zipFolder, zipPath } from './layout.ts'
import { maxQuarantined, pieceBytes, rehashAfterMs } from './limits.ts'
import type { Listeners } from './listeners.ts'
import { recordBytes } from './recover-zips.ts'
import type { ReportEvent } from './store-event.ts'
import { ZipMemory } from './zip-memory.ts'
import type { ZipRecord } from './zip-record.ts'
import type { ShelvedZip, ZipShelf } from './zip-shelf.ts'

export interface VaultComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly report: ReportEvent
  readonly shelf: ZipShelf
  readonly index: IndexDb
  readonly removed: Listeners<ZipRecord>
}

/**
 * Guards the bytes of committed zips: whoever opens one gets what was verified, or nothing. A file
 * whose state changed is hashed again; one that differs goes to quarantine and counts as absent.
 */
export class ZipVault {
  /** Bytes of zips that are read often. */
  readonly memory: ZipMemory = new ZipMemory()
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
      if (isShortage(error)) throw error
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

  /** Opens a zip for reading; `hash` says that the reader must hash what it reads. Throws StoreDamagedError. */
  async open(
    zip: ShelvedZip,
    isWhole: boolean,
  ): Promise<{ readonly file: DiskFile; readonly hash: boolean }> {
    const { disk, layout } = this.#components
    const path = zipPath(layout, zip.record.zipDigest)
    const isStale = zip.hashedMs === undefined || performance.now() - zip.hashedMs > rehashAfterMs
    // A part cannot be checked while it is served.
    if (isStale && !isWhole) await this.#checkOrThrow(zip, path)
    const file = await this.#openFile(zip, path, disk)
    try {
      if ((await file.identity()).stamp !== zip.stamp) await this.#checkOrThrow(zip, path)
      return { file, hash: isStale && isWhole }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Notes that a reader found the bytes right. */
  noteHashed(zip: ShelvedZip): void {
    zip.hashedMs = performance.now()
  }

  /** Moves a zip that is not what it was aside. It is never served again. */
  async quarantine(zip: ShelvedZip, reason: string): Promise<void> {
    if (!this.#components.shelf.remove(zip)) return
    const { zipDigest, module } = zip.record
    this.#components.index.dropZip(zipDigest)
    this.#components.removed.tell(zip.record)
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
    const { disk, layout, index, report, removed } = this.#components
    removed.tell(record)
    index.dropZip(record.zipDigest)
    const path = zipPath(layout, record.zipDigest)
    try {
      await disk.remove(path)
      await disk.remove(recordPath(layout, record.zipDigest))
    } catch (error) {
      report({ kind: 'tidy-failed', path, error: asError(error) })
    }
  }

  /** Notes a better proof, durably. */
  async upgradeProof(zip: ShelvedZip, proof: Proof): Promise<void> {
    const record = { ...zip.record, proof }
    await writeRecordFile(this.#components, record)
    zip.record = record
    this.#components.index.putZip(zip)
  }

  async #checkOrThrow(zip: ShelvedZip, path: string): Promise<void> {
    if (!(await this.check(zip))) throw new StoreDamagedError(path, 'is not what was committed')
  }

  async #openFile(zip: ShelvedZip, path: string, disk: Disk): Promise<DiskFile> {
    try {
      return await disk.open(path, 'read')
    } catch (error) {
      if (isShortage(error)) throw error
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
        zip.hashedMs = performance.now()
        zip.stamp = seen.stamp
        index.putZip(zip)
        return true
      }
      if (seen === undefined) reason = 'the file is missing, or being written'
    } catch (error) {
      if (isShortage(error)) throw error
      reason = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
    }
    await this.quarantine(zip, reason)
    return false
  }
}

/** SHA-256 of a file and the identity it had all the while; undefined when absent or changing. */
async function hashFile(
  disk: Disk,
  path: string,
): Promise<{ readonly digest: string; readonly stamp: string } | undefined> {
  if ((await disk.identity(path)) === undefined) return undefined
  const file = await disk.open(path, 'read')
  try {
    const before = await file.identity()
    const sha = createHash('sha256')
    const piece = Buffer.allocUnsafeSlow(pieceBytes)
    for (let at = 0; at < before.size; ) {
      const bytesRead = await file.read(piece, at)
      if (bytesRead === 0) break
      sha.update(piece.subarray(0, bytesRead))
      at += bytesRead
    }
    const after = await file.identity()
    return before.stamp === after.stamp
      ? { digest: sha.digest('hex'), stamp: after.stamp }
      : undefined
  } finally {
    await file.close()
  }
}

/** Moves a zip and its record aside, for somebody to look at; the oldest of many are removed. */
export async function quarantineFiles(
  components: Pick<VaultComponents, 'disk' | 'layout' | 'report'>,
  digest: ZipDigest,
  what: { readonly module: ModuleVersion | undefined; readonly reason: string },
): Promise<void> {
  const { disk, layout, report } = components
  const target = join(
    layout.quarantine,
    `${Date.now()}-${randomBytes(4).toString('hex')}-${digest}`,
  )
  report({ kind: 'quarantined', path: target, ...what })
  try {
    await moveIfThere(disk, zipPath(layout, digest), target)
    await moveIfThere(disk, recordPath(layout, digest), `${target}.json`)
    await disk.fsyncFolder(zipFolder(layout, digest))
    const kept = (await disk.list(layout.quarantine)).toSorted()
    for (const name of kept.slice(0, -maxQuarantined))
      await disk.remove(join(layout.quarantine, name))
  } catch (error) {
    report({ kind: 'tidy-failed', path: target, error: asError(error) })
  }
}

async function moveIfThere(disk: Disk, from: string, to: string): Promise<void> {
  if ((await disk.identity(from)) !== undefined) await disk.rename(from, to)
}

/** Writes a record beside its zip: staged, fsynced, renamed, folder fsynced. */
export async function writeRecordFile(
  { disk, layout }: Pick<VaultComponents, 'disk' | 'layout'>,
  record: ZipRecord,
): Promise<void> {
  const temporary = join(layout.staging, `${randomBytes(16).toString('hex')}.json`)
  const path = recordPath(layout, record.zipDigest)
  try {
    const file = await disk.open(temporary, 'create')
    try {
      await file.write(recordBytes(record), 0)
      await file.fsync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
    await disk.fsyncFolder(zipFolder(layout, record.zipDigest))
  } catch (error) {
    throw new StoreWriteError('a record', error)
  }
}

/** Our own lack of something says nothing about the file. */
function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'].includes(errnoOf(error) ?? '')
}
