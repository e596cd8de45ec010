import { generateKeyPairSync, hash, sign } from 'node:crypto'
import {
  formatModuleVersion,
  hashMod,
  type ModuleVersion,
  parseModuleVersion,
} from '@modmesh/module'
import { type RecordProof, SumdbClient, SumdbUnavailableError } from '@modmesh/sumdb'
import { FakeSumdb, type MemoryOps, memoryOps } from '@modmesh/sumdb/testing'
import { onTestFinished } from 'vitest'
import { buildModuleZip, modBytes, moduleHashes } from '../../../../test/support/module-zip.ts'
import { BundleReader } from '../../src/bundle/bundle-reader.ts'
import { BundleContents, type BundleTree } from '../../src/bundle/collect.ts'
import { importBundle } from '../../src/bundle/import-bundle.ts'
import { ImportReport } from '../../src/bundle/import-report.ts'
import type { ImportDatabase } from '../../src/bundle/import-tree.ts'
import type { BundleItem, Inventory } from '../../src/bundle/inventory.ts'
import { writeBundle } from '../../src/bundle/write-bundle.ts'
import { DiskStore } from '../../src/disk-store.ts'
import { tempDir } from '../support/temp-dir.ts'

export const signal: AbortSignal = new AbortController().signal

/** A key that signs bundles. */
export interface Signer {
  readonly publicKey: Uint8Array
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

export function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32),
    sign: (bytes) => sign(null, bytes, privateKey),
  }
}

/** The parts of a module version, its record in the database. */
export interface MadeModule {
  readonly module: ModuleVersion
  readonly zip: Uint8Array
  readonly mod: Uint8Array
  readonly info: Uint8Array
}

/** Makes a module version and logs it. */
export function logged(sumdb: FakeSumdb, path: string, version: string): MadeModule {
  const named = { path, version }
  const files = { 'go.mod': `module ${path}\n`, 'a.go': `package a\n\nconst V = "${version}"\n` }
  const { zip, mod } = moduleHashes(named, files)
  sumdb.add(path, version, `${path} ${version} ${zip}\n${path} ${version}/go.mod ${mod}\n`)
  return {
    module: parseModuleVersion(path, version),
    zip: buildModuleZip(named, files),
    mod: modBytes(named, files),
    info: Buffer.from(JSON.stringify({ Version: version, Time: '2024-01-02T03:04:05Z' })),
  }
}

/** A node's store and checksum database; with `sumdb` it can ask that. */
export class Site {
  readonly store: DiskStore
  readonly ops: MemoryOps
  readonly client: SumdbClient
  readonly #supplied = new Map<string, Uint8Array>()

  /** Opens one that is closed when the running test ends. */
  static async open(sumdb: FakeSumdb, init: { readonly isOnline: boolean }): Promise<Site> {
    const store = await DiskStore.open({ dir: await tempDir() })
    onTestFinished(() => store[Symbol.asyncDispose]())
    return new Site(store, sumdb, init)
  }

  private constructor(
    store: DiskStore,
    sumdb: FakeSumdb,
    { isOnline }: { readonly isOnline: boolean },
  ) {
    this.store = store
    this.ops = memoryOps(async (path, { databaseOnly }) => {
      const found = databaseOnly === true ? undefined : this.#supplied.get(path)
      if (found !== undefined) return found
      if (isOnline) return sumdb.serve(path)
      throw new SumdbUnavailableError('no link')
    })
    const isPrivate = (path: string): boolean => path.startsWith('private.test/')
    this.client = new SumdbClient({ ops: this.ops }, { key: sumdb.key, isPrivate })
  }

  /** Holds a module version with its record. */
  async hold({ module, zip, mod, info }: MadeModule): Promise<void> {
    if (this.client.covers(module.path)) await this.client.lookup(module, { signal })
    await this.put(module, zip, { mod, info })
  }

