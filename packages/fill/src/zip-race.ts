import type { Budgets } from './budgets.ts'
import {
  fastBytesPerMs,
  maxHedgedPeers,
  maxHedgedPeersAlone,
  maxZipSources,
  minSplitMs,
  slowAfterMs,
  slowBytesPerMs,
  splitLookMs,
} from './limits.ts'

/** A body under way. */
export interface Attempt {
  readonly kind: 'peer' | 'owner' | 'remote' | 'upstream'
  readonly startedMs: number
  /** How long its first byte may take before others join. */
  readonly windowMs: number
  /** From a peer of another site: one at a time, since each costs the link. */
  readonly isFar?: boolean
  /** After which time its first byte is later than usual: a second holder may be asked. At most `windowMs`. */
  readonly hedgeMs?: number | undefined
  readonly hasFirstByte: boolean
  readonly bytes: number
  /** Set while other holders of the same bytes may bring parts of it. */
  readonly split?: SplitView | undefined
}

/** A body that may come from several holders. */
export interface SplitView {
  /** Of the whole. */
  readonly sizeBytes: number
  /** Still to come. */
  readonly leftBytes: number
  /** Of all its sources together, by now. */
  readonly bytesPerMs: number
  readonly sources: number
  /** When the last of them began. */
  readonly joinedMs: number
}

/** Everything the decision sees. */
export interface RaceView {
  readonly nowMs: number
  readonly startedMs: number
  /** The hash to verify against. */
  readonly expected: 'searching' | 'known' | 'failed'
  /** Whether no peer is left whose record may verify (or there is no mesh). */
  readonly recordsDone: boolean
  /** The peer that asks upstream for our site; `over` when it delivered nothing. */
  readonly owner: 'none' | 'ready' | 'running' | 'over'
  /** The remote store; `over` when it delivered nothing. */
  readonly remote: 'none' | 'ready' | 'running' | 'over'
  /** `no`: it answered that there is no such module. */
  readonly upstream: 'none' | 'ready' | 'running' | 'failed' | 'no'
  /** Known holders that were not asked yet. */
  readonly candidates: number
  /** Of other sites, beside them. */
  readonly farCandidates?: number
  /** Of other sites, whose links went away and are waited for. */
  readonly farReturning?: number
  /** Whether upstream is asked before those: it is quicker. */
  readonly isUpstreamFirst?: boolean
  /** What is known of the next of them. */
  readonly next?: { readonly bytesPerMs?: number | undefined } | undefined
  /** Whether a second holder may be asked before the first has used up its time. */
  readonly mayHedge?: boolean
  /** Whether several holders may bring one zip. */
  readonly maySplit?: boolean
  /** The search for holders beyond the inventory. */
  readonly holderSearch: 'none' | 'unstarted' | 'running' | 'done'
  readonly holderSearchMs: number
  /** When the first holder was asked, and its window. */
  readonly firstPeer: { readonly startedMs: number; readonly windowMs: number } | undefined
  readonly attempts: readonly Attempt[]
}

/** What to do next; after `wait` it is decided anew when something happens or `ms` have passed. */
export type Move =
  | { readonly kind: 'ask-holder' }
  | { readonly kind: 'ask-far-holder' }
  | { readonly kind: 'add-source' }
  | { readonly kind: 'search-holders' }
  | { readonly kind: 'ask-owner' }
  | { readonly kind: 'ask-remote' }
  | { readonly kind: 'ask-upstream' }
  | { readonly kind: 'give-up' }
  | { readonly kind: 'wait'; readonly ms: number | undefined }

/**
 * Decides who is asked for a zip's bytes, and when (design, sections 4 and 6): the best holder; a second one
 * when its first byte is late; more of them for parts of a large zip that comes slowly; one of another site,
 * unless upstream is quicker; the owner, where there is one to ask; the remote store when the peers' budget
 * is spent, or at once when there is no holder; upstream when that one is late, too. The search for more
 * holders runs beside.
 */
