import {
  type DeltaBase,
  type DeltaForm,
  type DeltaOffer,
  type DeltaQuestion,
  type HeldZip,
  type ToldManifest,
  UntellableError,
  type ZipDeltas,
  type ZipRebuild,
} from '@modmesh/fill'
import {
  type BaseLines,
  compareVersions,
  decodeIndices,
  diffManifest,
  exactBase,
  type ModuleVersion,
  sketchedBase,
  type ZipHash,
  zipPrefix,
} from '@modmesh/module'
import type { Disk } from '../disk.ts'
import { type Layout, zipPath } from '../layout.ts'
import type { ReportEvent } from '../store-event.ts'
import type { ShelvedZip, ZipShelf } from '../zip-shelf.ts'
import type { ZipVault } from '../zip-vault.ts'
import { frameWindowLog } from './codec.ts'
import { DeltaPool } from './delta-pool.ts'
import { KeptRebuilds } from './kept-rebuilds.ts'
import {
  copyPackingBytes,
  frameTables,
  maxBases,
  maxFrameTableBytes,
  maxPackingBytes,
  patchPackingBytes,
} from './limits.ts'
import { Manifests, type SizedLines } from './manifests.ts'
import { packManifest } from './packed-manifest.ts'
import { Rebuild } from './rebuild.ts'
import { WeightedTurns } from './weighted-turns.ts'

type Waiting = { readonly signal: AbortSignal }

/** What transfers of changes work with. */
export interface DeltaComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly report: ReportEvent
  readonly shelf: ZipShelf
  readonly vault: ZipVault
  readonly findZip: (module: ModuleVersion) => Promise<HeldZip | undefined>
}

interface Told extends Omit<DeltaQuestion, 'zipHash'> {
  readonly mayUse: (base: HeldZip) => boolean
}

interface FoundBase {
  readonly index: number
  readonly isShared: boolean
  readonly lines: BaseLines
}

/** Tells held zips in parts, and puts zips together of what is held and what comes. */
export class DiskDeltas implements ZipDeltas, AsyncDisposable {
  readonly #components: DeltaComponents
  readonly #pool = new DeltaPool()
  readonly #manifests: Manifests
  readonly #packing = new WeightedTurns(maxPackingBytes)
  readonly #busy = new Map<ZipHash, PromiseWithResolvers<void>>()
  readonly #kept: KeptRebuilds

  constructor(components: DeltaComponents) {
    this.#components = components
    this.#kept = new KeptRebuilds(components)
    this.#manifests = new Manifests({ pool: this.#pool, pathOf: this.#pathOf })
  }

  async rebuild(module: ModuleVersion, zipHash: ZipHash, { signal }: Waiting): Promise<ZipRebuild> {
    for (let other = this.#busy.get(zipHash); other; other = this.#busy.get(zipHash)) {
      await untilAborted(other.promise, signal)
    }
    signal.throwIfAborted()
    const busy = Promise.withResolvers<void>()
    this.#busy.set(zipHash, busy)
    const leave = (): void => {
      this.#busy.delete(zipHash)
      busy.resolve()
    }
    try {
      const kept = await this.#kept.take(zipHash)
      const rebuild = kept ?? this.#newRebuild(module, zipHash)
      if (!rebuild.hasManifest) rebuild.bases = await this.#bases(module)
      rebuild.onRelease = async (isFinished) => {
        await this.#kept.release(rebuild, isFinished)
        leave()
      }
      return rebuild
    } catch (error) {
      leave()
      throw error
    }
  }

  offer(zip: HeldZip, { mayUse }: { readonly mayUse: (base: HeldZip) => boolean }): DeltaOffer {
    return {
      zip,
      tell: (question, options) => this.#tell(zip, { ...question, mayUse }, options),
      files: (asked, options) => this.#files(zip, asked, options),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]()
  }

  async #tell(
    zip: HeldZip,
    { bases, hasManifest, mayUse }: Told,
    options: Waiting,
  ): Promise<ToldManifest> {
    const target = await this.#targetOf(zip, options)
    const zipBytes = zip.size
    if (hasManifest) {
      const plain = bases.map(({ zipHash }) => ({ zipHash }))
      const known = await this.#findBase(plain, mayUse, options)
      const told = { base: known?.index, isBaseShared: known !== undefined }
      return { ...told, packed: new Uint8Array(), zipBytes, ...newSizes(target, known?.lines) }
    }
    const found = await this.#findBase(bases, mayUse, options)
    const packed = await packManifest(diffManifest(target, found?.lines))
    const { index: base, isShared: isBaseShared = false } = found ?? {}
    return { base, isBaseShared, packed, zipBytes, ...newSizes(target, found?.lines) }
  }

