import type { ModuleVersion } from '@modmesh/module'
import type { ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import type { PeerId } from './peers.ts'
import { type Branch, DecidingError, firstSuccess } from './race.ts'
import type { RecordSearch } from './record-search.ts'
import { abortable, Scope } from './scope.ts'

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
  options: {
    readonly signal: AbortSignal
    readonly search: () => RecordSearch | undefined
    /** Called when no peer is left whose record may verify. */
    readonly onPeersFailed?: () => void
  },
): Promise<ResolvedSums> {
  const known = await ctx.checksumDb.known(module)
  if (known?.[need] !== undefined) return { sums: known, from: undefined }
  const scope = new Scope(options.signal)
  const startedMs = ctx.clock.monotonicMs()
  const search = options.search()
  try {
    const peers = search && scope.start((signal) => askPeers(ctx, module, need, search, signal))
    peers?.catch(() => options.onPeersFailed?.())
    const first = { work: peers, startedMs }
    const ways: Branch<ResolvedSums>[] = [(signal) => askDatabase(ctx, module, need, first, signal)]
    if (peers !== undefined) ways.push(() => peers)
    return await firstSuccess(ways, { signal: scope.signal, background: ctx.background })
  } finally {
    ctx.background(scope.close())
  }
}

/** Whether an error of a ChecksumDb has this code. */
export function hasDbCode(error: unknown, code: ChecksumDbErrorCode): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Peers' way to an answer, which others wait for a while before they start. */
export interface HeadStart {
  readonly work: Promise<unknown> | undefined
  readonly startedMs: number
}

/** Resolves when peers have failed, or `ms` after their start. */
export async function giveTime(
  ctx: FillContext,
  peers: HeadStart,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const leftMs = peers.startedMs + ms - ctx.clock.monotonicMs()
  if (peers.work === undefined || leftMs <= 0) return
  const timer = new Scope(signal)
  const over = timer.start((ended) => ctx.clock.sleep(leftMs, { signal: ended }))
  const failed = Promise.withResolvers<void>()
  peers.work.catch(() => failed.resolve())
  try {
    await Promise.race([failed.promise, over])
  } finally {
    ctx.background(timer.close())
  }
}

async function askDatabase(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  peers: HeadStart,
  signal: AbortSignal,
): Promise<ResolvedSums> {
  await giveTime(ctx, peers, ctx.headStart.ms, signal)
  try {
    const sums = await abortable(ctx.checksumDb.lookup(module, { signal }), signal)
    return { sums: withNeed(sums, need), from: undefined }
  } catch (error) {
    if (!hasDbCode(error, 'SUMDB_NOT_FOUND')) throw error
    // The log has no such record: a peer that is slow to answer is treated as a no.
    await giveTime(ctx, peers, ctx.budgets.haveQueryMs, signal)
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
    return await abortable(ctx.checksumDb.verifyRecord(module, record, { signal }), signal)
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
