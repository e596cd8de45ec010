import {
  BundleError,
  BundleReader,
  type DiskStore,
  type ImportDatabase,
  ImportReport,
  importBundle,
} from '@modmesh/store'
import { formatTilePath, parseTilePath } from '@modmesh/sumdb'
import type { ChecksumDatabase } from '../checksum-database.ts'
import { peerIdOf } from '../peer-id.ts'
import type { BundleLedger } from './ledger.ts'
import type { SeenFile } from './own-file.ts'
import { countMissing, planImport } from './plan-import.ts'
import type { ImportResult } from './results.ts'

/** Hashes of a full tile. */
const fullWidth = 256

/** What an import works with. */
export interface ImportComponents {
  readonly store: DiskStore
  readonly database: ChecksumDatabase | undefined
  readonly ledger: BundleLedger
  /** Whether a peer id is this node's, or a member's of its mesh. */
  readonly isMember: (peerId: string) => boolean
}

/** How somebody wants a bundle taken in. */
export interface ImportRequest {
  readonly command: 'import'
  /** Peer ids of signers to believe from now on. */
  readonly signers: readonly string[]
  /** Take it though it is older than one that came in, or lacks the one it was made on top of. */
  readonly anyOrder: boolean
  /** Take nothing: say what is lacking here. */
  readonly plan: boolean
  /** Size of the file where it is one: a shorter one is refused before anything is taken. Bytes. */
  readonly size?: number | undefined
  /** The file where it is one as it lies there; its bytes are sent, too. */
  readonly file?: SeenFile | undefined
}

interface Options {
  readonly signal: AbortSignal
  readonly onProgress: (progress: object) => void
}

/**
 * Takes in a bundle as it arrives. What is wrong with it is part of the result, never thrown; what was taken before
 * that stays, since each thing was checked alone.
 */
export async function answerImport(
  components: ImportComponents,
  request: ImportRequest,
  chunks: AsyncIterable<Uint8Array>,
  { signal, onProgress }: Options,
): Promise<ImportResult> {
  const report = new ImportReport()
  let reader: BundleReader | undefined
  let fault: BundleError | undefined
  try {
    reader = await BundleReader.open(
      counted(chunks, (bytes) => onProgress({ done: bytes, total: reader?.size ?? bytes })),
    )
    await checkBundle(components, request, reader)
    if (request.plan) await planImport(components, reader.inventory, report)
    else await take(components, reader, { report, signal })
  } catch (error) {
    if (!(error instanceof BundleError)) throw error
    fault = error
  }
  return resultOf(report, reader, fault)
}

async function take(
  components: ImportComponents,
  reader: BundleReader,
  { report, signal }: { readonly report: ImportReport; readonly signal: AbortSignal },
): Promise<void> {
  const { store } = components
  const database = components.database && importDatabase(components.database)
  await importBundle({ store, database, report }, reader, { signal })
  await noteImported(components, reader)
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    onBytes(bytes)
    yield chunk
  }
}

async function checkBundle(
  components: ImportComponents,
  request: ImportRequest,
  reader: BundleReader,
): Promise<void> {
  const { size } = request
  if (size !== undefined && size < reader.size) {
    const message = `it has ${size} bytes of ${reader.size}; nothing of it was taken`
    throw new BundleError('BUNDLE_TRUNCATED', message)
  }
  if (size !== undefined && size > reader.size) {
    throw new BundleError(
      'BUNDLE_ALTERED',
      'something was added at its end; nothing of it was taken',
    )
  }
  await checkSigner(components, request, peerIdOf(reader.inventory.signer))
  if (!request.anyOrder) await checkOrder(components, reader)
}

async function checkSigner(
  { ledger, isMember }: ImportComponents,
  { signers, plan }: ImportRequest,
  signer: string,
): Promise<void> {
  if (signers.includes(signer)) return plan ? undefined : await ledger.accept(signer)
  if (isMember(signer) || (await ledger.signer(signer)).isAccepted) return
  const message = `signed by ${signer}, who is no member of this node's mesh; when that is who should have made it: modmesh import --signer ${signer} FILE`
  throw new BundleError('BUNDLE_UNKNOWN_SIGNER', message)
}

async function checkOrder(
  { store, database, ledger }: ImportComponents,
  { inventory, id }: BundleReader,
): Promise<void> {
  const known = await ledger.signer(peerIdOf(inventory.signer))
  const treeSize = inventory.tree?.size ?? known.treeSize
  if (treeSize < known.treeSize || known.superseded.includes(id)) {
    throw new BundleError(
      'BUNDLE_REPLAYED',
      'older than a bundle of the same signer that came in before; to take it all the same: --any-order',
    )
  }
  if (inventory.since === undefined) return
  const missing = await countMissing({ store, database }, inventory.before)
  if (missing === 0) return
  const base = inventory.since.slice(0, 16)
  throw new BundleError(
    'BUNDLE_BASE_MISSING',
    `made on top of bundle ${base}, of which ${missing} of ${inventory.before.length} parts are not here; import that first (to take this one all the same: --any-order)`,
  )
}

async function noteImported(
  { ledger }: ImportComponents,
  { inventory }: BundleReader,
): Promise<void> {
  const { signer, since, tree } = inventory
  await ledger.noteImported(peerIdOf(signer), { treeSize: tree?.size ?? 0, since })
}

/** The checksum database in use, as an import sees it. */
function importDatabase({ client, cache, supplied }: ChecksumDatabase): ImportDatabase {
  return {
    name: client.name,
    covers: (path) => client.covers(path),
    known: (module) => client.known(module),
    head: () => client.head(),
    mergeHead: (note, options) => client.mergeHead(note, options),
    verifyRecord: (module, record, options) => client.verifyRecord(module, record, options),
    cachedTile: (path) => client.cachedTile(path),
    answerTile: (path, options) => client.answerTile(path, options),
    supply: (path, bytes) => supplied.supply(path, bytes),
    settled: () => client.settled(),
    sync: async (paths) => {
      await client.settled()
      await cache.syncTiles(paths.map(cachedPath))
    },
  }
}

/** Of a tile the widest version is kept, as if it were full. */
function cachedPath(path: string): string {
  return `/${formatTilePath({ ...parseTilePath(path), width: fullWidth })}`
}

function resultOf(
  report: ImportReport,
  reader: BundleReader | undefined,
  fault: BundleError | undefined,
): ImportResult {
  const { counts, addedBytes, refused, refusedCount, treeGap } = report
  return {
    bundle: reader?.id ?? null,
    signer: reader === undefined ? null : peerIdOf(reader.inventory.signer),
    bytes: reader?.size ?? null,
    since: reader?.inventory.since ?? null,
    tree: reader?.inventory.tree ?? null,
    counts,
    addedBytes,
    refused,
    refusedCount,
    treeGap: treeGap ?? null,
    fault: fault === undefined ? null : { code: fault.code, message: fault.message },
  }
}
