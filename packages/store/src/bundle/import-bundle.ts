import {
  type FirstHash,
  type FirstHashes,
  findStrangersInfoFault,
  type Proof,
  type ZipStore,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  hashMod,
  type ModuleVersion,
  maxInfoBytes,
  maxModBytes,
  maxZipBytes,
} from '@modmesh/module'
import { maxNoteBytes, maxRecordBytes, type ProvenSums } from '@modmesh/sumdb'
import { bundlePartsAtOnce, bundleZipsAtOnce } from '../limits.ts'
import type { BundleReader } from './bundle-reader.ts'
import { BundleError } from './faults.ts'
import { ImportReport } from './import-report.ts'
import { type ImportDatabase, TreeImport } from './import-tree.ts'
import { importZip } from './import-zip.ts'
import { InFlight } from './in-flight.ts'
import type { BundleItem } from './inventory.ts'

/** Where a bundle goes. */
export interface ImportParts {
  readonly store: ZipStore & { readonly firstHashes: FirstHashes }
  /** Undefined when none is in use: then all counts on the signer's word. */
  readonly database: ImportDatabase | undefined
  readonly report: ImportReport
}

interface Waiting {
  readonly signal: AbortSignal
}

type SmallItem = Exclude<BundleItem, { readonly kind: 'zip' }>

/**
 * Takes a bundle in, whose signer is believed. Each thing is checked by digest and proof before it becomes visible; what
 * is wrong is refused alone. Throws BundleError where nothing more can be read, and what the store throws.
 */
export async function importBundle(
  parts: ImportParts,
  reader: BundleReader,
  { signal }: Waiting,
): Promise<void> {
  await new BundleImport(parts, reader, signal).run()
}

class BundleImport {
  readonly #parts: ImportParts
  readonly #reader: BundleReader
  readonly #signal: AbortSignal
  readonly #tree: TreeImport | undefined
  #frameEnded = false

  constructor(parts: ImportParts, reader: BundleReader, signal: AbortSignal) {
    this.#parts = parts
    this.#reader = reader
    this.#signal = signal
    const { database, report } = parts
    const { tree } = reader.inventory
    if (tree === undefined || database === undefined) return
    if (tree.database !== database.name) {
      const message = `proven by ${tree.database}, and this node uses ${database.name}; see --sumdb`
      throw new BundleError('BUNDLE_OTHER_DATABASE', message)
    }
    this.#tree = new TreeImport({ database, report }, { tree, signal })
  }

