import { dirname } from 'node:path'
import type { Proof } from '@modmesh/fill'
import { concurrently } from './concurrently.ts'
import { commitConcurrency, maxCommitGroup } from './limits.ts'
import type { VerifiedFile } from './staged-zip.ts'
import { asWriteError, type CommitComponents, type DurableZip, ZipCommit } from './zip-commit.ts'
import { ZipFolders } from './zip-folders.ts'

/** One commit of a group. */
interface Member {
  readonly commit: ZipCommit
  readonly done: (zip: DurableZip) => void
  readonly failed: (error: Error) => void
  error: unknown
}

/**
 * Commits zips in groups: while one is on its way the next gathers, so that folders are synced once
 * for all, and a slow disk has few threads of ours waiting. Each zip fails alone.
 */
export class CommitQueue {
  readonly #components: CommitComponents
  readonly #folders: ZipFolders
  readonly #waiting: Member[] = []
  #isRunning = false

  constructor(components: CommitComponents) {
    this.#components = components
    this.#folders = new ZipFolders(components.disk)
  }

  /**
   * Makes a verified file durable under its digest, and lets go of it. On failure nothing of it
   * stays, the staged file included. Throws StoreWriteError.
   */
  commit(
    verified: VerifiedFile,
    init: { readonly proof: Proof; readonly committedMs: number },
  ): Promise<DurableZip> {
    const commit = new ZipCommit(this.#components, verified, init)
    return new Promise((done, failed) => {
      this.#waiting.push({ commit, done, failed, error: undefined })
      if (!this.#isRunning) void this.#run()
    })
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isRunning = true
    // Whatever is committed in the same turn goes into the same group.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#runGroup(this.#waiting.splice(0, maxCommitGroup))
    this.#isRunning = false
  }

  /** Never rejects: each member is told. */
  async #runGroup(group: readonly Member[]): Promise<void> {
    const makeFolder = (folder: string): Promise<void> => this.#folders.make(folder)
    await each(group, ({ commit }) => commit.write(makeFolder))
    await each(group, ({ commit }) => commit.rename())
    await this.#syncFolders(group.filter(isSound))
    await concurrently(group, commitConcurrency, (member) => this.#finish(member))
  }

  async #syncFolders(group: readonly Member[]): Promise<void> {
    const { hooks } = this.#components
    await each(group, async () => hooks.onStep?.('fsync-folder', 'before'))
    const failed = await this.#folders.sync(group.map(({ commit }) => commit.folder))
    await each(group, async ({ commit }) => {
      for (const folder of withParents(commit.folder)) {
        if (failed.has(folder)) throw failed.get(folder)
      }
      await hooks.onStep?.('fsync-folder', 'after')
    })
  }

  async #finish(member: Member): Promise<void> {
    await attempt(member, async ({ commit, done }) => done(await commit.check()))
    if (isSound(member)) return
    this.#folders.forget(member.commit.folder)
    await member.commit.abandon()
    member.failed(asWriteError(member.error))
  }
}

/** Runs a step of all members that have not failed yet. */
async function each(
  group: readonly Member[],
  step: (member: Member) => Promise<void>,
): Promise<void> {
  await concurrently(group, commitConcurrency, (member) => attempt(member, step))
}

async function attempt(member: Member, step: (member: Member) => Promise<void>): Promise<void> {
  if (!isSound(member)) return
  try {
    await step(member)
  } catch (error) {
    member.error = error ?? new Error('the commit failed')
  }
}

function isSound({ error }: Member): boolean {
  return error === undefined
}

/** The folder of a zip, and those in which it may have been made. */
function withParents(folder: string): readonly string[] {
  return [folder, dirname(folder), dirname(dirname(folder))]
}
