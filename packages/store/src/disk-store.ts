import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { HeldZip, Proof, StagedZip, StoredRecord, ZipStore } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import { AnswerFiles } from './answer-files.ts'
import type { Disk } from './disk.ts'
import { StoreWriteError } from './errors.ts'
import { HeldFile } from './held-zip.ts'
import { type Layout, layoutOf, zipPath } from './layout.ts'
import { Listeners } from './listeners.ts'
import { hasMod, isModKey, moduleOfModKey, readModuleMeta, writeModuleMeta } from './module-meta.ts'
import { type OpenedStore, openStore, type StoreInit } from './open-store.ts'
import { type StagedComponents, StagedFile, type VerifiedFile } from './staged-zip.ts'
import { DiskSumdbCache, type SumdbCache } from './sumdb-cache.ts'
import type { VerifiedZipFile } from './verified-zip.ts'
import { runStep } from './zip-commit.ts'
import { isStrongerProof, type ZipRecord } from './zip-record.ts'
import type { ShelvedZip } from './zip-shelf.ts'

/** Numbers for status. */
export interface StoreStats {
  readonly zips: number
  readonly zipBytes: number
  readonly mods: number
}

/** What re-hashing found about one thing that is held. */
export interface VerifyOutcome {
  readonly module: ModuleVersion
  readonly what: 'zip' | 'mod'
  readonly ok: boolean
  readonly reason?: string
}

/** The store of one data directory. Files are the truth; the index is only a quicker start. */
export class DiskStore implements ZipStore, AsyncDisposable {
  readonly #layout: Layout
  readonly #disk: Disk
  readonly #parts: OpenedStore
  readonly #versions = new Map<ModulePath, Set<Version>>()
  readonly #commits = new Map<string, Promise<unknown>>()
  readonly #staged = new Set<StagedFile>()
  readonly #readers = new Set<VerifiedZipFile>()
  readonly #sumdbCaches = new Map<string, SumdbCache>()
  readonly #committed: Listeners<HeldZip>

  /** Where answers that change are kept. */
  readonly answers: AnswerFiles

  private constructor(parts: OpenedStore) {
    this.#parts = parts
    this.answers = new AnswerFiles(parts, parts.layout)
    this.#layout = parts.layout
    this.#disk = parts.disk
    this.#committed = new Listeners(parts.report)
    for (const key of parts.journal.keys()) {
      const module = moduleOfModKey(key)
      if (module !== undefined) this.#noteVersion(module)
    }
  }

  /**
   * Opens or makes the store under `dir`; removes what a killed process left. Throws
   * StoreLockedError when another process has it, StoreAccessError when it must not be used.
   */
  static async open(init: StoreInit): Promise<DiskStore> {
    return new DiskStore(await openStore({ ...init, layout: layoutOf(resolve(init.dir)) }))
  }

  async findZip(module: ModuleVersion): Promise<HeldZip | undefined> {
    return this.#hold(this.#parts.shelf.find(module))
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    return this.#hold(this.#parts.shelf.findContent(zipHash))
  }

