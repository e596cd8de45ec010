import type { ModulePath } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import type { RaceView } from './zip-race.ts'

/**
 * Why upstream was asked. `not-published`: no member has it as a publisher signed it. `private` and `no-database`: peers
 * are not asked for what nobody can prove.
 * `no-peers`: none is connected. `no-hash`: nobody had told in time what a zip must hash to. `no-holder`:
 * no peer is known to have it. `upstream-first`: only other sites have it, and upstream goes before them. `peers-late` and `peers-failed`: those that have it did not deliver.
 * `owner-failed`: nor did the peer that asks for our site.
 */
export type UpstreamReason =
  | 'private'
  | 'not-published'
  | 'no-database'
  | 'no-peers'
  | 'no-hash'
  | 'no-holder'
  | 'upstream-first'
  | 'peers-late'
  | 'peers-failed'
  | 'owner-failed'

/** Says why peers cannot be asked for a path; undefined when they can. */
export function whyNoPeers(ctx: FillContext, path: ModulePath): UpstreamReason | undefined {
  if (ctx.canAskPeers(path)) return undefined
  if (ctx.canAskPrivateMesh(path)) return 'not-published'
  if (ctx.isPrivate(path)) return 'private'
  return ctx.isProvable(path) ? 'no-peers' : 'no-database'
}

/** Says why a race for a zip turns to upstream now. */
export function whyRaceAsksUpstream(view: RaceView): UpstreamReason {
  if (view.owner === 'over') return 'owner-failed'
  if (view.expected !== 'known') return 'no-hash'
  if (view.firstPeer === undefined)
    return view.isUpstreamFirst === true ? 'upstream-first' : 'no-holder'
  return view.attempts.some(({ kind }) => kind === 'peer') ? 'peers-late' : 'peers-failed'
}
