import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import {
  HashChangedError,
  ModuleNotFoundError,
  PublishersDisagreeError,
  UpstreamRefusedError,
} from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { notHere } from './not-found.ts'
import { type FoundPublished, searchPublished } from './published-search.ts'
import type { Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'

/** The two ways to a part of a private version. */
export interface PrivateWays<T> {
  /** Undefined when nobody delivered what verifies. */
  readonly fromMesh: (found: FoundPublished) => Promise<T | undefined>
  readonly fromUpstream: () => Promise<T>
}

/**
 * Brings a part of a version that the checksum database does not speak for: from members that may have it,
 * where the mesh shares private modules; else from upstream; and once more from members, with more
 * patience, where upstream has it not or refuses this host.
 */
export async function publishedFirst<T>(
  ctx: FillContext,
  module: ModuleVersion,
  { signal }: Scope,
  ways: PrivateWays<T>,
): Promise<T> {
  const canAskUpstream = ctx.canAskUpstream(module.path)
  if (!ctx.canAskPrivateMesh(module.path)) {
    if (canAskUpstream) return await ways.fromUpstream()
    throw notHere(formatModuleVersion(module))
  }
  const { haveQueryMs, meshOnlyMs } = ctx.budgets
  const first = await attempt(ctx, module, ways, {
    ms: canAskUpstream ? haveQueryMs : meshOnlyMs,
    signal,
  })
  if (first.value !== undefined) return first.value
  if (!canAskUpstream) throw first.refusal ?? notHere(formatModuleVersion(module))
  try {
    return await ways.fromUpstream()
  } catch (error) {
    if (signal.aborted || isFinal(error)) throw error
    const last = await attempt(ctx, module, ways, { ms: meshOnlyMs, signal })
    if (last.value !== undefined) return last.value
    if (last.refusal === undefined || !(error instanceof ModuleNotFoundError)) throw error
    throw new ModuleNotFoundError(last.refusal.message, { cause: error })
  }
}

interface Attempt<T> {
  readonly value?: T | undefined
  /** Why what members have is not taken. */
  readonly refusal?: Error
}

async function attempt<T>(
  ctx: FillContext,
  module: ModuleVersion,
  { fromMesh }: Pick<PrivateWays<T>, 'fromMesh'>,
  how: { readonly ms: number; readonly signal: AbortSignal },
): Promise<Attempt<T>> {
  try {
    const found = await searchPublished(ctx, module, how)
    return { value: found && (await fromMesh(found)) }
  } catch (error) {
    // Statements that do not count say nothing of what upstream has.
    if (error instanceof ModuleNotFoundError) return { refusal: error }
    throw error
  }
}

/** What no other source can mend. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof HashChangedError ||
    error instanceof PublishersDisagreeError ||
    error instanceof UpstreamRefusedError ||
    error instanceof StoreFailure
  )
}
