import {
  compareVersions,
  InvalidVersionError,
  type ModulePath,
  type ModuleVersion,
  parseModuleVersion,
  type Version,
} from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import { inParallel } from './in-parallel.ts'
import { learnSums } from './learn-sums.ts'
import {
  maxParallelProofs,
  maxUnknownVersions,
  maxVersionAnswers,
  maxVersionsPerPeer,
} from './limits.ts'
import type { AskOptions } from './module-source.ts'
import { searchPublished } from './published-search.ts'
import { noLongerNeeded, Scope, until } from './scope.ts'

/** Versions that stand in for upstream's list, newest last. */
export interface HeldVersions {
  /**
   * Every version that is held here or by peers, a go.mod alone included. One that only peers name enters with a
   * verified record only: `maxUnknownVersions` at most, within `meshOnlyMs` in all.
   */
  readonly all: readonly Version[]
  /** Of these, those whose zip is held here or that a peer names; all of them where that is none. */
  readonly complete: readonly Version[]
}

/** Tells which versions of a path this node and, unless cachedOnly, its peers have. */
export async function heldVersions(
  ctx: FillContext,
  path: ModulePath,
  options: AskOptions,
): Promise<HeldVersions> {
  const own = new Set(await ctx.store.versions(path))
  const shared = await sharedVersions(ctx, path, own, options)
  const all = [...new Set([...own, ...shared])].sort(compareVersions)
  const isComplete = await Promise.all(
    all.map(async (version) => {
      return shared.has(version) || (await ctx.held.findZip({ path, version })) !== undefined
    }),
  )
  const complete = all.filter((_, at) => isComplete[at])
  return { all, complete: complete.length === 0 ? all : complete }
}

/** What peers name, of that what is known here or proven. */
async function sharedVersions(
  ctx: FillContext,
  path: ModulePath,
  own: ReadonlySet<Version>,
  options: AskOptions,
): Promise<ReadonlySet<Version>> {
  const shared = new Set<Version>()
  const isShared = ctx.canAskPeers(path) || ctx.canAskPrivateMesh(path)
  if (options.cachedOnly === true || !isShared) return shared
  const scope = new Scope(options.signal)
  stopAfter(ctx, scope, ctx.budgets.meshOnlyMs)
  try {
    const named = await namedByPeers(ctx, path, scope.signal)
    for (const version of named.flat()) if (own.has(version)) shared.add(version)
    const unknown = newestOfEach(named, path, own)
    for (const version of await proven(ctx, unknown, scope)) shared.add(version)
  } finally {
    ctx.background(scope.close())
  }
  return shared
}

/** What each peer names. Asks for `dhtLookupMs`: who has not answered by then is left out. */
async function namedByPeers(
  ctx: FillContext,
  path: ModulePath,
  signal: AbortSignal,
): Promise<readonly (readonly Version[])[]> {
  const asking = new Scope(signal)
  stopAfter(ctx, asking, ctx.budgets.dhtLookupMs)
  const named: Version[][] = []
  try {
    const from = (ctx.canAskPrivateMesh(path) ? ctx.privateMesh : undefined) ?? ctx.peers
    const found = from.findVersions(path, { signal: asking.signal })
    for await (const { versions } of until(found, asking.signal)) {
      named.push(versions.slice(0, maxVersionsPerPeer))
      if (named.length >= maxVersionAnswers) break
    }
  } catch {
    // A mesh that fails to answer names no more versions; those named stay.
  } finally {
    ctx.background(asking.close())
  }
  return named
}

/** The newest of each peer in turn, so that one that invents thousands cannot crowd out the others. */
function newestOfEach(
  named: readonly (readonly Version[])[],
  path: ModulePath,
  held: ReadonlySet<Version>,
): readonly ModuleVersion[] {
  const lists = named.map((versions) => [...versions].sort((a, b) => compareVersions(b, a)))
  const chosen = new Map<Version, ModuleVersion>()
  for (let rank = 0; rank < maxVersionsPerPeer && chosen.size < maxUnknownVersions; rank++) {
    for (const list of lists) {
      const version = list[rank]
      if (version === undefined || held.has(version) || chosen.size >= maxUnknownVersions) continue
      const module = parseForeign(path, version)
      if (module !== undefined) chosen.set(version, module)
    }
  }
  return [...chosen.values()]
}

/** A peer may name a version that no module of this path can have. */
function parseForeign(path: ModulePath, version: Version): ModuleVersion | undefined {
  try {
    return parseModuleVersion(path, version)
  } catch (error) {
    if (error instanceof InvalidVersionError) return undefined
    throw error
  }
}

/** Those of the versions that have a verified record. */
async function proven(
  ctx: FillContext,
  unknown: readonly ModuleVersion[],
  scope: Scope,
): Promise<readonly Version[]> {
  const found: Version[] = []
  await inParallel(unknown, maxParallelProofs, async (module) => {
    if (scope.signal.aborted) return
    if (await isProven(ctx, module, scope)) found.push(module.version)
  })
  return found
}

async function isProven(ctx: FillContext, module: ModuleVersion, scope: Scope): Promise<boolean> {
  const work = new Scope(scope.signal)
  try {
    if (!ctx.isPrivate(module.path)) await learnSums(ctx, module, work)
    else return await isPublished(ctx, module, work)
    return true
  } catch {
    // Unproven, for whatever reason: it is not offered.
    return false
  } finally {
    ctx.background(work.close())
  }
}

async function isPublished(
  ctx: FillContext,
  module: ModuleVersion,
  { signal }: Scope,
): Promise<boolean> {
  return (await searchPublished(ctx, module, { ms: ctx.budgets.meshOnlyMs, signal })) !== undefined
}

function stopAfter(ctx: FillContext, scope: Scope, ms: number): void {
  const timer = scope.start((signal) => ctx.clock.sleep(ms, { signal }))
  ctx.background(timer.then(() => scope.abort(noLongerNeeded)))
}
