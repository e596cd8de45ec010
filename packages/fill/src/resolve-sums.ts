import type { ModuleVersion } from '@modmesh/module'
import type { ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
import { RemoteError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import type { PeerId } from './peers.ts'
import { type Branch, DecidingError, firstSuccess } from './race.ts'
import type { RecordSearch } from './record-search.ts'
import type { RemoteLevel } from './remote-level.ts'
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
 * verifies, from peers, the remote store or the checksum database, in this order by head starts.
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
    const remote = startRemote(ctx, module, first, scope, (level, signal) =>
      askRemote(ctx, module, need, level, signal),
    )
    const before = { peers: first, remote }
    const ways: Branch<ResolvedSums>[] = [
      (signal) => askDatabase(ctx, module, need, before, signal),
    ]
    if (peers !== undefined) ways.push(() => peers)
    if (remote !== undefined) ways.push(() => remote)
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

/** Who is asked before upstream and the database are. */
export interface Before<T> {
  readonly peers: HeadStart
  readonly remote: Promise<T> | undefined
}

/** Starts to ask the remote store when peers had their head start; undefined when there is none to ask. */
export function startRemote<T>(
  ctx: FillContext,
  module: ModuleVersion,
  peers: HeadStart,
  scope: Scope,
  ask: (level: RemoteLevel, signal: AbortSignal) => Promise<T>,
): Promise<T> | undefined {
  const { remote } = ctx
  if (remote === undefined || !ctx.canAskRemote(module.path)) return undefined
  return scope.start(async (signal) => {
    await giveTime(ctx, peers, ctx.headStart.ms, signal)
    return await ask(remote, signal)
  })
}

/** Resolves when those asked before have failed, or had their head starts. */
export async function giveHeadStarts(
  ctx: FillContext,
  before: Before<unknown>,
  signal: AbortSignal,
): Promise<void> {
  await giveTime(ctx, before.peers, ctx.headStart.ms, signal)
  const { remote } = ctx
  if (before.remote === undefined || remote === undefined) return
  const startedMs = ctx.clock.monotonicMs()
  const { ms } = remote.headStart
  await giveTime(ctx, { work: before.remote, startedMs }, ms, signal)
  if (ms > 0 && ctx.clock.monotonicMs() - startedMs >= ms) remote.headStart.missed()
}

async function askDatabase(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  before: Before<unknown>,
  signal: AbortSignal,
): Promise<ResolvedSums> {
  await giveHeadStarts(ctx, before, signal)
  try {
    // What needed it may be answered before: the next request for this version needs it again.
    const lookup = ctx.lasting((lasting) => ctx.checksumDb.lookup(module, { signal: lasting }))
    const sums = await abortable(lookup, signal)
    return { sums: withNeed(sums, need), from: undefined }
  } catch (error) {
    if (!hasDbCode(error, 'SUMDB_NOT_FOUND')) throw error
    // The log has no such record: a peer that is slow to answer is treated as a no.
    await giveTime(ctx, before.peers, ctx.budgets.haveQueryMs, signal)
    throw new DecidingError(error)
  }
}

async function askRemote(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  remote: RemoteLevel,
  signal: AbortSignal,
): Promise<ResolvedSums> {
  const record = await abortable(remote.fetchRecord(module, { signal }), signal)
  if (record === undefined) throw new NobodyHasItError()
  try {
    const verifying = ctx.checksumDb.verifyRecord(module, record, { signal })
    const sums = withNeed(await abortable(verifying, signal), need)
    remote.accept(module, 'record')
    return { sums, from: undefined }
  } catch (error) {
    if (signal.aborted || !hasDbCode(error, 'SUMDB_UNTRUSTED')) throw error
    remote.refuse(module, 'record', 'does not verify')
    // The store's fault, not the database's: with nobody else to ask it must not end in "not held".
    const message = `${remote.name} sent a record that does not verify`
    throw new RemoteError(message, { fault: 'wrong', cause: error })
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

/** Checks a record that a peer sent; blames the peer where it does not verify. */
export async function verifyFrom(
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

/** Whether there is a line for what is asked. */
export function hasNeed<N extends NeededSum>(
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
