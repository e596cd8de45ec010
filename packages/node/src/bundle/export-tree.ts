import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { BundleTree } from '@modmesh/store'
import {
  type RecordProof,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
  type TreeSnapshot,
} from '@modmesh/sumdb'
import type { ChecksumDatabase } from '../checksum-database.ts'
import { errorText } from '../errors.ts'
import type { ExportComponents, ExportRequest } from './export-answer.ts'
import type { MissingLine } from './results.ts'

/** Records that are looked up and proven at once. */
const recordsAtOnce = 16
/** A newer head is nice to have: clients of the site may have seen it. Milliseconds. */
const refreshMs = 5_000

interface Wanted {
  readonly modules: readonly ModuleVersion[]
  /** Of the tree of an earlier bundle. */
  readonly olderSizes: readonly number[]
  readonly signal: AbortSignal
}

/**
 * Proves the records of the modules under one tree: ours, brought up to date where the database can be asked. Without
 * a checksum database there is none; what has no record is listed.
 */
export async function exportTree(
  components: ExportComponents,
  request: ExportRequest,
  wanted: Wanted,
): Promise<{ readonly tree: BundleTree | undefined; readonly missing: readonly MissingLine[] }> {
  const { database } = components
  if (database === undefined) return { tree: undefined, missing: [] }
  const missing: MissingLine[] = []
  const { signal } = wanted
  if (!request.plan) await refresh(database, signal)
  const found = await findRecords(components, request, wanted, missing)
  const snapshot = await database.client.snapshot()
  if (snapshot === undefined) return { tree: undefined, missing }
  const records = await proveRecords(snapshot, found, { signal, missing, isPlan: request.plan })
  const older = [
    ...wanted.olderSizes,
    ...request.treeSizes,
    ...(await components.clientHeads()),
    ...(await components.ledger.exported()),
  ]
  return { tree: { snapshot, records, olderSizes: sizesBelow(snapshot.size, older) }, missing }
}

/** Sizes of trees that end inside of ours, each once. */
function sizesBelow(size: number, sizes: readonly number[]): readonly number[] {
  return [...new Set(sizes)].filter((each) => each > 0 && each < size).toSorted((a, b) => a - b)
}

/** Never fails: an older head proves the same. */
async function refresh({ client, remote }: ChecksumDatabase, signal: AbortSignal): Promise<void> {
  if (remote?.isEnabled() !== true) return
  const soon = AbortSignal.any([signal, AbortSignal.timeout(refreshMs)])
  try {
    const note = Buffer.from(await remote.read('/latest', { signal: soon })).toString('utf8')
    await client.mergeHead(note, { signal: soon })
  } catch {
    // The database is away, or wrong; the client has kept what is evidence. The export goes on with the head we have.
    signal.throwIfAborted()
  }
}

interface FoundRecord {
  readonly module: ModuleVersion
  readonly record: RecordProof
}

async function findRecords(
  { database, source }: ExportComponents,
  request: ExportRequest,
  { modules, signal }: Wanted,
  missing: MissingLine[],
): Promise<readonly FoundRecord[]> {
  const found: FoundRecord[] = []
  await eachOf(modules, async (module) => {
    try {
      const known = await database?.client.known(module)
      const sums = known ?? (request.plan ? undefined : await source?.sums(module, { signal }))
      if (sums !== undefined) found.push({ module, record: sums.record as RecordProof })
      else missing.push(lackingRecord(module, 'not looked up yet'))
    } catch (error) {
      signal.throwIfAborted()
      missing.push(lackingRecord(module, errorText(error)))
    }
  })
  return found
}

async function proveRecords(
  snapshot: TreeSnapshot,
  found: readonly FoundRecord[],
  {
    signal,
    missing,
    isPlan,
  }: { readonly signal: AbortSignal; readonly missing: MissingLine[]; readonly isPlan: boolean },
): Promise<BundleTree['records']> {
  const records = new Map<string, { module: ModuleVersion; proof: RecordProof }>()
  await eachOf(found, async ({ module, record }) => {
    try {
      const reach = isPlan ? 'cache' : 'remote'
      const proof = await snapshot.prove(module, record, { signal, reach })
      records.set(formatModuleVersion(module), { module, proof })
    } catch (error) {
      if (!isOfDatabase(error)) throw error
      // As it is held it has about the size of what will be written.
      if (isPlan) records.set(formatModuleVersion(module), { module, proof: record })
      else missing.push(lackingRecord(module, errorText(error)))
    }
  })
  return records
}

function isOfDatabase(error: unknown): boolean {
  return (
    error instanceof SumdbUnavailableError ||
    error instanceof SumdbNotFoundError ||
    error instanceof SumdbUntrustedError
  )
}

function lackingRecord(module: ModuleVersion, reason: string): MissingLine {
  return { what: 'record', name: formatModuleVersion(module), reason }
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  const run = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: recordsAtOnce }, run))
}
