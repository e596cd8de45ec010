import { compareVersions, type ModulePath, type ModuleVersion, type Version } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import {
  maxParallelProofs,
  maxUnknownVersions,
  maxVersionAnswers,
  maxVersionsPerPeer,
} from './limits.ts'
import type { AskOptions } from './module-source.ts'
import { keepVerified } from './peer-facts.ts'
import { RecordSearch } from './record-search.ts'
import { resolveSums } from './resolve-sums.ts'
import { Scope, until } from './scope.ts'

/**
 * The union of what is held here and by peers, newest last. A version that only peers name enters
 * with a verified record only: the newest `maxUnknownVersions`, within `meshOnlyMs` in all.
 */
export async function heldVersions(
  ctx: FillContext,
  path: ModulePath,
  options: AskOptions,
): Promise<readonly Version[]> {
  const held = new Set(await ctx.store.versions(path))
  if (options.cachedOnly !== true && ctx.canAskPeers(path)) {
    const scope = new Scope(options.signal)
    const timer = scope.start((signal) => ctx.clock.sleep(ctx.budgets.meshOnlyMs, { signal }))
    ctx.background(timer.then(() => scope.abort(new Error('out of time'))))
    try {
      const named = await namedByPeers(ctx, path, scope.signal)
      const unknown = newestFirst([...named].filter((version) => !held.has(version)))
      for (const version of await proven(ctx, path, unknown, scope)) held.add(version)
    } finally {
      ctx.background(scope.close())
    }
  }
  return newestFirst([...held]).reverse()
}

/** Asks for `dhtLookupMs`: who has not answered by then is not in the union. */
async function namedByPeers(
  ctx: FillContext,
  path: ModulePath,
  signal: AbortSignal,
): Promise<ReadonlySet<Version>> {
  const asking = new Scope(signal)
  const timer = asking.start((ended) => ctx.clock.sleep(ctx.budgets.dhtLookupMs, { signal: ended }))
  ctx.background(timer.then(() => asking.abort(new Error('out of time'))))
  const named = new Set<Version>()
  let answers = 0
  try {
    const found = ctx.peers.findVersions(path, { signal: asking.signal })
    for await (const { versions } of until(found, asking.signal)) {
      for (const version of versions.slice(0, maxVersionsPerPeer)) named.add(version)
      if (++answers >= maxVersionAnswers) break
    }
  } catch {
    // A mesh that fails to answer names no more versions; those named stay.
  } finally {
    ctx.background(asking.close())
  }
  return named
}

/** Those of the versions that have a verified record. */
async function proven(
  ctx: FillContext,
  path: ModulePath,
  unknown: readonly Version[],
  scope: Scope,
): Promise<readonly Version[]> {
  const todo = unknown.slice(0, maxUnknownVersions)
  const found: Version[] = []
  const worker = async () => {
    for (let version = todo.shift(); version !== undefined; version = todo.shift()) {
      if (scope.signal.aborted) return
      if (await isProven(ctx, { path, version }, scope)) found.push(version)
    }
  }
  await Promise.all(Array.from({ length: maxParallelProofs }, worker))
  return found
}

async function isProven(ctx: FillContext, module: ModuleVersion, scope: Scope): Promise<boolean> {
  const work = new Scope(scope.signal)
  const search = new RecordSearch(ctx, module, work)
  const { signal } = work
  try {
    const { sums } = await resolveSums(ctx, module, 'mod', { signal, search: () => search })
    for (const record of search.seen) keepVerified(ctx, module, record, sums)
    return true
  } catch {
    // Unproven, for whatever reason: it is not offered.
    return false
  } finally {
    ctx.background(work.close())
  }
}

function newestFirst(versions: readonly Version[]): Version[] {
  return [...versions].sort((a, b) => compareVersions(b, a))
}
