import {
  type ByteSink,
  type DeltaForm,
  DeltaLostError,
  DeltaRefusedError,
  type HeldZip,
  type MissingFiles,
  type ToldManifest,
  type ZipRebuild,
} from '@modmesh/fill'
import {
  applyManifestDifference,
  decodeIndices,
  encodeIndices,
  formatManifest,
  hashManifest,
  InvalidFileError,
  type ManifestLine,
  type ModuleVersion,
  maxZipBytes,
  type PrefixedLines,
  sketchManifest,
  type ZipHash,
  ZipRulesError,
  zipPrefix,
} from '@modmesh/module'
import type { ShelvedZip } from '../zip-shelf.ts'
import type { AssembledFile } from './assemble-zip.ts'
import type { DeltaPool } from './delta-pool.ts'
import type { JobPort } from './job-port.ts'
import { maxSketchLines } from './limits.ts'
import type { Manifests } from './manifests.ts'
import { unpackManifest } from './packed-manifest.ts'
import type { KeptFile, WantedFile } from './unpack-files.ts'

/** What a rebuild works with. */
export interface RebuildComponents {
  readonly pool: DeltaPool
  readonly manifests: Manifests
  readonly shelved: (zip: HeldZip) => ShelvedZip | undefined
  readonly pathOf: (zip: ShelvedZip) => string
  /** Keeps a zip from eviction while something is done with its file. */
  readonly inUse: <T>(zip: ShelvedZip, work: () => Promise<T>) => Promise<T>
  /** Makes an empty file for parts. Throws StoreWriteError. */
  readonly makeParts: () => Promise<string>
}

interface Base {
  readonly zip: ShelvedZip
  readonly lines: PrefixedLines
}

/** Where one file of the manifest comes from. */
interface Line extends ManifestLine {
  /** Of a file that the base has under this name. */
  readonly oldName: string | undefined
  /** Whether the base has the same content. */
  readonly isHeld: boolean
}

type Waiting = { readonly signal: AbortSignal }

/** What is known and has come of one zip. Everything in it was verified. */
export class Rebuild implements ZipRebuild {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  bases: readonly HeldZip[] = []
  onRelease: (isFinished: boolean) => Promise<void> = async () => {}
  readonly #components: RebuildComponents
  readonly #kept = new Map<number, KeptFile>()
  readonly #jobs = new Set<JobPort>()
  #lines: readonly Line[] | undefined
  #base: Base | undefined
  #parts: string | undefined
  /** Length of the file of parts, and of what is in it when it is inflated. */
  #end = 0
  #contentBytes = 0

  constructor(
    components: RebuildComponents,
    init: { readonly module: ModuleVersion; readonly zipHash: ZipHash },
  ) {
    this.#components = components
    this.module = init.module
    this.zipHash = init.zipHash
  }

  get hasManifest(): boolean {
    return this.#lines !== undefined
  }

  /** Bytes on disk. */
  get size(): number {
    return this.#end
  }

  /** The file of parts, once there is one. */
  get parts(): string | undefined {
    return this.#parts
  }

  async sketch(base: HeldZip, options: Waiting): Promise<Uint8Array | undefined> {
    const lines = await this.#linesOf(base, options)
    return lines === undefined || lines.lines.length > maxSketchLines
      ? undefined
      : sketchManifest(lines)
  }

