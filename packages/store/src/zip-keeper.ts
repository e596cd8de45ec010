import type { HeldZip, Proof } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import type { CommitQueue } from './commit-queue.ts'
import type { Disk } from './disk.ts'
import { HeldFile } from './held-zip.ts'
import type { IndexDb } from './index-db.ts'
import type { VerifiedFile } from './staged-zip.ts'
import type { VerifiedZipFile } from './verified-zip.ts'
import { type CommitHooks, runStep } from './zip-commit.ts'
import { isStrongerProof } from './zip-record.ts'
import { type ShelvedZip, shelvedZip, type ZipShelf } from './zip-shelf.ts'
import type { ZipVault } from './zip-vault.ts'

export interface KeeperComponents {
  readonly disk: Disk
  readonly hooks: CommitHooks
  readonly wallMs: () => number
  readonly shelf: ZipShelf
  readonly vault: ZipVault
  readonly index: IndexDb
  readonly commits: CommitQueue
  /** Told of each zip that became durable. */
  readonly onCommitted: (zip: HeldZip) => void
}

/** Takes verified zips in: each is found and told of when it is durable, and not before. */
export class ZipKeeper {
  readonly #components: KeeperComponents
  readonly #running = new Map<string, Promise<unknown>>()
  readonly #readers = new Set<VerifiedZipFile>()

  constructor(components: KeeperComponents) {
    this.#components = components
  }

  /** Takes the file over; its readers go on with what became of it. Throws StoreWriteError. */
  async keep(
    verified: VerifiedFile,
    proof: Proof,
    readers: readonly VerifiedZipFile[],
  ): Promise<HeldZip> {
    for (const reader of readers) this.#readers.add(reader)
    try {
      const held = await this.#keepInTurn(verified, proof)
      for (const reader of readers) {
        reader.becomes(held)
        this.#readers.delete(reader)
      }
      return held
    } catch (error) {
      for (const reader of readers) reader.fails(() => this.#readers.delete(reader))
      throw error
    }
  }

  /** Waits for commits under way; what is read begins no more. Ask for no commits after it. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running.values())
    for (const reader of this.#readers) reader.close()
  }

  /** One commit per module version at a time: the later one finds what the earlier one did. */
  async #keepInTurn(verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    const key = formatModuleVersion(verified.module)
    const before = this.#running.get(key) ?? Promise.resolve()
    // How the earlier one ended is for its own caller.
    const commit = before.catch(() => {}).then(() => this.#commit(verified, proof))
    this.#running.set(key, commit)
    try {
      return await commit
    } finally {
      if (this.#running.get(key) === commit) this.#running.delete(key)
    }
  }

  async #commit(verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    const held = await this.#findEqualOrDrop(verified)
    if (held !== undefined) return this.#keepHeld(held, verified, proof)
    const { vault, shelf, index, hooks, commits, wallMs } = this.#components
    const committedMs = wallMs()
    await vault.settled(verified.zipDigest)
    const durable = await commits.commit(verified, { proof, committedMs })
    // Renaming changed the state of the file: what its other owner did meanwhile shows in the bytes alone.
    const zip = shelvedZip(verified.isShared ? { ...durable, stamp: undefined } : durable)
    // Not evicted before the caller has it.
    zip.heldMs = performance.now()
    if (!verified.isShared) vault.noteHashed(zip)
    await runStep(hooks, 'index', async () => {
      const replaced = shelf.put(zip)
      index.putZip(zip)
      if (replaced !== undefined && replaced.record.zipDigest !== zip.record.zipDigest) {
        await vault.removeReplaced(replaced.record)
      }
    })
    const result = new HeldFile(vault, zip)
    this.#components.onCommitted(result)
    return result
  }

  async #findEqualOrDrop(verified: VerifiedFile): Promise<ShelvedZip | undefined> {
    try {
      return await this.#findEqual(verified)
    } catch (error) {
      await this.#dropStaged(verified)
      throw error
    }
  }

  async #findEqual(verified: VerifiedFile): Promise<ShelvedZip | undefined> {
    const { shelf, vault } = this.#components
    const held = shelf.find(verified.module)
    if (held?.record.zipHash !== verified.zipHash) return undefined
    // From now on: it must not be evicted while its state is looked at.
    held.heldMs = performance.now()
    return (await vault.isSound(held)) ? held : undefined
  }

  async #dropStaged(verified: VerifiedFile): Promise<void> {
    await verified.file.release()
    await this.#components.disk.remove(verified.path)
  }

  async #keepHeld(held: ShelvedZip, verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    const { vault } = this.#components
    await this.#dropStaged(verified)
    if (isStrongerProof(proof, held.record.proof)) await vault.upgradeProof(held, proof)
    return new HeldFile(vault, held)
  }
}
