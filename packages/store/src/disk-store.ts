import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { HeldZip, Proof, StagedZip, StoredRecord, ZipStore } from '@modmesh/fill'
import {
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
  ZipRulesError,
} from '@modmesh/module'
import { type AdoptedZip, adoptZip } from './adopted-zip.ts'
import { AnswerFiles } from './answer-files.ts'
import { DiskDeltas } from './delta/disk-deltas.ts'
import { StoreWriteError } from './errors.ts'
import { DiskFirstHashes } from './first-hashes.ts'
import { HeldFile } from './held-zip.ts'
import { type Layout, layoutOf, zipPath } from './layout.ts'
import { Listeners } from './listeners.ts'
import {
  dropModuleMeta,
  hasMod,
  isModKey,
  moduleOfModKey,
  readModuleMeta,
  writeModuleMeta,
} from './module-meta.ts'
import { type OpenedStore, openStore, type StoreInit } from './open-store.ts'
import { type PinnedProject, parsePin } from './pins.ts'
import { takeSame } from './same-zip.ts'
import type { ShrinkPlan, Shrunk } from './size-budget.ts'
import { type StagedComponents, StagedFile, type VerifiedFile } from './staged-zip.ts'
import { DiskSumdbCache, type SumdbCache } from './sumdb-cache.ts'
import { canKeep } from './try-write.ts'
import { ZipKeeper } from './zip-keeper.ts'
import type { ZipRecord } from './zip-record.ts'
import type { ShelvedZip } from './zip-shelf.ts'
import type { RemovalReason } from './zip-vault.ts'

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

/** A zip as `list` tells of it. */
export interface ListedZip extends ZipRecord {
  /** Last read, or committed, milliseconds since 1970; some minutes may be missing after a crash. */
  readonly usedMs: number
  /** When its bytes were last known to be right, milliseconds since 1970. */
  readonly checkedMs: number
  readonly isPinned: boolean
}

/** How large the store may be. Bytes. */
export interface StoreBudget {
  /** Undefined: what the disk takes. */
  readonly maxBytes: number | undefined
  readonly pinnedZips: number
  readonly pinnedBytes: number
  /** Nobody knows what was pinned: everything counts as pinned. */
  readonly arePinsLost: boolean
}

/** The store of one data directory. Files are the truth; the index is only a quicker start. */
export class DiskStore implements ZipStore, AsyncDisposable {
  readonly #layout: Layout
  readonly #parts: OpenedStore
  readonly #versions = new Map<ModulePath, Set<Version>>()
  readonly #staged = new Set<StagedFile>()
  readonly #keeper: ZipKeeper
  readonly #sumdbCaches = new Map<string, SumdbCache>()
  readonly #committed: Listeners<HeldZip>

  /** Where answers that change are kept. */
  readonly answers: AnswerFiles
  /** Transfers of changes. */
  readonly deltas: DiskDeltas
  /** What was first seen of versions that nobody can prove. */
  readonly firstHashes: DiskFirstHashes