  /** The first base that we hold, too; else the first that is sketched. */
  async #findBase(
    bases: readonly DeltaBase[],
    mayUse: (base: HeldZip) => boolean,
    options: Waiting,
  ): Promise<FoundBase | undefined> {
    for (const [index, { zipHash }] of bases.entries()) {
      const lines = await this.#sharedLines(zipHash, mayUse, options)
      if (lines !== undefined) return { index, isShared: true, lines: exactBase(lines) }
    }
    const index = bases.findIndex(({ sketch }) => sketch !== undefined)
    const sketch = bases[index]?.sketch
    return sketch && { index, isShared: false, lines: sketchedBase(sketch) }
  }

  async *#files(
    zip: HeldZip,
    { form, base: baseHash, files }: Parameters<DeltaOffer['files']>[0],
    options: Waiting,
  ): AsyncGenerator<Uint8Array> {
    const { prefix, lines, sizes } = await this.#targetOf(zip, options)
    const indices = decodeIndices(files, lines.length)
    const shelved = this.#shelvedOrThrow(zip.zipHash)
    const old = form === 'P' && baseHash !== undefined ? this.#shelvedOrThrow(baseHash) : undefined
    const base = old && { path: this.#pathOf(old), prefix: zipPrefix(old.record.module) }
    const path = this.#pathOf(shelved)
    const leave = await this.#packing.take(weightOf(form, sizes, indices), options)
    const inUse = [shelved, ...(old === undefined ? [] : [old])].map((each) => this.#holdOpen(each))
    try {
      const job = this.#pool.start({ kind: 'pack', form, path, prefix, base, files: indices })
      yield* job.chunks(options)
    } finally {
      for (const end of inUse) end()
      leave()
    }
  }

  async #targetOf(zip: HeldZip, options: Waiting): Promise<SizedLines> {
    const lines = await this.#linesOf(this.#shelvedOrThrow(zip.zipHash), options)
    if (lines === undefined) throw new UntellableError('cannot be told in parts')
    return lines
  }

  /** Keeps a zip from eviction until the result is called. */
  #holdOpen(zip: ShelvedZip): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    void this.#components.vault.inUse(zip, () => promise)
    return resolve
  }

  #newRebuild(module: ModuleVersion, zipHash: ZipHash): Rebuild {
    const { vault, shelf } = this.#components
    return new Rebuild(
      {
        pool: this.#pool,
        manifests: this.#manifests,
        shelved: ({ zipHash: held }) => shelf.findContent(held),
        pathOf: this.#pathOf,
        inUse: (zip, work) => vault.inUse(zip, work),
        makeParts: () => this.#kept.makeParts(),
      },
      { module, zipHash },
    )
  }

  /** Versions that are held, the nearest below first, then the nearest above. */
  async #bases(module: ModuleVersion): Promise<readonly HeldZip[]> {
    const { shelf, findZip } = this.#components
    const versions = [...shelf.versions(module.path)].filter((each) => each !== module.version)
    const sorted = versions.toSorted(compareVersions)
    const below = sorted.filter((each) => compareVersions(each, module.version) < 0).toReversed()
    const above = sorted.filter((each) => compareVersions(each, module.version) > 0)
    const bases: HeldZip[] = []
    for (const version of [...below, ...above].slice(0, maxBases)) {
      const zip = await findZip({ path: module.path, version })
      if (zip !== undefined) bases.push(zip)
    }
    return bases
  }

  async #sharedLines(
    zipHash: ZipHash,
    mayUse: (base: HeldZip) => boolean,
    options: Waiting,
  ): Promise<SizedLines | undefined> {
    const zip = this.#components.shelf.findContent(zipHash)
    const held = zip && (await this.#components.findZip(zip.record.module))
    if (zip === undefined || held?.zipHash !== zipHash || !mayUse(held)) return undefined
    return await this.#linesOf(zip, options)
  }

  async #linesOf(zip: ShelvedZip, options: Waiting): Promise<SizedLines | undefined> {
    return await this.#components.vault.inUse(zip, () => this.#manifests.linesOf(zip, options))
  }

  #shelvedOrThrow(zipHash: ZipHash): ShelvedZip {
    const zip = this.#components.shelf.findContent(zipHash)
    if (zip === undefined) throw new UntellableError('not held any more')
    return zip
  }

  readonly #pathOf = ({ record }: ShelvedZip): string =>
    zipPath(this.#components.layout, record.zipDigest)
}

/** Bytes of the files that the base does not have. */
function newSizes(
  { prefix, lines, sizes, packedSizes }: SizedLines,
  base: BaseLines | undefined,
): { readonly newBytes: number; readonly newPackedBytes: number } {
  let newBytes = 0
  let newPackedBytes = 0
  for (const [index, { name, sha256 }] of lines.entries()) {
    const old = base?.find(name.slice(prefix.length))
    if (old !== undefined && base?.isSame(old, sha256) === true) continue
    newBytes += sizes[index] ?? 0
    newPackedBytes += packedSizes[index] ?? 0
  }
  return { newBytes, newPackedBytes }
}

/** Memory that packing takes, bytes. */
function weightOf(form: DeltaForm, sizes: Float64Array, indices: readonly number[]): number {
  if (form !== 'S') return form === 'P' ? patchPackingBytes : copyPackingBytes
  const content = indices.reduce((sum, index) => sum + (sizes[index] ?? 0), 0)
  const window = 2 ** frameWindowLog(content)
  return window + Math.min(window * frameTables, maxFrameTableBytes)
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
