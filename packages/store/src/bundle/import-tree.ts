import type { ModuleVersion } from '@modmesh/module'
import {
  type ProvenSums,
  parseStoredRecord,
  type RecordProof,
  SumdbForkError,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
} from '@modmesh/sumdb'
import { maxFrameTileBytes } from '../limits.ts'
import { BundleError } from './faults.ts'
import type { ImportReport } from './import-report.ts'
import type { BundleItem, Inventory } from './inventory.ts'

interface Waiting {
  readonly signal: AbortSignal
}

/** The checksum database in use, as far as an import needs it. */
export interface ImportDatabase {
  readonly name: string
  covers(path: ModuleVersion['path']): boolean
  known(module: ModuleVersion): Promise<ProvenSums | undefined>
  head(): Promise<{ readonly size: number } | undefined>
  mergeHead(note: string, options: Waiting): Promise<void>
  verifyRecord(module: ModuleVersion, record: RecordProof, options: Waiting): Promise<ProvenSums>
  cachedTile(path: string): Promise<Uint8Array | undefined>
  answerTile(path: string, options: Waiting): Promise<Uint8Array>
  /** Lets whoever verifies a tile find these bytes before the network; returns how to end that. */
  supply(path: string, bytes: Uint8Array): () => void
  /** Resolves when what was kept so far is written. */
  settled(): Promise<void>
  /** Makes all that was kept so far durable. */
  sync(paths: readonly string[]): Promise<void>
}

type TreeItem = Extract<BundleItem, { readonly kind: 'head' | 'tile' | 'leaf' | 'record' }>

/**
 * Takes in a bundle's tree: its head becomes ours when ours is part of it, each tile is kept once it agrees with our
 * head, each record when it is proven under the bundle's.
 */
export class TreeImport {
  readonly #database: ImportDatabase
  readonly #report: ImportReport
  readonly #tree: NonNullable<Inventory['tree']>
  readonly #signal: AbortSignal
  readonly #frame = new Map<string, { readonly item: TreeItem; readonly end: () => void }>()
  readonly #kept: string[] = []
  #frameBytes = 0
  #note = ''

  constructor(
    components: { readonly database: ImportDatabase; readonly report: ImportReport },
    init: { readonly tree: NonNullable<Inventory['tree']>; readonly signal: AbortSignal },
  ) {
    this.#database = components.database
    this.#report = components.report
    this.#tree = init.tree
    this.#signal = init.signal
  }

  /** Takes one thing in. Throws BundleError for that alone; BUNDLE_FORK ends it all. */
  async add(item: TreeItem, bytes: Uint8Array): Promise<void> {
    switch (item.kind) {
      case 'head':
        this.#note = Buffer.from(bytes).toString('utf8')
        return
      case 'tile':
        return this.#addToFrame(item, bytes)
      case 'leaf':
        return await this.#addLeaf(item, bytes)
      case 'record':
        return await this.#addRecord(item, bytes)
    }
  }

  /** Goes from the frame to what hangs in it: the head is merged, and the frame's tiles are verified. */
  async endFrame(head: BundleItem): Promise<void> {
    const own = await this.#database.head()
    try {
      await this.#database.mergeHead(this.#note, { signal: this.#signal })
      this.#report.count(head, own?.size === this.#tree.size ? 'present' : 'added')
    } catch (error) {
      if (!(error instanceof SumdbUnavailableError)) throw asBundleError('its tree head', error)
      this.#report.treeGap = { own: own?.size ?? 0, bundle: this.#tree.size }
    }
    for (const [path, { item }] of this.#frame) {
      await this.#tryEach(item, () => this.#keepTile(item, path))
    }
  }

  /** Lets go of what was in memory, and makes the rest durable. */
  async finish(): Promise<void> {
    for (const { end } of this.#frame.values()) end()
    this.#frame.clear()
    await this.#database.sync(this.#kept)
  }

  #addToFrame(item: Extract<TreeItem, { kind: 'tile' }>, bytes: Uint8Array): void {
    this.#frameBytes += bytes.length
    if (this.#frameBytes > maxFrameTileBytes) {
      throw new BundleError('BUNDLE_FORMAT', 'more tiles than a tree has')
    }
    this.#frame.set(item.path, { item, end: this.#database.supply(item.path, bytes) })
  }

  async #addLeaf(item: Extract<TreeItem, { kind: 'leaf' }>, bytes: Uint8Array): Promise<void> {
    const end = this.#database.supply(item.path, bytes)
    try {
      await this.#keepTile(item, item.path)
    } finally {
      end()
    }
  }

  /** Verifies a tile under our own head, which keeps it. What our tree does not reach is left. */
  async #keepTile(item: TreeItem, path: string): Promise<void> {
    const isHeld = (await this.#database.cachedTile(path)) !== undefined
    try {
      if (!isHeld) await this.#database.answerTile(path, { signal: this.#signal })
      if (!isHeld) this.#kept.push(path)
      this.#report.count(item, isHeld ? 'present' : 'added')
    } catch (error) {
      const isBeyond = error instanceof SumdbUnavailableError || error instanceof SumdbNotFoundError
      if (!isBeyond || this.#isOurTree()) throw asBundleError(path, error)
    }
  }

  #isOurTree(): boolean {
    return this.#report.treeGap === undefined
  }

  async #addRecord(
    { module, ...item }: Extract<TreeItem, { kind: 'record' }>,
    bytes: Uint8Array,
  ): Promise<void> {
    const isHeld = (await this.#database.known(module)) !== undefined
    try {
      const stored = parseStoredRecord(bytes)
      const record = { ...stored, database: this.#tree.database, head: this.#note }
      await this.#database.verifyRecord(module, record, { signal: this.#signal })
      // What is read faster than the disk takes it would be in memory, all of it.
      await this.#database.settled()
    } catch (error) {
      throw asBundleError(`the record of ${module.path}@${module.version}`, error)
    }
    this.#report.count({ module, ...item }, isHeld ? 'present' : 'added')
  }

  async #tryEach(item: TreeItem, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof BundleError) || error.code === 'BUNDLE_FORK') throw error
      this.#report.refuse(item, error)
    }
  }
}

/** What the checksum database says against something; anything else is trouble of our own. */
function asBundleError(what: string, error: unknown): unknown {
  if (error instanceof SumdbForkError) {
    const message = 'its checksum database and ours are not one log: nothing of it is believed'
    return new BundleError('BUNDLE_FORK', message, { cause: error })
  }
  const isWrong =
    error instanceof SumdbUntrustedError ||
    error instanceof SumdbUnavailableError ||
    error instanceof SumdbNotFoundError
  if (!isWrong) return error
  return new BundleError('BUNDLE_UNPROVEN', `${what}: ${error.message}`, { cause: error })
}