  findRecord(module: ModuleVersion): Promise<StoredRecord | undefined> {
    return readModuleMeta(this.#parts.journal, module)
  }

  async putRecord(record: StoredRecord): Promise<void> {
    await writeModuleMeta(this.#parts.journal, record)
    if (record.mod !== undefined) this.#noteVersion(record.module)
  }

  async stageZip(module: ModuleVersion): Promise<StagedZip> {
    const path = join(this.#layout.staging, `${randomBytes(16).toString('hex')}.zip`)
    const { disk, pool, report, hooks, maxZipBytes } = this.#parts
    const onDone = (staged: StagedFile): unknown => this.#staged.delete(staged)
    const commit: StagedComponents['commit'] = (verified, proof, readers) =>
      this.#commitForReaders(readers, () => this.#commitInTurn(verified, proof))
    const components = { disk, pool, report, hooks, maxZipBytes, onDone, commit }
    try {
      const file = await disk.open(path, 'create')
      const staged = new StagedFile(components, { module, path, file })
      this.#staged.add(staged)
      return staged
    } catch (error) {
      throw new StoreWriteError('a staged zip', error)
    }
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    const versions = new Set(this.#parts.shelf.versions(path))
    for (const version of this.#versions.get(path) ?? []) {
      if (hasMod(this.#parts.journal, { path, version })) versions.add(version)
    }
    return [...versions]
  }

  async *contents(): AsyncGenerator<{
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly proof: Proof
  }> {
    for (const { record } of this.#parts.shelf.all()) {
      yield { module: record.module, zipHash: record.zipHash, proof: record.proof }
    }
  }

  /** What the client of one checksum database keeps; always the same object for a name. */
  sumdbCache(name: string): SumdbCache {
    const { disk, layout, journal } = this.#parts
    const cache = this.#sumdbCaches.get(name) ?? new DiskSumdbCache({ disk, layout, journal }, name)
    this.#sumdbCaches.set(name, cache)
    return cache
  }

  async stats(): Promise<StoreStats> {
    const { shelf, journal } = this.#parts
    let mods = 0
    for (const key of journal.keys()) if (isModKey(key)) mods++
    return { zips: shelf.count, zipBytes: shelf.bytes, mods }
  }

  /** Calls the listener for every zip that became durable. Returns how to stop. */
  onCommitted(listener: (zip: HeldZip) => void): () => void {
    return this.#committed.add(listener)
  }

  /** Calls the listener for every zip that is no longer held, so that it is announced no more. */
  onRemoved(listener: (zip: ZipRecord) => void): () => void {
    return this.#parts.removed.add(listener)
  }

  /** Hashes everything again; what is bad goes to quarantine. */
  async *verifyAll({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<VerifyOutcome> {
    for (const zip of this.#parts.shelf.all()) yield await this.#verifyZip(zip, signal)
    for (const key of this.#parts.journal.keys()) {
      signal.throwIfAborted()
      const module = moduleOfModKey(key)
      if (module === undefined) continue
      const isSound = (await this.findRecord(module))?.mod !== undefined
      const reason = 'the record of its go.mod is damaged'
      yield { module, what: 'mod', ok: isSound, ...(isSound ? {} : { reason }) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#commits.values())
    await Promise.allSettled([...this.#staged].map((staged) => staged.discard()))
    for (const reader of this.#readers) reader.close()
    await this.answers[Symbol.asyncDispose]()
    await this.#parts.close()
  }

  async #hold(zip: ShelvedZip | undefined): Promise<HeldZip | undefined> {
    if (zip === undefined || !(await this.#parts.vault.isSound(zip))) return undefined
    return new HeldFile(this.#parts.vault, zip)
  }

  async #verifyZip(zip: ShelvedZip, signal: AbortSignal): Promise<VerifyOutcome> {
    signal.throwIfAborted()
    const { vault, pool } = this.#parts
    const { module, zipDigest, zipHash } = zip.record
    const bad = { module, what: 'zip', ok: false } as const
    if (!(await vault.check(zip))) return { ...bad, reason: 'its bytes changed' }
    try {
      const seen = await pool.verify(zipPath(this.#layout, zipDigest), module, { signal })
      if (seen.zipHash === zipHash) return { module, what: 'zip', ok: true }
    } catch (error) {
      signal.throwIfAborted()
      await vault.quarantine(zip, error instanceof Error ? error.message : String(error))
      return { ...bad, reason: 'it is not a module zip' }
    }
    await vault.quarantine(zip, 'another h1')
    return { ...bad, reason: 'another h1' }
  }

  /** Those who read the verified zip already go on with what became of it. */
  async #commitForReaders(
    readers: readonly VerifiedZipFile[],
    commit: () => Promise<HeldZip>,
  ): Promise<HeldZip> {
    for (const reader of readers) this.#readers.add(reader)
    try {
      const held = await commit()
      for (const reader of readers) {
        reader.becomes(held)
        this.#readers.delete(reader)
      }
      return held
    } catch (error) {
      for (const reader of readers) reader.fails()
      throw error
    }
  }

  /** One commit per module version at a time: the later one finds what the earlier one did. */
  async #commitInTurn(verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    const key = formatModuleVersion(verified.module)
    const before = this.#commits.get(key) ?? Promise.resolve()
    // How the earlier one ended is for its own caller.
    const commit = before.catch(() => {}).then(() => this.#commit(verified, proof))
    this.#commits.set(key, commit)
    try {
      return await commit
    } finally {
      if (this.#commits.get(key) === commit) this.#commits.delete(key)
    }
  }

  async #commit(verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    const held = await this.#findEqualOrDrop(verified)
    if (held !== undefined) return this.#keepHeld(held, verified, proof)
    const { vault, shelf, index, hooks, commits } = this.#parts
    const committedMs = this.#parts.wallMs()
    await vault.settled(verified.zipDigest)
    const durable = await commits.commit(verified, { proof, committedMs })
    const zip: ShelvedZip = { ...durable, hashedMs: performance.now() }
    await runStep(hooks, 'index', async () => {
      const replaced = shelf.put(zip)
      index.putZip(zip)
      if (replaced !== undefined && replaced.record.zipDigest !== zip.record.zipDigest) {
        await vault.removeReplaced(replaced.record)
      }
    })
    const result = new HeldFile(vault, zip)
    this.#committed.tell(result)
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

  async #dropStaged(verified: VerifiedFile): Promise<void> {
    await verified.file.release()
    await this.#disk.remove(verified.path)
  }

  async #findEqual(verified: VerifiedFile): Promise<ShelvedZip | undefined> {
    const held = this.#parts.shelf.find(verified.module)
    if (held?.record.zipHash !== verified.zipHash) return undefined
    return (await this.#parts.vault.isSound(held)) ? held : undefined
  }

  async #keepHeld(held: ShelvedZip, verified: VerifiedFile, proof: Proof): Promise<HeldZip> {
    await this.#dropStaged(verified)
    if (isStrongerProof(proof, held.record.proof)) await this.#parts.vault.upgradeProof(held, proof)
    return new HeldFile(this.#parts.vault, held)
  }

  #noteVersion({ path, version }: ModuleVersion): void {
    const versions = this.#versions.get(path)
    if (versions === undefined) this.#versions.set(path, new Set([version]))
    else versions.add(version)
  }
}