export function nextMove(view: RaceView, budgets: Budgets): Move {
  if (mayAskHolder(view)) return { kind: 'ask-holder' }
  if (mayAddSource(view, budgets)) return { kind: 'add-source' }
  if (mayAskFarHolder(view, budgets)) return { kind: 'ask-far-holder' }
  if (shouldSearch(view)) return { kind: 'search-holders' }
  if (mayAskOwner(view, budgets)) return { kind: 'ask-owner' }
  if (mayAskRemote(view, budgets)) return { kind: 'ask-remote' }
  if (mayAskUpstream(view, budgets)) return { kind: 'ask-upstream' }
  if (isOver(view, budgets)) return { kind: 'give-up' }
  return { kind: 'wait', ms: nextChangeMs(view, budgets) }
}

function mayAskHolder(view: RaceView): boolean {
  if (view.expected !== 'known' || view.candidates === 0 || isFlowing(view)) return false
  const peers = peerAttempts(view)
  const ways = [view.owner, view.upstream, view.remote]
  const hasOthers = ways.some((way) => way === 'ready' || way === 'running')
  const limit = hasOthers ? maxHedgedPeers : maxHedgedPeersAlone
  if (peers.length >= limit) return false
  const mayHedge = view.mayHedge === true && peers.length === 1
  return peers.every(
    (attempt) => isLate(attempt, view.nowMs) || (mayHedge && isUnusual(attempt, view.nowMs)),
  )
}

/** Whether its first byte is later than nine of ten of that peer's were. */
function isUnusual(attempt: Attempt, nowMs: number): boolean {
  const { hedgeMs, hasFirstByte, startedMs } = attempt
  return !hasFirstByte && hedgeMs !== undefined && nowMs - startedMs >= hedgeMs
}

/** Of those of our site: what is slow over the link to another one is the link. */
function mayAddSource(view: RaceView, budgets: Budgets): boolean {
  const [body] = view.attempts
  if (view.maySplit !== true || view.candidates === 0 || view.attempts.length !== 1) return false
  const { split } = body ?? {}
  if (split === undefined) return false
  const { sizeBytes, bytesPerMs, leftBytes, sources, joinedMs } = split
  if (sizeBytes <= budgets.splitMinBytes || sources >= maxZipSources) return false
  if (view.nowMs - joinedMs < budgets.splitAfterMs || leftBytes < bytesPerMs * minSplitMs)
    return false
  const next = view.next?.bytesPerMs
  return next === undefined ? bytesPerMs < fastBytesPerMs : bytesPerMs * 2 < next * sources
}

/** When nobody near has it in time, and never two: what is slow on that link is the link. */
function mayAskFarHolder(view: RaceView, budgets: Budgets): boolean {
  const { expected, candidates, farCandidates = 0 } = view
  if (expected !== 'known' || candidates > 0 || farCandidates === 0 || isFlowing(view)) return false
  const peers = peerAttempts(view)
  // A near one that is late costs less than the link.
  const isNearInTime = ({ startedMs }: Attempt): boolean => view.nowMs - startedMs < budgets.stallMs
  if (peers.some((peer) => peer.isFar === true || isNearInTime(peer))) return false
  if (view.isUpstreamFirst !== true || view.upstream === 'failed' || view.upstream === 'none') {
    return true
  }
  const upstream = view.attempts.find(({ kind }) => kind === 'upstream')
  return upstream !== undefined && view.nowMs - upstream.startedMs >= budgets.farHeadStartMs
}

/** Those of other sites that are asked before upstream. */
function farBeforeUpstream(view: RaceView): number {
  return view.isUpstreamFirst === true ? 0 : (view.farCandidates ?? 0)
}

function shouldSearch(view: RaceView): boolean {
  if (view.expected !== 'known' || view.holderSearch !== 'unstarted') return false
  if (view.candidates + farBeforeUpstream(view) > 0 || isFlowing(view)) return false
  return peerAttempts(view).every((attempt) => isLate(attempt, view.nowMs))
}

/** Without a hash its bytes could not be verified. */
function mayAskOwner(view: RaceView, budgets: Budgets): boolean {
  return view.owner === 'ready' && view.expected === 'known' && isMeshSpent(view, budgets)
}

function mayAskRemote(view: RaceView, budgets: Budgets): boolean {
  return view.remote === 'ready' && isMeshSpent(view, budgets)
}

function mayAskUpstream(view: RaceView, budgets: Budgets): boolean {
  if (view.upstream !== 'ready' || view.remote === 'ready') return false
  const remote = view.attempts.filter((attempt) => attempt.kind === 'remote')
  return remote.every((attempt) => isLate(attempt, view.nowMs)) && isMeshSpent(view, budgets)
}

