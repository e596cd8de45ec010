import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import { fileFromMembers } from './fill-private-file.ts'
import { startRemote } from './give-head-starts.ts'
import { learnSums } from './learn-sums.ts'
import { fromPeers, fromRemote, fromUpstream } from './metadata-sources.ts'
import type { Answer } from './module-source.ts'
import { notHere } from './not-found.ts'
import type { VerifiedParts } from './peer-facts.ts'
import type { PublishedRecord } from './private-modules.ts'
import { publishedFirst } from './published-first.ts'
import type { FoundPublished } from './published-search.ts'
import { type Branch, firstSuccess } from './race.ts'
import { type RecordSearch, searchRecords } from './record-search.ts'
import { resolveSums } from './resolve-sums.ts'
import { runFill } from './run-fill.ts'
import type { Scope } from './scope.ts'

type Part = keyof VerifiedParts

/** Answers a request for a go.mod, checked against its ModHash and never by pulling the zip, or an `.info`. */
export async function fillFile(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
): Promise<Answer<Uint8Array>> {
  const held = (await ctx.held.findRecord(module))?.[part]
  if (held !== undefined) return { value: held.bytes, source: { kind: 'store' } }
  if (!ctx.canAskAnybody(module.path)) throw notHere(formatModuleVersion(module))
  return await runFill(ctx, module, (scope) => {
    const fromUpstream = () => race(ctx, module, part, scope)
    if (!ctx.isPrivate(module.path)) return fromUpstream()
    const fromMesh = async (found: FoundPublished) => fileFromMembers(ctx, module, part, found)
    const isEnough = (record: PublishedRecord) => record[part] !== undefined
    return publishedFirst(ctx, module, scope, { isEnough, fromMesh, fromUpstream })
  })
}

/** Makes the hashes of a module version known, and keeps what a peer sent along with them. */
export async function fillSums(ctx: FillContext, module: ModuleVersion): Promise<ProvenSums> {
  return await runFill(ctx, module, (scope) => learnSums(ctx, module, scope))
}

async function race(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  scope: Scope,
): Promise<Answer<Uint8Array>> {
  const search = searchRecords(ctx, module, scope)
  const startedMs = ctx.clock.monotonicMs()
  // An .info of upstream needs no hashes; anybody else's needs a proof that the version exists at all.
  const hasOthers = search !== undefined || ctx.canAskRemote(module.path)
  const needsSums = ctx.isProvable(module.path) && (part === 'mod' || hasOthers)
  const sums = needsSums ? scope.start(() => findSums(ctx, module, search, scope)) : undefined
  const asked = search !== undefined && sums !== undefined
  const work = asked ? scope.start(() => fromPeers(ctx, module, part, search, sums)) : undefined
  const branches: Branch<Answer<Uint8Array>>[] = work === undefined ? [] : [() => work]
  const peers = { work, startedMs }
  const remote = startRemote(ctx, module, peers, scope, (level, signal) =>
    fromRemote(ctx, module, part, { level, sums, signal }),
  )
  if (remote !== undefined) branches.push(() => remote)
  if (ctx.canAskUpstream(module.path)) {
    const before = { peers, remote }
    branches.push((signal) => fromUpstream(ctx, module, part, { before, sums, signal }))
  }
  return await firstSuccess(branches, { signal: scope.signal, background: ctx.background })
}

async function findSums(
  ctx: FillContext,
  module: ModuleVersion,
  search: RecordSearch | undefined,
  scope: Scope,
): Promise<ProvenSums> {
  const options = { signal: scope.signal, search: () => search }
  return await resolveSums(ctx, module, 'mod', options)
}