  private constructor(parts: OpenedStore) {
    this.#parts = parts
    this.answers = new AnswerFiles(parts, parts.layout)
    this.firstHashes = new DiskFirstHashes(parts)
    this.deltas = new DiskDeltas({ ...parts, findZip: (module) => this.findZip(module) })
    this.#layout = parts.layout
    this.#committed = new Listeners(parts.report)
    const onCommitted = (zip: HeldZip): void => {
      this.#committed.tell(zip)
      parts.budget.check()
    }
    this.#keeper = new ZipKeeper({ ...parts, onCommitted })
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

  /** Takes a module version out, with all its parts. Whoever reads its zip now reads on. Throws StoreWriteError. */
  async remove(module: ModuleVersion): Promise<void> {
    const { journal, shelf, vault } = this.#parts
    await dropModuleMeta(journal, module)
    const zip = shelf.find(module)
    if (zip !== undefined) await vault.evict(zip)
  }

  async stageZip(module: ModuleVersion): Promise<StagedZip> {
    const path = join(this.#layout.staging, `${randomBytes(16).toString('hex')}.zip`)
    const { disk, pool, report, hooks, maxZipBytes, vault } = this.#parts
    const { chunks } = vault
    const onDone = (staged: StagedFile): unknown => this.#staged.delete(staged)
    const commit: StagedComponents['commit'] = (...zip) => this.#keeper.keep(...zip)
    const components = { disk, pool, chunks, report, hooks, maxZipBytes, onDone, commit }
    try {
      const file = await disk.open(path, 'create')
      const staged = new StagedFile(components, { module, path, file })
      this.#staged.add(staged)
      return staged
    } catch (error) {
      throw new StoreWriteError('a zip', error)
    }
  }

  /**
   * Takes a zip file of this machine, verified and without copying its bytes where that is possible;
   * it is held once it is committed. At most `adoptAtOnce` should be under way. Throws ZipRulesError,
   * StoreAccessError, StoreWriteError.
   */
  async adoptZip(
    module: ModuleVersion,
    source: string,
    options: { readonly signal: AbortSignal },
  ): Promise<AdoptedZip> {
    const held = this.#parts.shelf.find(module)
    const same = held && (await takeSame(this.#parts, held, source))
    if (same !== undefined) return same
    const commit = (verified: VerifiedFile, proof: Proof) => this.#keeper.keep(verified, proof, [])
    return await adoptZip({ ...this.#parts, commit }, module, source, options)
  }

  /** Zips that can be verified at the same time. */
  get adoptAtOnce(): number {
    return this.#parts.pool.size
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
  onRemoved(listener: (zip: ZipRecord, why: RemovalReason) => void): () => void {
    return this.#parts.removed.add(({ record, why }) => listener(record, why))
  }

  /** What is known of every zip that is held, in no order. */
  *list(): Generator<ListedZip> {
    const { shelf, pins } = this.#parts
    for (const { record, usedMs, checkedMs } of shelf.all()) {
      yield { ...record, usedMs, checkedMs, isPinned: pins.covers(record.module) }
    }
  }

  /** Every module version of which a go.mod is held, in no order. */
  *mods(): Generator<ModuleVersion> {
    for (const key of this.#parts.journal.keys()) {
      const module = moduleOfModKey(key)
      if (module !== undefined) yield module
    }
  }

  /** The pins, as they were written. */
  pins(): readonly string[] {
    return this.#parts.pins.list().map(({ text }) => text)
  }

  /** Pins `PATH@VERSION`, or a path or glob as in GOPRIVATE; durable when this resolves. Throws InvalidPinError, StoreWriteError. */
  async pin(texts: readonly string[]): Promise<void> {
    await this.#parts.pins.add(texts.map(parsePin))
  }

  /** Ends pins, durably; returns those that were there. Throws StoreWriteError. */
  async unpin(texts: readonly string[]): Promise<readonly string[]> {
    const removed = await this.#parts.pins.remove(texts)
    this.#parts.budget.checkAnew()
    return removed.map(({ text }) => text)
  }

  /** Projects that are pinned by name. */
  pinnedProjects(): readonly PinnedProject[] {
    return this.#parts.pins.projects()
  }

  /** Pins the modules of a project instead of those pinned under its name before. Throws InvalidPinError, StoreWriteError. */
  async pinProject(project: PinnedProject): Promise<void> {
    await this.#parts.pins.putProject(project)
    this.#parts.budget.checkAnew()
  }

  /** Ends the pins of a project, durably; false when there is none of that name. Throws StoreWriteError. */
  async unpinProject(name: string): Promise<boolean> {
    const isThere = await this.#parts.pins.removeProject(name)
    this.#parts.budget.checkAnew()
    return isThere
  }

  /** Evicts what was not used for the longest time until the zips take `bytes`, as far as pins and readers allow. */
  async shrink(bytes: number): Promise<Shrunk> {
    return await this.#parts.budget.shrink(bytes)
  }

  /** What `shrink` would remove now. */
  planShrink(bytes: number): ShrinkPlan {
    return this.#parts.budget.plan(bytes)
  }

  /** What the zips may take, and what of them may not be evicted. */
  budget(): StoreBudget {
    const { budget, pins } = this.#parts
    const { zips, bytes } = budget.pinned()
    const { maxBytes } = budget
    return { maxBytes, pinnedZips: zips, pinnedBytes: bytes, arePinsLost: pins.isLost }
  }

  /** Whether what comes could be kept. Writes 1 MiB. */
  async canKeep(): Promise<boolean> {
    return await canKeep(this.#parts.disk, this.#layout)
  }

  /** Hashes everything again; what is bad goes to quarantine. */
  async *verifyAll({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<VerifyOutcome> {
    for (const zip of this.#parts.shelf.all()) {
      signal.throwIfAborted()
      // Evicted or replaced since the list was made.
      if (this.#parts.shelf.find(zip.record.module) !== zip) continue
      yield await this.#parts.vault.inUse(zip, () => this.#verifyZip(zip, signal))
    }
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
    await Promise.allSettled([...this.#staged].map((staged) => staged.discard()))
    await this.deltas[Symbol.asyncDispose]()
    await this.#keeper.close()
    await this.answers[Symbol.asyncDispose]()
    await this.#parts.close()
  }

  async #hold(zip: ShelvedZip | undefined): Promise<HeldZip | undefined> {
    if (zip === undefined) return undefined
    // From now on: it must not be evicted while its state is looked at.
    zip.heldMs = performance.now()
    if (!(await this.#parts.vault.isSound(zip))) return undefined
    return new HeldFile(this.#parts.vault, zip)
  }

  async #verifyZip(zip: ShelvedZip, signal: AbortSignal): Promise<VerifyOutcome> {
    const { vault, pool } = this.#parts
    const { module, zipDigest, zipHash } = zip.record
    const bad = { module, what: 'zip', ok: false } as const
    if (!(await vault.check(zip))) return { ...bad, reason: 'its bytes changed' }
    try {
      const seen = await pool.verify(zipPath(this.#layout, zipDigest), module, { signal })
      if (seen.zipHash === zipHash) return { module, what: 'zip', ok: true }
    } catch (error) {
      // Anything else says nothing about the zip.
      if (!(error instanceof ZipRulesError)) throw error
      await vault.quarantine(zip, error.message)
      return { ...bad, reason: 'it is not a module zip' }
    }
    await vault.quarantine(zip, 'another h1')
    return { ...bad, reason: 'another h1' }
  }

  #noteVersion({ path, version }: ModuleVersion): void {
    const versions = this.#versions.get(path)
    if (versions === undefined) this.#versions.set(path, new Set([version]))
    else versions.add(version)
  }
}