/** Whether it is time for those outside the mesh. */
function isMeshSpent(view: RaceView, budgets: Budgets): boolean {
  if (view.expected === 'failed' || isFlowing(view)) return false
  if (view.expected === 'searching') {
    return view.recordsDone || view.nowMs - view.startedMs >= budgets.headStartMs
  }
  if (isPeerBudgetSpent(view)) return true
  const peers = peerAttempts(view)
  if (view.candidates > 0 && peers.length < maxHedgedPeers) return false
  if (farBeforeUpstream(view) > 0 && peers.length === 0) return false
  if (peers.length > 0) return peers.every((attempt) => isLate(attempt, view.nowMs))
  return view.holderSearch !== 'running' || view.nowMs - view.holderSearchMs >= budgets.headStartMs
}

function isOver(view: RaceView, budgets: Budgets): boolean {
  // Without a hash nothing can be accepted; only "no such module" is still worth waiting for.
  if (view.expected === 'failed') return view.upstream !== 'running' || isFlowing(view)
  if (view.attempts.length > 0 || view.candidates + (view.farCandidates ?? 0) > 0) return false
  if ((view.farReturning ?? 0) > 0) return false
  if ([view.owner, view.upstream, view.remote].includes('ready')) return false
  // Once upstream said no, peers that have not answered count as no.
  const patienceMs = view.upstream === 'no' ? budgets.haveQueryMs : budgets.meshOnlyMs
  if (view.expected === 'searching') {
    return view.upstream === 'no' && view.nowMs - view.startedMs >= patienceMs
  }
  if (view.holderSearch === 'running') return view.nowMs - view.holderSearchMs >= patienceMs
  return true
}

/** The next moment at which time alone may change the decision, from now. */
function nextChangeMs(view: RaceView, budgets: Budgets): number | undefined {
  const { startedMs, holderSearchMs: searchMs, firstPeer, nowMs } = view
  const moments = [startedMs + budgets.headStartMs, startedMs + budgets.haveQueryMs]
  if (view.holderSearch === 'running') {
    moments.push(searchMs + budgets.headStartMs, searchMs + budgets.haveQueryMs)
    moments.push(searchMs + budgets.meshOnlyMs)
  }
  if (firstPeer !== undefined) moments.push(firstPeer.startedMs + 2 * firstPeer.windowMs)
  for (const attempt of view.attempts) {
    moments.push(attempt.startedMs + attempt.windowMs)
    if (attempt.kind === 'upstream') moments.push(attempt.startedMs + budgets.farHeadStartMs)
    const isAwaited = attempt.kind === 'peer' && (view.farCandidates ?? 0) > 0
    if (isAwaited) moments.push(attempt.startedMs + budgets.stallMs)
    if (attempt.hedgeMs !== undefined) moments.push(attempt.startedMs + attempt.hedgeMs)
    if (attempt.split !== undefined && view.candidates > 0) moments.push(nowMs + splitLookMs)
    if (attempt.hasFirstByte) moments.push(Math.max(attempt.startedMs, nowMs) + slowAfterMs)
  }
  const future = moments.filter((moment) => moment > nowMs && Number.isFinite(moment))
  return future.length === 0 ? undefined : Math.min(...future) - nowMs
}

function peerAttempts(view: RaceView): readonly Attempt[] {
  return view.attempts.filter((attempt) => attempt.kind === 'peer')
}

function isLate(attempt: Attempt, nowMs: number): boolean {
  return nowMs - attempt.startedMs >= attempt.windowMs
}

/** Two first-byte windows of holders have passed: peers had their chance. */
function isPeerBudgetSpent(view: RaceView): boolean {
  const first = view.firstPeer
  return first !== undefined && view.nowMs - first.startedMs >= 2 * first.windowMs
}

/** Whether a body is coming at a useful rate: then nobody else is asked. */
function isFlowing(view: RaceView): boolean {
  return view.attempts.some((attempt) => {
    if (!attempt.hasFirstByte) return false
    const ageMs = view.nowMs - attempt.startedMs
    return ageMs < slowAfterMs || attempt.bytes >= ageMs * slowBytesPerMs
  })
}
