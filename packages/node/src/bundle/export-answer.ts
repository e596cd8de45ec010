import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import type { ModuleSource } from '@modmesh/fill'
import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import {
  BundleContents,
  type BundleItem,
  BundleReader,
  type BundleWish,
  bundleId,
  bytesOf,
  type DiskStore,
  formatInventory,
  frontBytes,
  type Inventory,
  type MissingPart,
  writeBundle,
} from '@modmesh/store'
import type { ChecksumDatabase } from '../checksum-database.ts'
import { peerIdOf } from '../peer-id.ts'
import { type PrefetchComponents, prefetch } from '../prefetch/prefetch.ts'
import type { PrefetchReport } from '../prefetch/prefetch-report.ts'
import type { PrefetchRequest } from '../prefetch/prefetch-request.ts'
import { exportTree } from './export-tree.ts'
import type { BundleLedger } from './ledger.ts'
import type { ExportResult, MissingLine } from './results.ts'
import { wishFor } from './wish.ts'

/** What an export works with. */
export interface ExportComponents {
  readonly store: DiskStore
  readonly database: ChecksumDatabase | undefined
  readonly ledger: BundleLedger
  /** Asked for what is not held; undefined with no node running. */
  readonly source: Pick<ModuleSource, 'zip' | 'mod' | 'info' | 'sums'> | undefined
  /** What has fetched what is not held; as `source`. */
  readonly prefetch: PrefetchComponents | undefined
  /** The node's key, in libp2p's protobuf form. */
  readonly identity: Uint8Array
  readonly isPrivate: (path: ModulePath) => boolean
  /** Sizes of the trees that `go` commands of this host have seen. */
  readonly clientHeads: () => Promise<readonly number[]>
}

/** What somebody wants exported, and how. */
export interface ExportRequest {
  readonly command: 'export'
  /** Project files, and lists of module versions. */
  readonly files: PrefetchRequest['files']
  readonly locals: PrefetchRequest['locals']
  /** Also the Go toolchains that they name, for these: `linux-amd64`. */
  readonly platforms: readonly string[]
  /** Everything that is held. */
  readonly all: boolean
  /** Write nothing. */
  readonly plan: boolean
  /** The front of an earlier bundle follows. */
  readonly since: boolean
  /** Leave out what only the signer vouches for. */
  readonly publicOnly: boolean
  /** Sizes of trees that clients or the site know. */
  readonly treeSizes: readonly number[]
}

interface ExportStream {
  receive(): AsyncIterable<Uint8Array>
  send(bytes: Uint8Array): Promise<void>
}

interface Options {
  readonly signal: AbortSignal
  readonly onProgress: (progress: object) => void
  readonly stream: ExportStream
}

/** Writes a bundle into the stream, after what is missing was asked for. Throws BundleError for a wrong earlier bundle, BundleSourceError. */
export async function answerExport(
  components: ExportComponents,
  request: ExportRequest,
  { signal, onProgress, stream }: Options,
): Promise<ExportResult> {
  const base = request.since ? await BundleReader.open(stream.receive()) : undefined
  const { store } = components
  const fetched = await fetchMissing(components, request, { signal, onProgress })
  const { wish, unread } = await wishFor(components, request, { signal })
  const { tree, missing } = await exportTree(components, request, {
    modules: provable(components, wish),
    olderSizes: base?.inventory.tree === undefined ? [] : [base.inventory.tree.size],
    signal,
  })
  const contents = await BundleContents.collect({ store, tree }, wish, {
    signal,
    isPlan: request.plan,
  })
  const signer = signerOf(components.identity)
  const inventory: Inventory = {
    signer: signer.publicKey,
    since: base?.id,
    tree: tree && { database: tree.snapshot.database, size: tree.snapshot.size },
    ...contents.since(base?.inventory),
  }
  const parts = contents.missing.map((part) =>
    part.what === 'tile'
      ? ({ what: 'tile', name: part.path, reason: part.reason } as const)
      : missingLine(part, fetched),
  )
  const lines: MissingLine[] = [...unread, ...parts, ...missing]
  if (!request.plan) {
    const read = (item: BundleItem): AsyncIterable<Uint8Array> => contents.read(item)
    const bundle = { inventory, read, sign: signer.sign }
    for await (const piece of writeBundle(bundle)) await stream.send(piece)
    if (tree !== undefined) await components.ledger.noteExported(tree.snapshot.size)
  }
  return resultOf(components, inventory, {
    missing: lines,
    mismatched: fetched?.mismatched ?? [],
    isPlan: request.plan,
  })
}

/** Has what is missing fetched, where somebody can be asked and may be. */
async function fetchMissing(
  { prefetch: parts }: ExportComponents,
  request: ExportRequest,
  { signal, onProgress }: Pick<Options, 'signal' | 'onProgress'>,
): Promise<PrefetchReport | undefined> {
  if (parts === undefined || request.plan || request.files.length === 0) return undefined
  const { files, locals, platforms } = request
  const wanted = { command: 'prefetch', files, locals, platforms, all: false } as const
  return await prefetch(parts, wanted, { signal, onProgress })
}

function missingLine(
  { what, module }: Exclude<MissingPart, { readonly what: 'tile' }>,
  fetched: PrefetchReport | undefined,
): MissingLine {
  const name = formatModuleVersion(module)
  const line = fetched?.missing.find((each) => each.module === name && each.parts.includes(what))
  return { what, name, reason: line?.reason ?? 'not held' }
}

/** The module versions of which the checksum database may speak. */
function provable(
  { database }: ExportComponents,
  { zips, mods }: BundleWish,
): readonly ModuleVersion[] {
  if (database === undefined) return []
  const modules = new Map([...zips, ...mods].map((each) => [formatModuleVersion(each), each]))
  return [...modules.values()].filter(({ path }) => database.client.covers(path))
}

function resultOf(
  { database }: ExportComponents,
  inventory: Inventory,
  {
    missing,
    mismatched,
    isPlan,
  }: Pick<ExportResult, 'missing' | 'mismatched'> & { readonly isPlan: boolean },
): ExportResult {
  const { items, before, signer, since, tree } = inventory
  const count = (...kinds: readonly BundleItem['kind'][]): number =>
    items.filter(({ kind }) => kinds.includes(kind)).length
  const list = formatInventory(inventory)
  return {
    bundle: isPlan ? null : bundleId(list),
    signer: peerIdOf(signer),
    since: since ?? null,
    tree: tree ?? null,
    zips: count('zip'),
    mods: count('mod'),
    infos: count('info'),
    records: count('record'),
    tiles: count('tile', 'leaf'),
    unproven: items.filter(
      (item) => item.kind === 'zip' && database?.client.covers(item.module.path) !== true,
    ).length,
    bytes: frontBytes(list.length) + bytesOf(items),
    leftOut: before.length,
    missing,
    mismatched,
  }
}

/** The key in an identity: libp2p's protobuf ends in the seed and the public key. */
function signerOf(identity: Uint8Array): {
  readonly publicKey: Uint8Array
  readonly sign: (bytes: Uint8Array) => Uint8Array
} {
  const publicKey = identity.subarray(-32)
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: text(identity.subarray(-64, -32)),
    x: text(publicKey),
  }
  const key: KeyObject = createPrivateKey({ key: jwk, format: 'jwk' })
  return { publicKey, sign: (bytes) => sign(null, bytes, key) }
}