  async takeManifest(told: ToldManifest, options: Waiting): Promise<void> {
    const base = await this.#baseOf(told, options)
    const mayCollide = base !== undefined && !told.isBaseShared
    const lines = await readManifest(told.packed, zipPrefix(this.module), base?.lines, mayCollide)
    if (hashOf(lines) !== this.zipHash) {
      throw refused(mayCollide, 'a manifest that does not hash to the h1')
    }
    const held = new Map(base?.lines.lines.map((line) => [line.name, line.sha256]))
    const newPrefix = zipPrefix(this.module).length
    this.#base = base
    this.bases = this.bases.filter((_, at) => at === told.base)
    this.#lines = lines.map((line) => {
      const oldName = (base?.lines.prefix ?? '') + line.name.slice(newPrefix)
      const old = held.get(oldName)
      const isHeld = old !== undefined && Buffer.from(old).equals(line.sha256)
      return { ...line, oldName: old === undefined ? undefined : oldName, isHeld }
    })
  }

  missing(): MissingFiles {
    const changed: number[] = []
    const added: number[] = []
    const all: number[] = []
    for (const [index, line] of (this.#lines ?? []).entries()) {
      if (line.isHeld || this.#kept.has(index)) continue
      all.push(index)
      if (line.oldName === undefined) added.push(index)
      else changed.push(index)
    }
    return {
      changed: encodeIndices(changed),
      added: encodeIndices(added),
      all: encodeIndices(all),
      changedCount: changed.length,
      addedCount: added.length,
      allCount: all.length,
    }
  }

  receive(
    form: DeltaForm,
    files: Uint8Array,
    options: Waiting,
  ): ByteSink & { end(): Promise<void> } {
    const lines = this.#lines ?? []
    const wanted = decodeIndices(files, lines.length).flatMap((index): WantedFile[] => {
      const line = lines[index]
      return line === undefined ? [] : [{ index, sha256: line.sha256, oldName: line.oldName }]
    })
    let job: Promise<JobPort> | undefined
    const started = (): Promise<JobPort> => {
      job ??= this.#unpack(form, wanted)
      return job
    }
    return {
      write: async (chunk) => await (await started()).write(chunk, options),
      end: async () => await (await started()).end(),
    }
  }

  async writeTo(sink: ByteSink, options: Waiting): Promise<void> {
    const base = this.#base
    if (base === undefined) return await this.#assemble(sink, undefined, options)
    const path = this.#components.pathOf(base.zip)
    await this.#components.inUse(base.zip, () => this.#assemble(sink, path, options))
  }

  async release(finished: boolean): Promise<void> {
    await this.onRelease(finished)
  }

  /** Ends what is under way; what was verified stays. */
  async stop(): Promise<void> {
    await Promise.all([...this.#jobs].map((job) => job.stop()))
    this.#jobs.clear()
  }

  async #assemble(sink: ByteSink, base: string | undefined, options: Waiting): Promise<void> {
    const files = (this.#lines ?? []).map((line, index): AssembledFile => {
      const kept = this.#kept.get(index)
      return { name: line.name, oldName: line.isHeld ? line.oldName : undefined, kept }
    })
    const job = this.#components.pool.start({ kind: 'assemble', parts: this.#parts, base, files })
    this.#jobs.add(job)
    try {
      for await (const chunk of job.chunks(options)) await write(sink, chunk)
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof SinkError) throw error.cause
      // Its sources were verified: they are not what they were.
      throw new DeltaLostError('what it is made of is gone', { cause: error })
    } finally {
      this.#jobs.delete(job)
    }
  }

  async #unpack(form: DeltaForm, wanted: readonly WantedFile[]): Promise<JobPort> {
    const { pool, pathOf, makeParts } = this.#components
    this.#parts ??= await makeParts()
    const base = form === 'P' && this.#base !== undefined ? pathOf(this.#base.zip) : undefined
    const maxBytes = maxZipBytes - this.#contentBytes
    const path = this.#parts
    const job = pool.start({ kind: 'unpack', form, path, at: this.#end, base, wanted, maxBytes })
    this.#jobs.add(job)
    job.onKept = (files) => this.#keep(files)
    return job
  }

  #keep(files: readonly KeptFile[]): void {
    for (const file of files) {
      this.#kept.set(file.index, file)
      this.#end = Math.max(this.#end, file.at + file.compressedSize)
      this.#contentBytes += file.size
    }
  }

  async #baseOf({ base: index }: ToldManifest, options: Waiting): Promise<Base | undefined> {
    if (index === undefined) return undefined
    const held = this.bases[index]
    if (held === undefined) throw new DeltaRefusedError('lie', 'told against a base not offered')
    const zip = this.#components.shelved(held)
    const lines = await this.#linesOf(held, options)
    if (zip === undefined || lines === undefined) throw new DeltaLostError('the base is gone')
    return { zip, lines }
  }

  async #linesOf(base: HeldZip, options: Waiting): Promise<PrefixedLines | undefined> {
    const zip = this.#components.shelved(base)
    return zip === undefined
      ? undefined
      : await this.#components.inUse(zip, () => this.#components.manifests.linesOf(zip, options))
  }
}

/** The sink's own failure, which says nothing about the sources. */
class SinkError extends Error {}

async function write(sink: ByteSink, chunk: Uint8Array): Promise<void> {
  try {
    await sink.write(chunk)
  } catch (error) {
    throw new SinkError('the sink failed', { cause: error })
  }
}

async function readManifest(
  packed: Uint8Array,
  prefix: string,
  base: PrefixedLines | undefined,
  mayCollide: boolean,
): Promise<readonly ManifestLine[]> {
  try {
    return applyManifestDifference(await unpackManifest(packed), prefix, base)
  } catch (error) {
    if (!(error instanceof InvalidFileError)) throw error
    throw refused(mayCollide, error.message)
  }
}

function hashOf(lines: readonly ManifestLine[]): ZipHash | undefined {
  try {
    return hashManifest(formatManifest(lines))
  } catch (error) {
    if (error instanceof ZipRulesError) return undefined
    throw error
  }
}

function refused(mayCollide: boolean, reason: string): DeltaRefusedError {
  return new DeltaRefusedError(mayCollide ? 'collision' : 'lie', reason)
}