  async put(
    module: ModuleVersion,
    zip: Uint8Array,
    { mod, info }: Pick<MadeModule, 'mod' | 'info'>,
  ): Promise<void> {
    const proof = { kind: 'upstream' } as const
    const staged = await this.store.stageZip(module)
    await staged.write(zip)
    await staged.verify(undefined, { signal })
    await staged.commit(proof)
    await this.store.putRecord({
      module,
      mod: { bytes: mod, hash: hashMod(mod), proof },
      info: { bytes: info, from: 'upstream' },
    })
  }

  /** The database as an import sees it. */
  get database(): ImportDatabase {
    const { client } = this
    return {
      name: client.name,
      covers: (path) => client.covers(path),
      known: (module) => client.known(module),
      head: () => client.head(),
      mergeHead: (note, options) => client.mergeHead(note, options),
      verifyRecord: (...record) => client.verifyRecord(...record),
      cachedTile: (path) => client.cachedTile(path),
      answerTile: (path, options) => client.answerTile(path, options),
      supply: (path, bytes) => {
        this.#supplied.set(`/${path}`, bytes)
        return () => this.#supplied.delete(`/${path}`)
      },
      settled: () => client.settled(),
      sync: () => client.settled(),
    }
  }

  async import(
    chunks: AsyncIterable<Uint8Array> | Uint8Array,
    report: ImportReport = new ImportReport(),
  ): Promise<ImportReport> {
    const reader = await BundleReader.open(chunks instanceof Uint8Array ? inChunks(chunks) : chunks)
    await importBundle({ store: this.store, database: this.database, report }, reader, { signal })
    return report
  }
}

export interface MakeInit {
  readonly signer: Signer
  readonly earlier?: BundleReader
  readonly olderSizes?: readonly number[]
  /** Changes the bytes of a thing before it is measured and signed: a signer that lies. */
  readonly lie?: (item: BundleItem, bytes: Uint8Array) => Uint8Array
}

/** Makes a bundle of what a site holds. */
export async function makeBundle(
  site: Site,
  modules: readonly ModuleVersion[],
  init: MakeInit,
): Promise<Uint8Array> {
  const tree = await treeOf(site, modules, init.olderSizes ?? [])
  const wish = { zips: modules, mods: modules, infos: modules }
  const contents = await BundleContents.collect({ store: site.store, tree }, wish, { signal })
  const inventory: Inventory = {
    signer: init.signer.publicKey,
    since: init.earlier?.id,
    tree: tree && { database: tree.snapshot.database, size: tree.snapshot.size },
    ...contents.since(init.earlier?.inventory),
  }
  const honest = {
    inventory,
    sign: init.signer.sign,
    read: (item: BundleItem) => contents.read(item),
  }
  const { lie } = init
  return await joined(writeBundle(lie === undefined ? honest : await lying(honest, lie)))
}

async function treeOf(
  { client }: Site,
  modules: readonly ModuleVersion[],
  olderSizes: readonly number[],
): Promise<BundleTree | undefined> {
  const snapshot = await client.snapshot()
  if (snapshot === undefined) return undefined
  const records = new Map<string, { module: ModuleVersion; proof: RecordProof }>()
  for (const module of modules.filter(({ path }) => client.covers(path))) {
    const { record } = await client.lookup(module, { signal })
    const proof = await snapshot.prove(module, record, { signal })
    records.set(formatModuleVersion(module), { module, proof })
  }
  return { snapshot, records, olderSizes }
}

type Parts = Parameters<typeof writeBundle>[0]

async function lying(honest: Parts, lie: NonNullable<MakeInit['lie']>): Promise<Parts> {
  const bytes = new Map<BundleItem, Uint8Array>()
  const items: BundleItem[] = []
  for (const item of honest.inventory.items) {
    const told = lie(item, await joined(honest.read(item)))
    const changed = { ...item, size: told.length, digest: hash('sha256', told) }
    items.push(changed)
    bytes.set(changed, told)
  }
  return {
    ...honest,
    inventory: { ...honest.inventory, items },
    read: async function* (item) {
      yield bytes.get(item) ?? new Uint8Array()
    },
  }
}

/** Copies: a writer uses its memory again. */
async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(Uint8Array.from(chunk))
  return Buffer.concat(parts)
}

export async function* inChunks(bytes: Uint8Array, size = 1 << 16): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