  async run(): Promise<void> {
    const small = new InFlight(bundlePartsAtOnce)
    const zips = new InFlight(bundleZipsAtOnce)
    let kind: BundleItem['kind'] = 'head'
    try {
      for (const item of this.#reader.inventory.items) {
        this.#signal.throwIfAborted()
        if (item.kind !== 'head' && item.kind !== 'tile') await this.#endFrame()
        // What proves a thing is of a kind that comes before it.
        if (item.kind !== kind) await small.settled()
        kind = item.kind
        if (item.kind === 'zip') {
          await zips.add(await this.#receiveZip(item))
        } else await small.add(await this.#receiveSmall(item))
      }
      await this.#endFrame()
      await Promise.all([small.settled(), zips.settled()])
      await this.#reader.end()
    } finally {
      await Promise.allSettled([small.settled(), zips.settled()])
      await this.#tree?.finish()
    }
  }

  async #endFrame(): Promise<void> {
    const head = this.#reader.inventory.items[0]
    if (this.#frameEnded || this.#tree === undefined || head?.kind !== 'head') return
    this.#frameEnded = true
    await this.#tree.endFrame(head)
  }

  /** Reads one thing; what is left to do with it may go on while the next one is read. */
  async #receiveSmall(item: SmallItem): Promise<() => Promise<void>> {
    if (await this.#isHeld(item)) {
      await this.#reader.skip(item)
      this.#parts.report.count(item, 'present')
      return async () => {}
    }
    if (item.size > mostBytes(item)) {
      await this.#reader.skip(item)
      return async () => {
        await this.#refusing(item, async () => refuse('BUNDLE_FORMAT', 'too large'))
      }
    }
    let bytes: Uint8Array = new Uint8Array()
    const isRead = await this.#refusing(item, async () => {
      bytes = await this.#reader.read(item)
    })
    if (!isRead) return async () => {}
    const work = (): Promise<boolean> => this.#refusing(item, () => this.#keepSmall(item, bytes))
    // The head comes before all else, and tiles before what is in them.
    if (item.kind === 'mod' || item.kind === 'info' || item.kind === 'record') {
      return async () => void (await work())
    }
    await work()
    return async () => {}
  }

  async #isHeld(item: SmallItem): Promise<boolean> {
    if (item.kind !== 'mod' && item.kind !== 'info') return false
    return (await this.#parts.store.findRecord(item.module))?.[item.kind] !== undefined
  }

  async #keepSmall(item: SmallItem, bytes: Uint8Array): Promise<void> {
    switch (item.kind) {
      case 'mod':
        return await this.#keepMod(item, bytes)
      case 'info':
        return await this.#keepInfo(item, bytes)
      default:
        await this.#tree?.add(item, bytes)
    }
  }

  async #keepMod(item: Extract<SmallItem, { kind: 'mod' }>, bytes: Uint8Array): Promise<void> {
    const { module } = item
    const hash = hashMod(bytes)
    const sums = await this.#sums(module)
    if (sums !== undefined && sums.mod !== hash) {
      refuse('BUNDLE_UNPROVEN', `${formatModuleVersion(module)}: its go.mod is not the logged one`)
    }
    if (sums === undefined) await this.#checkFirst(module, { mod: hash })
    const proof: Proof = sums?.proof ?? { kind: 'upstream' }
    const mod = { bytes, hash, proof }
    await this.#parts.store.putRecord({ module, mod })
    this.#parts.report.count(item, 'added')
  }

  async #keepInfo(item: Extract<SmallItem, { kind: 'info' }>, bytes: Uint8Array): Promise<void> {
    const { module } = item
    const fault = findStrangersInfoFault(bytes, module)
    if (fault !== undefined) {
      refuse('BUNDLE_UNPROVEN', `${formatModuleVersion(module)}: a wrong .info: ${fault}`)
    }
    const info = { bytes, from: 'peer' } as const
    await this.#parts.store.putRecord({ module, info })
    this.#parts.report.count(item, 'added')
  }

  async #receiveZip(item: Extract<BundleItem, { kind: 'zip' }>): Promise<() => Promise<void>> {
    const { store, report } = this.#parts
    const { module, zipHash } = item
    const held = await store.findZip(module)
    if (held?.zipHash === zipHash) {
      await this.#reader.skip(item)
      report.count(item, 'present')
      return async () => {}
    }
    let finish: (() => Promise<void>) | undefined
    await this.#refusing(item, async () => {
      const proof = await this.#proveZip(item).catch(async (error: unknown) => {
        await this.#reader.skip(item)
        throw error
      })
      const beforeCommit = async (): Promise<void> => {
        if (proof.kind === 'upstream') await this.#checkFirst(module, { zip: zipHash })
      }
      const options = { reader: this.#reader, proof, beforeCommit, signal: this.#signal }
      finish = await importZip(store, item, options)
    })
    return async () => {
      if (finish === undefined) return
      if (await this.#refusing(item, finish)) report.count(item, 'added')
    }
  }

  /** What the zip's hash is believed for. */
  async #proveZip(item: Extract<BundleItem, { kind: 'zip' }>): Promise<Proof> {
    const { module, zipHash, size } = item
    if (size > maxZipBytes) refuse('BUNDLE_FORMAT', 'larger than a module zip may be')
    const sums = await this.#sums(module)
    if (sums === undefined) return { kind: 'upstream' }
    if (sums.zip === zipHash) return sums.proof
    const name = formatModuleVersion(module)
    return refuse('BUNDLE_UNPROVEN', `${name}: its zip is not the logged one`)
  }

  /** The proven hashes; undefined for what nobody can prove, where the signer's word has to do. */
  async #sums(module: ModuleVersion): Promise<ProvenSums | undefined> {
    const { database } = this.#parts
    if (database === undefined || !database.covers(module.path)) return undefined
    const known = await database.known(module)
    if (known !== undefined) return known
    const name = formatModuleVersion(module)
    return refuse('BUNDLE_UNPROVEN', `${name}: no record of it; is it private? then set --private`)
  }

  async #checkFirst(
    module: ModuleVersion,
    seen: Pick<FirstHash, 'zip'> | Pick<FirstHash, 'mod'>,
  ): Promise<void> {
    let changed = false
    await this.#parts.store.firstHashes.update(module, (kept) => {
      const first: FirstHash = { ...seen, ...kept, module }
      changed = Object.entries(seen).some(([part, hash]) => first[part as 'zip' | 'mod'] !== hash)
      return changed ? kept : first
    })
    if (changed) {
      refuse('BUNDLE_UNPROVEN', `${formatModuleVersion(module)}: changed since it was first seen`)
    }
  }

  /** False when the thing was refused; whatever ends it all is thrown. */
  async #refusing(item: BundleItem, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      const isOfItem =
        error instanceof BundleError &&
        error.code !== 'BUNDLE_TRUNCATED' &&
        error.code !== 'BUNDLE_FORK'
      if (!isOfItem) throw error
      this.#parts.report.refuse(item, error)
      return false
    }
  }
}

function mostBytes(item: SmallItem): number {
  const most = { head: maxNoteBytes, tile: 8192, leaf: 8192, mod: maxModBytes, info: maxInfoBytes }
  return item.kind === 'record' ? 2 * maxRecordBytes : most[item.kind]
}

function refuse(code: BundleError['code'], message: string): never {
  throw new BundleError(code, message)
}
