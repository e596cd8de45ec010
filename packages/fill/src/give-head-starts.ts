import type { ModuleVersion } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import type { RemoteLevel } from './remote-level.ts'
import { Scope } from './scope.ts'

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
    await giveTime(ctx, peers, ctx.headStartMs, signal)
    return await ask(remote, signal)
  })
}

/** Resolves when those asked before have failed, or had their head starts. */
export async function giveHeadStarts(
  ctx: FillContext,
  before: Before<unknown>,
  signal: AbortSignal,
): Promise<void> {
  await giveTime(ctx, before.peers, ctx.headStartMs, signal)
  const { remote } = ctx
  if (before.remote === undefined || remote === undefined) return
  const startedMs = ctx.clock.monotonicMs()
  const { ms } = remote.headStart
  await giveTime(ctx, { work: before.remote, startedMs }, ms, signal)
  if (ms > 0 && ctx.clock.monotonicMs() - startedMs >= ms) remote.headStart.missed()
}
