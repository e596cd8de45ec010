import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Proof } from '@modmesh/fill'
import type { Disk } from './disk.ts'
import { StoreWriteError } from './errors.ts'
import { makeFolder } from './folders.ts'
import { type Layout, recordPath, zipFolder, zipPath } from './layout.ts'
import { recordBytes } from './recover-zips.ts'
import type { VerifiedFile } from './staged-zip.ts'
import type { ZipRecord } from './zip-record.ts'

/**
 * The steps by which a zip becomes durable and visible, in order. The record is renamed into place
 * before the zip: whatever a crash leaves, a zip that is there has its record.
 */
export const commitSteps = [
  'write',
  'fsync',
  'write-record',
  'fsync-record',
  'rename-record',
  'rename',
  'fsync-folder',
  'index',
] as const

export type CommitStep = (typeof commitSteps)[number]

/** Lets tests kill, fail or cut the power at each step. */
export interface CommitHooks {
  readonly onStep?: (step: CommitStep, when: 'before' | 'after') => void | Promise<void>
}

export interface CommitComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly hooks: CommitHooks
}

/** A zip whose files are durable, but which is in no index yet. */
export interface DurableZip {
  readonly record: ZipRecord
  readonly stamp: string
}

/** Runs one named step. */
export async function runStep<T>(
  hooks: CommitHooks,
  step: CommitStep,
  work: () => Promise<T>,
): Promise<T> {
  await hooks.onStep?.(step, 'before')
  const result = await work()
  await hooks.onStep?.(step, 'after')
  return result
}

/**
 * Makes a verified file durable under its digest. On failure nothing of it stays, and the staged
 * file is gone: after a failed fsync nobody knows what the disk holds. Throws StoreWriteError.
 */
export async function makeDurable(
  components: CommitComponents,
  verified: VerifiedFile,
  { proof, committedMs }: { readonly proof: Proof; readonly committedMs: number },
): Promise<DurableZip> {
  const { module, size, zipHash, zipDigest } = verified
  const record: ZipRecord = { module, size, zipHash, zipDigest, proof, committedMs }
  const staged = {
    zip: verified.path,
    record: join(components.layout.staging, `${randomBytes(16).toString('hex')}.json`),
  }
  try {
    await fsyncZip(components, verified)
    await writeRecord(components, staged.record, record)
    return { record, stamp: await publish(components, staged, record) }
  } catch (error) {
    await cleanUp(components.disk, [
      staged.zip,
      staged.record,
      zipPath(components.layout, zipDigest),
      recordPath(components.layout, zipDigest),
    ])
    throw error instanceof StoreWriteError ? error : new StoreWriteError('a zip', error)
  }
}

async function fsyncZip(components: CommitComponents, verified: VerifiedFile): Promise<void> {
  try {
    await runStep(components.hooks, 'fsync', async () => {
      const folder = zipFolder(components.layout, verified.zipDigest)
      await Promise.all([verified.file.fsync(), makeFolder(components.disk, folder)])
    })
  } finally {
    await verified.file.close()
  }
}

async function writeRecord(
  { disk, hooks }: CommitComponents,
  path: string,
  record: ZipRecord,
): Promise<void> {
  const file = await disk.open(path, 'create')
  try {
    await runStep(hooks, 'write-record', () => file.write(recordBytes(record), 0))
    await runStep(hooks, 'fsync-record', () => file.fsync())
  } finally {
    await file.close()
  }
}

async function publish(
  { disk, layout, hooks }: CommitComponents,
  staged: { readonly zip: string; readonly record: string },
  record: ZipRecord,
): Promise<string> {
  const path = zipPath(layout, record.zipDigest)
  await runStep(hooks, 'rename-record', () =>
    disk.rename(staged.record, recordPath(layout, record.zipDigest)),
  )
  await runStep(hooks, 'rename', () => disk.rename(staged.zip, path))
  await runStep(hooks, 'fsync-folder', () => disk.fsyncFolder(zipFolder(layout, record.zipDigest)))
  const identity = await disk.identity(path)
  if (identity?.size !== record.size) throw new StoreWriteError('a zip', new Error('wrong size'))
  return identity.stamp
}

/** The disk is in trouble already: what cannot be removed now, the next start removes. */
async function cleanUp(disk: Disk, paths: readonly string[]): Promise<void> {
  // Each on its own: one failure must not keep the rest.
  await Promise.allSettled(paths.map((path) => disk.remove(path)))
}
