import { hash } from 'node:crypto'
import { infoForStrangers, type ZipStore } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import {
  formatStoredRecord,
  parseTilePath,
  type RecordProof,
  SumdbUnavailableError,
  type TreeSnapshot,
} from '@modmesh/sumdb'
import { concurrently } from '../concurrently.ts'
import { bundlePartsAtOnce, bundleTilesAtOnce } from '../limits.ts'
import { BundleSourceError } from './faults.ts'
import { type BundleItem, compareItems, type Inventory, nameOf } from './inventory.ts'

/** What a bundle should hold. */
export interface BundleWish {
  readonly zips: readonly ModuleVersion[]
  readonly mods: readonly ModuleVersion[]
  readonly infos: readonly ModuleVersion[]
}

/** The tree under which a bundle's records are proven. */
export interface BundleTree {
  readonly snapshot: TreeSnapshot
  /** Of every module version that has one, by PATH@VERSION. */
  readonly records: ReadonlyMap<
    string,
    { readonly module: ModuleVersion; readonly proof: RecordProof }
  >
  /** Sizes of trees that clients and sites may know already. */
  readonly olderSizes: readonly number[]
}

/** SHA-256. */
const tileHashBytes = 32

interface Waiting {
  readonly signal: AbortSignal
}

/** Something that was wished for, or goes with it, and is not held. */
export type MissingPart =
  | { readonly what: 'zip' | 'mod' | 'info'; readonly module: ModuleVersion }
  /** By its path. */
  | { readonly what: 'tile'; readonly path: string; readonly reason: string }

/** What of a wish the store has, with its sizes and digests. */
export class BundleContents {
  readonly items: readonly BundleItem[]
  readonly missing: readonly MissingPart[]
  readonly #store: Pick<ZipStore, 'findZip' | 'findRecord'>
  readonly #tree: BundleTree | undefined
  readonly #signal: AbortSignal

  private constructor(
    components: Collecting,
    found: { readonly items: readonly BundleItem[]; readonly missing: readonly MissingPart[] },
  ) {
    this.#store = components.store
    this.#tree = components.tree
    this.#signal = components.signal
    this.items = found.items
    this.missing = found.missing
  }

  /** Looks at all that is wished for; go.mod files, infos and tiles are read. For a plan nobody is asked for tiles. */
  static async collect(
    components: {
      readonly store: Pick<ZipStore, 'findZip' | 'findRecord'>
      readonly tree: BundleTree | undefined
    },
    wish: BundleWish,
    { signal, isPlan = false }: Waiting & { readonly isPlan?: boolean },
  ): Promise<BundleContents> {
    const collecting = { ...components, signal, isPlan }
    const missing: MissingPart[] = []
    const items = [
      ...(await treeItems(collecting, missing)),
      ...(await smallItems(collecting, 'mod', wish.mods, missing)),
      ...(await smallItems(collecting, 'info', wish.infos, missing)),
      ...(await zipItems(collecting, wish.zips, missing)),
    ]
    return new BundleContents(collecting, { items, missing })
  }

  /** What of it is new against an earlier bundle, and all that was in that one or before it. */
  since(earlier: Inventory | undefined): Pick<Inventory, 'items' | 'before'> {
    const before = earlier === undefined ? [] : [...earlier.items, ...earlier.before]
    const had = new Map(before.map((item) => [nameOf(item), item.digest]))
    const items = this.items.filter((item) => had.get(nameOf(item)) !== item.digest)
    const replaced = new Set(items.map(nameOf))
    return {
      items,
      before: before.filter((item) => !replaced.has(nameOf(item))).toSorted(compareItems),
    }
  }

  /** Reads one of the items. Throws BundleSourceError when it is gone. */
  async *read(item: BundleItem): AsyncGenerator<Uint8Array> {
    if (item.kind === 'zip') {
      const zip = await this.#store.findZip(item.module)
      if (zip === undefined) throw new BundleSourceError(nameOf(item))
      yield* zip.read()
    } else yield await this.#readSmall(item)
  }

