import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ModuleVersion, ZipDigest } from '@modmesh/module'
import type { Disk } from './disk.ts'
import { asError, StoreWriteError } from './errors.ts'
import { type Layout, recordPath, zipFolder, zipPath } from './layout.ts'
import { clockTickMs, maxQuarantined, pieceBytes } from './limits.ts'
import { replaceFile } from './replace-file.ts'
import type { ReportEvent } from './store-event.ts'
import { formatZipRecord, type ZipRecord } from './zip-record.ts'

/** Where the files of zips are, and whom their trouble is told. */
export interface ZipFileComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly report: ReportEvent
}

/**
 * SHA-256 of a file and the identity it had all the while; undefined when absent or changing. No identity where that
 * would not show a later change. `pace` may slow it.
 */
export async function hashFile(
  disk: Disk,
  path: string,
  pace?: (bytes: number) => Promise<void>,
): Promise<{ readonly digest: string; readonly stamp: string | undefined } | undefined> {
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
      await pace?.(bytesRead)
    }
    const after = await file.identity()
    if (before.stamp !== after.stamp) return undefined
    // A clock that ticks slower than a disk writes shows no difference between two changes at once.
    const mayChangeUnseen = after.isShared && Date.now() - after.changedMs < clockTickMs
    return { digest: sha.digest('hex'), stamp: mayChangeUnseen ? undefined : after.stamp }
  } finally {
    await file.close()
  }
}

/** Moves a zip and its record aside, for somebody to look at; the oldest of many are removed. */
export async function quarantineFiles(
  components: ZipFileComponents,
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

/** Writes a record beside its zip, durably. Throws StoreWriteError. */
export async function writeRecordFile(
  components: Pick<ZipFileComponents, 'disk' | 'layout'>,
  record: ZipRecord,
): Promise<void> {
  const path = recordPath(components.layout, record.zipDigest)
  try {
    const bytes = Buffer.from(formatZipRecord(record))
    await replaceFile(components, path, bytes, { isDurable: true })
  } catch (error) {
    throw new StoreWriteError('a record', error)
  }
}
