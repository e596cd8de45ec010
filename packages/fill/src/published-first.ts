import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import {
  HashChangedError,
  ModuleNotFoundError,
  PublishersDisagreeError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { notHere } from './not-found.ts'
import type { PublishedRecord } from './private-modules.ts'
import { type FoundPublished, searchPublished } from './published-search.ts'
import type { Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'

/** The two ways to a part of a private version. */
export interface PrivateWays<T> {
  /** Whether a member has the part. */
  readonly isEnough: (record: PublishedRecord) => boolean
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
  if (!canAskUpstream) return await fromMeshAlone(ctx, module, ways, { ms: meshOnlyMs, signal })
  const first = await attempt(ctx, module, ways, { ms: haveQueryMs, signal })
  if (first.value !== undefined) return first.value
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

/** How long members are asked. */
interface Asking {
  readonly ms: number
  readonly signal: AbortSignal
}

/** Whoever was quick may have failed to deliver: then all are waited for. */
async function fromMeshAlone<T>(
  ctx: FillContext,
  module: ModuleVersion,
  ways: PrivateWays<T>,
  asking: Asking,
): Promise<T> {
  const name = formatModuleVersion(module)
  const first = await attempt(ctx, module, ways, asking)
  if (first.value !== undefined) return first.value
  if (!first.hasHolder) throw first.refusal ?? notHere(name)
  const second = await attempt(ctx, module, { ...ways, isEnough: () => false }, asking)
  if (second.value !== undefined) return second.value
  throw new UpstreamUnavailableError(`${name}: members that have it could not deliver it`)
}

interface Attempt<T> {
  readonly value?: T | undefined
  /** Somebody said to have it. */
  readonly hasHolder?: boolean
  /** Why what members have is not taken. */
  readonly refusal?: Error
}

async function attempt<T>(
  ctx: FillContext,
  module: ModuleVersion,
  { fromMesh, isEnough }: Pick<PrivateWays<T>, 'fromMesh' | 'isEnough'>,
  asking: Asking,
): Promise<Attempt<T>> {
  try {
    const found = await searchPublished(ctx, module, { ...asking, isEnough })
    if (found === undefined) return {}
    return { hasHolder: found.records.some(isEnough), value: await fromMesh(found) }
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
