import type { ModuleVersion } from '@modmesh/module'
import type { ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import type { PeerId } from './peers.ts'
import { type Branch, DecidingError, firstSuccess } from './race.ts'
import type { RecordSearch } from './record-search.ts'

/** Which line of the record is asked for. */
export type NeededSum = 'zip' | 'mod'

/** Expected hashes and, when they came out of the mesh, the peer that sent the record. */
export interface ResolvedSums {
  readonly sums: ProvenSums
  readonly from: PeerId | undefined
}

/**
 * Finds what a module version must hash to: what is already proven, else the first record that
 * verifies, from peers or from the checksum database, which peers are given a head start before.
 * Throws AllFailedError with the error of each way.
 */
export async function resolveSums(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  options: { readonly signal: AbortSignal; readonly search: () => RecordSearch | undefined },
): Promise<ResolvedSums> {
  const known = await ctx.checksumDb.known(module)
  if (known?.[need] !== undefined) return { sums: known, from: undefined }
  const search = options.search()
  const ways: Branch<ResolvedSums>[] = [(signal) => askDatabase(ctx, module, need, search, signal)]
  if (search !== undefined) ways.push((signal) => askPeers(ctx, module, need, search, signal))
  return await firstSuccess(ways, { signal: options.signal, background: ctx.background })
}

/** Whether an error of a ChecksumDb has this code. */
export function hasDbCode(error: unknown, code: ChecksumDbErrorCode): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Resolves when the search has ended or `ms` after its start, whichever is first. */
export async function giveTime(
  ctx: FillContext,
  search: RecordSearch | undefined,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  if (search === undefined || search.isDone) return
  const left = search.startedMs + ms - ctx.clock.monotonicMs()
  if (left <= 0) return
  const timer = new AbortController()
  const stop = () => timer.abort()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([search.done, ctx.clock.sleep(left, { signal: timer.signal })])
  } finally {
    stop()
    signal.removeEventListener('abort', stop)
  }
}

async function askDatabase(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  search: RecordSearch | undefined,
  signal: AbortSignal,
): Promise<ResolvedSums> {
  await giveTime(ctx, search, ctx.budgets.headStartMs, signal)
  try {
    const sums = await ctx.checksumDb.lookup(module, { signal })
    return { sums: withNeed(sums, need), from: undefined }
  } catch (error) {
    if (!hasDbCode(error, 'SUMDB_NOT_FOUND')) throw error
    // The log has no such record: a peer that is slow to answer is treated as a no.
    await giveTime(ctx, search, ctx.budgets.haveQueryMs, signal)
    throw new DecidingError(error)
  }
}

async function askPeers(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  search: RecordSearch,
  signal: AbortSignal,
): Promise<ResolvedSums> {
  return await firstSuccess(verifications(ctx, module, need, search), {
    signal,
    background: ctx.background,
  })
}

async function* verifications(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  search: RecordSearch,
): AsyncGenerator<Branch<ResolvedSums>> {
  for await (const { peer, record } of search.records()) {
    if (record === undefined) continue
    yield async (signal) => {
      const sums = await verifyFrom(ctx, module, peer, record, signal)
      return { sums: withNeed(sums, need), from: peer }
    }
  }
}

async function verifyFrom(
  ctx: FillContext,
  module: ModuleVersion,
  peer: PeerId,
  record: RecordProof,
  signal: AbortSignal,
): Promise<ProvenSums> {
  try {
    return await ctx.checksumDb.verifyRecord(module, record, { signal })
  } catch (error) {
    // After the race was won elsewhere an error may be of the abort's making.
    if (!signal.aborted && hasDbCode(error, 'SUMDB_UNTRUSTED')) {
      ctx.blame(peer, module, 'sent a checksum record that does not verify')
    }
    throw error
  }
}

/** The sums with the line asked for. Throws MissingSumError. */
export function withNeed<N extends NeededSum>(
  sums: ProvenSums,
  need: N,
): ProvenSums & { readonly [K in N]: NonNullable<ProvenSums[K]> } {
  if (!hasNeed(sums, need)) throw new MissingSumError(need)
  return sums
}

function hasNeed<N extends NeededSum>(
  sums: ProvenSums,
  need: N,
): sums is ProvenSums & { readonly [K in N]: NonNullable<ProvenSums[K]> } {
  return sums[need] !== undefined
}

/** A record verified, but has no line for what was asked. */
export class MissingSumError extends Error {
  readonly code = 'MISSING_SUM'
  constructor(need: NeededSum) {
    super(`the checksum record has no line for the ${need}`)
    this.name = 'MissingSumError'
  }
}