  async #readSmall(item: Exclude<BundleItem, { readonly kind: 'zip' }>): Promise<Uint8Array> {
    switch (item.kind) {
      case 'head':
      case 'tile':
      case 'leaf':
      case 'record':
        return await readTreeItem(item, this.#tree, this.#signal)
      default: {
        const bytes = await readPart(this.#store, item.kind, item.module)
        if (bytes === undefined) throw new BundleSourceError(nameOf(item))
        return bytes
      }
    }
  }
}

interface Collecting {
  readonly store: Pick<ZipStore, 'findZip' | 'findRecord'>
  readonly tree: BundleTree | undefined
  readonly signal: AbortSignal
  readonly isPlan: boolean
}

async function treeItems(
  { tree, signal, isPlan }: Collecting,
  missing: MissingPart[],
): Promise<readonly BundleItem[]> {
  if (tree === undefined) return []
  const { snapshot, records, olderSizes } = tree
  const ids = [...records.values()].map(({ proof }) => proof.id)
  const { frame, leaves } = snapshot.tilePaths(ids, olderSizes)
  const tiles = [
    ...frame.map((path) => ({ kind: 'tile', path }) as const),
    ...leaves.map((path) => ({ kind: 'leaf', path }) as const),
  ]
  const sized: BundleItem[] = []
  await concurrently(tiles.entries(), bundleTilesAtOnce, async ([i, tile]) => {
    try {
      const reach = isPlan ? 'cache' : 'remote'
      sized[i] = { ...tile, ...measure(await snapshot.tile(tile.path, { signal, reach })) }
    } catch (error) {
      if (!(error instanceof SumdbUnavailableError)) throw error
      if (isPlan) sized[i] = { ...tile, ...unread(tile.path) }
      else missing.push({ what: 'tile', path: tile.path, reason: error.message })
    }
  })
  const proven = [...records.values()].map(
    ({ module, proof }): BundleItem => ({ kind: 'record', module, ...measure(recordBytes(proof)) }),
  )
  const head: BundleItem = { kind: 'head', ...measure(Buffer.from(snapshot.note)) }
  return [head, ...sized.filter((item) => item !== undefined), ...proven.toSorted(compareItems)]
}

async function readTreeItem(
  item: Extract<BundleItem, { readonly kind: 'head' | 'tile' | 'leaf' | 'record' }>,
  tree: BundleTree | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (tree === undefined) throw new BundleSourceError(nameOf(item))
  if (item.kind === 'head') return Buffer.from(tree.snapshot.note)
  if (item.kind !== 'record') return await tree.snapshot.tile(item.path, { signal })
  const record = tree.records.get(formatModuleVersion(item.module))
  if (record === undefined) throw new BundleSourceError(nameOf(item))
  return recordBytes(record.proof)
}

/** The head is in the bundle once, and not with each record. */
function recordBytes(proof: RecordProof): Uint8Array {
  return formatStoredRecord({ ...proof, head: '' })
}

async function smallItems(
  { store, signal }: Collecting,
  kind: 'mod' | 'info',
  modules: readonly ModuleVersion[],
  missing: MissingPart[],
): Promise<readonly BundleItem[]> {
  const items: BundleItem[] = []
  await concurrently(distinct(modules), bundlePartsAtOnce, async (module) => {
    signal.throwIfAborted()
    const bytes = await readPart(store, kind, module)
    if (bytes === undefined) missing.push({ what: kind, module })
    else items.push({ kind, module, ...measure(bytes) })
  })
  return items.toSorted(compareItems)
}

async function zipItems(
  { store, signal }: Collecting,
  modules: readonly ModuleVersion[],
  missing: MissingPart[],
): Promise<readonly BundleItem[]> {
  const items: BundleItem[] = []
  for (const module of distinct(modules)) {
    signal.throwIfAborted()
    const zip = await store.findZip(module)
    if (zip === undefined) missing.push({ what: 'zip', module })
    else {
      const { size, zipDigest: digest, zipHash } = zip
      items.push({ kind: 'zip', module, size, digest, zipHash })
    }
  }
  return items.toSorted(compareItems)
}

async function readPart(
  store: Pick<ZipStore, 'findRecord'>,
  kind: 'mod' | 'info',
  module: ModuleVersion,
): Promise<Uint8Array | undefined> {
  const bytes = (await store.findRecord(module))?.[kind]?.bytes
  return bytes !== undefined && kind === 'info' ? infoForStrangers(bytes, module) : bytes
}

function distinct(modules: readonly ModuleVersion[]): Iterable<ModuleVersion> {
  return new Map(modules.map((module) => [formatModuleVersion(module), module])).values()
}

/** What a tile that is not here will take. */
function unread(path: string): { readonly size: number; readonly digest: string } {
  return { size: parseTilePath(path).width * tileHashBytes, digest: '0'.repeat(64) }
}

function measure(bytes: Uint8Array): { readonly size: number; readonly digest: string } {
  return { size: bytes.length, digest: hash('sha256', bytes) }
}
