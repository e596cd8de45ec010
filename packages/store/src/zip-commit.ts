import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Proof } from '@modmesh/fill'
import type { Disk } from './disk.ts'
import { StoreWriteError } from './errors.ts'
import { type Layout, recordPath, zipFolder, zipPath } from './layout.ts'
import type { VerifiedFile } from './staged-zip.ts'
import { formatZipRecord, type ZipRecord } from './zip-record.ts'

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
 * The way of one verified file to its place, step by step; whoever calls the steps shares what can
 * be shared between zips. After a failure nothing of it may stay: call `abandon`.
 */
export class ZipCommit {
  readonly record: ZipRecord
  /** Where the zip and its record go. */
  readonly folder: string
  readonly #components: CommitComponents
  readonly #verified: VerifiedFile
  readonly #stagedRecord: string

  constructor(
    components: CommitComponents,
    verified: VerifiedFile,
    { proof, committedMs }: { readonly proof: Proof; readonly committedMs: number },
  ) {
    const { module, size, zipHash, zipDigest } = verified
    this.#components = components
    this.#verified = verified
    this.record = { module, size, zipHash, zipDigest, proof, committedMs }
    this.folder = zipFolder(components.layout, zipDigest)
    const name = `${randomBytes(16).toString('hex')}.json`
    this.#stagedRecord = join(components.layout.staging, name)
  }

  /** Makes the bytes of the zip and of its record durable; `makeFolder` makes its folder. */
  async write(makeFolder: (folder: string) => Promise<void>): Promise<void> {
    const { hooks } = this.#components
    try {
      await runStep(hooks, 'fsync', async () => {
        await makeFolder(this.folder)
        await this.#verified.file.file.fsync()
      })
    } finally {
      await this.#verified.file.release()
    }
    await this.#writeRecord()
  }

  /** Gives both their names. */
  async rename(): Promise<void> {
    const { disk, layout, hooks } = this.#components
    const { zipDigest } = this.record
    await runStep(hooks, 'rename-record', () =>
      disk.rename(this.#stagedRecord, recordPath(layout, zipDigest)),
    )
    await runStep(hooks, 'rename', () =>
      disk.rename(this.#verified.path, zipPath(layout, zipDigest)),
    )
  }

  /** What is there now, to be compared with at each later opening. */
  async check(): Promise<DurableZip> {
    const { disk, layout } = this.#components
    const identity = await disk.identity(zipPath(layout, this.record.zipDigest))
    if (identity?.size !== this.record.size) throw new Error('wrong size')
    return { record: this.record, stamp: identity.stamp }
  }

  /** After a failed fsync nobody knows what the disk holds. What cannot be removed now, the next start removes. */
  async abandon(): Promise<void> {
    const { disk, layout } = this.#components
    const { zipDigest } = this.record
    const paths = [
      this.#verified.path,
      this.#stagedRecord,
      zipPath(layout, zipDigest),
      recordPath(layout, zipDigest),
    ]
    // Each on its own: one failure must not keep the rest.
    await Promise.allSettled(paths.map((path) => disk.remove(path)))
  }

  async #writeRecord(): Promise<void> {
    const { disk, hooks } = this.#components
    const file = await disk.open(this.#stagedRecord, 'create')
    try {
      await runStep(hooks, 'write-record', () =>
        file.write(Buffer.from(formatZipRecord(this.record)), 0),
      )
      await runStep(hooks, 'fsync-record', () => file.fsync())
    } finally {
      await file.close()
    }
  }
}

/** What a commit fails with: the disk's word, whatever it was. */
export function asWriteError(error: unknown): StoreWriteError {
  return error instanceof StoreWriteError ? error : new StoreWriteError('a zip', error)
}
