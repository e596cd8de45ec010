import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { ModuleNotFoundError, NoProofError, UpstreamUnavailableError } from './errors.ts'
import { explainFailure } from './explain-failure.ts'
import type { FillContext } from './fill-context.ts'
import { farLookMs, farReturnMs, goneLinkMs, knownGoneMs } from './limits.ts'
import type { SiteLink } from './peers.ts'
import type { Scope } from './scope.ts'

/**
 * Runs one fill with the overall deadline; once more when it failed because the link to another site went away
 * under it, and came back. Throws the one error that tells of all that went wrong.
 */
export async function runFill<T>(
  ctx: FillContext,
  module: ModuleVersion,
  fill: (scope: Scope) => Promise<T>,
): Promise<T> {
  return await ctx.withDeadline(formatModuleVersion(module), async (scope) => {
    for (;;) {
      const startedMs = ctx.clock.monotonicMs()
      const sites = ctx.peers.sites().filter(isHeardOf).map(nameOf)
      try {
        return await fill(scope)
      } catch (error) {
        scope.signal.throwIfAborted()
        const failure = explainFailure(ctx, module, error)
        const tookMs = ctx.clock.monotonicMs() - startedMs
        const isCut = isNoAnswer(ctx, module, failure) && areGone(ctx, sites, tookMs)
        if (!isCut || !(await areBack(ctx, sites, scope))) throw failure
      }
    }
  })
}

/** Whether nobody was there to ask: neither a no, nor trouble of ours or with what was sent. */
function isNoAnswer(ctx: FillContext, { path }: ModuleVersion, failure: Error): boolean {
  if (failure instanceof UpstreamUnavailableError || failure instanceof NoProofError) return true
  return failure instanceof ModuleNotFoundError && !ctx.canAskUpstream(path)
}

/** Whether none of the sites that were there said a word since, though they were asked. */
function areGone(ctx: FillContext, sites: readonly string[], tookMs: number): boolean {
  if (sites.length === 0) return false
  const links = ctx.peers.sites().filter(({ site }) => sites.includes(site))
  if (links.length === 0) return true
  return tookMs >= goneLinkMs && links.every(({ silentMs = 0 }) => silentMs >= tookMs)
}

/** Waits until one of them is heard of again, for `farReturnMs` at most. */
async function areBack(
  ctx: FillContext,
  sites: readonly string[],
  { signal }: Pick<Scope, 'signal'>,
): Promise<boolean> {
  const endMs = ctx.clock.monotonicMs() + farReturnMs
  while (ctx.clock.monotonicMs() < endMs) {
    await ctx.clock.sleep(farLookMs, { signal })
    ctx.linkLooks += 1
    const links = ctx.peers.sites().filter(({ site }) => sites.includes(site))
    if (links.some(({ silentMs = 0 }) => silentMs < 2 * farLookMs)) return true
  }
  return false
}

function isHeardOf({ silentMs = 0 }: SiteLink): boolean {
  return silentMs < knownGoneMs
}

function nameOf({ site }: SiteLink): string {
  return site
}
