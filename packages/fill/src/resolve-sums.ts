import type { ModuleVersion } from '@modmesh/module'
import type { ChecksumDbErrorCode, ProvenSums, RecordProof } from './checksum-db.ts'
import { RemoteError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { type Before, giveHeadStarts, giveTime, startRemote } from './give-head-starts.ts'
import { type NeededSum, withNeed } from './needed-sum.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import type { PeerId } from './peers.ts'
import { type Branch, DecidingError, firstSuccess } from './race.ts'
import type { RecordSearch } from './record-search.ts'
import type { RemoteLevel } from './remote-level.ts'
import { abortable, Scope } from './scope.ts'

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
): Promise<ProvenSums> {
  const known = await ctx.checksumDb.known(module)
  if (known?.[need] !== undefined) return known
  const scope = new Scope(options.signal)
  const { background } = ctx
  const startedMs = ctx.clock.monotonicMs()
  const search = options.search()
  try {
    const records = search && verifications(ctx, module, need, search)
    const peers = records && scope.start((signal) => firstSuccess(records, { signal, background }))
    peers?.catch(() => options.onPeersFailed?.())
    const first = { work: peers, startedMs }
    const remote = startRemote(ctx, module, first, scope, (level, signal) =>
      askRemote(ctx, module, need, level, signal),
    )
    const before = { peers: first, remote }
    const ways: Branch<ProvenSums>[] = [(signal) => askDatabase(ctx, module, need, before, signal)]
    if (peers !== undefined) ways.push(() => peers)
    if (remote !== undefined) ways.push(() => remote)
    return await firstSuccess(ways, { signal: scope.signal, background })
  } finally {
    ctx.background(scope.close())
  }
}

/** Whether an error of a ChecksumDb has this code. */
export function hasDbCode(error: unknown, code: ChecksumDbErrorCode): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

async function askDatabase(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  before: Before<unknown>,
  signal: AbortSignal,
): Promise<ProvenSums> {
  await giveHeadStarts(ctx, before, signal)
  try {
    // What needed it may be answered before: the next request for this version needs it again.
    const lookup = ctx.lasting((lasting) => ctx.checksumDb.lookup(module, { signal: lasting }))
    const sums = await abortable(lookup, signal)
    return withNeed(sums, need)
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
): Promise<ProvenSums> {
  const record = await abortable(remote.fetchRecord(module, { signal }), signal)
  if (record === undefined) throw new NobodyHasItError()
  try {
    const verifying = ctx.checksumDb.verifyRecord(module, record, { signal })
    const sums = withNeed(await abortable(verifying, signal), need)
    remote.accept(module, 'record')
    return sums
  } catch (error) {
    if (signal.aborted || !hasDbCode(error, 'SUMDB_UNTRUSTED')) throw error
    remote.refuse(module, 'record', 'does not verify')
    // The store's fault, not the database's: with nobody else to ask it must not end in "not held".
    const message = `${remote.name} sent a record that does not verify`
    throw new RemoteError(message, { fault: 'wrong', cause: error })
  }
}

async function* verifications(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  search: RecordSearch,
): AsyncGenerator<Branch<ProvenSums>> {
  for await (const { peer, record } of search.records()) {
    if (record === undefined) continue
    yield async (signal) => {
      const sums = await verifyFrom(ctx, module, peer, record, signal)
      return withNeed(sums, need)
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
