import type { ModulePath } from '@modmesh/module'
import { PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { OwnerOutcome } from './fill-event.ts'
import { keyOf, subjectOf } from './fill-request.ts'
import { farReturnMs, silenceStepMs } from './limits.ts'
import type { OwnerAnswer, OwnerNotice, OwnerQuestion, PeerId } from './peers.ts'
import { abortable, Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'

/** What an owner says when it does not refuse. */
export type OwnerFinding = Extract<OwnerAnswer, { readonly kind: 'record' | 'bytes' }>

/** How one question is asked. */
export interface OwnerAsk {
  readonly signal: AbortSignal
  readonly onNotice?: (notice: OwnerNotice) => void
}

/** An owner did not answer, or with nothing of use. */
class OwnerTroubleError extends Error {
  readonly code = 'OWNER_TROUBLE'
  readonly outcome: OwnerOutcome
  constructor(outcome: OwnerOutcome) {
    super(`the owner ${outcome}`)
    this.name = 'OwnerTroubleError'
    this.outcome = outcome
  }
}

/** Thrown by who uses an answer that does not verify. */
export class OwnerLiedError extends Error {
  readonly code = 'OWNER_LIED'
  constructor(options?: ErrorOptions) {
    super('the owner sent what does not verify', options)
    this.name = 'OwnerLiedError'
  }
}

/**
 * Asks an owner and makes use of what it says. Undefined when nothing came of it: then we help
 * ourselves. An owner that fails is not asked for a while. Throws StoreFailure, or when the signal aborts.
 */
export async function withOwner<T>(
  ctx: FillContext,
  owner: PeerId,
  question: OwnerQuestion,
  ask: OwnerAsk,
  use: (finding: OwnerFinding) => Promise<T | undefined>,
): Promise<T | undefined> {
  const startedMs = ctx.clock.monotonicMs()
  const ended = (outcome: OwnerOutcome) => {
    judge(ctx, owner, outcome)
    const tookMs = ctx.clock.monotonicMs() - startedMs
    ctx.emit({ kind: 'owner-asked', owner, ...subjectOf(question), outcome, tookMs })
  }
  ctx.owners.asked(owner)
  try {
    const value = await use(await askPatiently(ctx, owner, question, ask))
    ended(value === undefined ? 'failed' : 'answered')
    return value
  } catch (error) {
    ask.signal.throwIfAborted()
    // Our own disk, and no word about the owner.
    if (error instanceof StoreFailure) throw error
    ended(outcomeOf(error))
    return undefined
  }
}

async function askPatiently(
  ctx: FillContext,
  owner: PeerId,
  question: OwnerQuestion,
  { signal: outer, onNotice }: OwnerAsk,
): Promise<OwnerFinding> {
  const scope = new Scope(outer)
  const heard = { notices: 0, bytes: 0, moves: 0 }
  const hear = (notice: OwnerNotice) => {
    heard.notices += 1
    heard.bytes = Math.max(heard.bytes, notice.bytes)
    heard.moves = notice.moves ?? 0
    onNotice?.(notice)
  }
  try {
    const asking = scope.start((signal) =>
      abortable(ctx.peers.askOwner(owner, question, { signal, onNotice: hear }), signal),
    )
    const subject = subjectOf(question)
    const ownerStallMs = stallMsFor(ctx, subject.path)
    const onMove = (): void => ctx.moving.add(keyOf(subject))
    const watching = scope.start((signal) => watch(ctx, heard, { ownerStallMs, onMove }, signal))
    const answer = await abortable(Promise.race([asking, watching]), outer)
    if (answer.kind === 'nothing') throw new OwnerTroubleError('nothing')
    if (answer.kind === 'refused') throw new OwnerTroubleError(answer.why)
    return answer
  } finally {
    ctx.background(scope.close())
  }
}

/**
 * Throws when an owner gives no sign of life, or works for long and nothing comes. Silence is counted
 * in short sleeps and not read from the clock: a host too busy to be on time must not take others, which
 * may be on the same machine, for dead.
 */
async function watch(
  ctx: FillContext,
  heard: { readonly notices: number; readonly bytes: number; readonly moves: number },
  { ownerStallMs, onMove }: { readonly ownerStallMs: number; readonly onMove: () => void },
  signal: AbortSignal,
): Promise<never> {
  const { ownerSilenceMs } = ctx.budgets
  let seen = { ...heard }
  let silentMs = 0
  let grownMs = ctx.clock.monotonicMs()
  for (;;) {
    await ctx.clock.sleep(silenceStepMs, { signal })
    const nowMs = ctx.clock.monotonicMs()
    silentMs = heard.notices > seen.notices ? 0 : silentMs + silenceStepMs
    if (heard.bytes > seen.bytes || heard.moves !== seen.moves) {
      grownMs = nowMs
      onMove()
    }
    seen = { ...heard }
    if (silentMs >= ownerSilenceMs) throw new OwnerTroubleError('silent')
    if (nowMs - grownMs >= ownerStallMs) throw new OwnerTroubleError('slow')
  }
}

/** Where there is no upstream, an owner may wait for the link to another site: we would, too. */
function stallMsFor(ctx: FillContext, path: ModulePath): number {
  const { ownerStallMs, farStallMs } = ctx.budgets
  const waitMs = farReturnMs + 2 * farStallMs
  return ctx.canAskUpstream(path) ? ownerStallMs : Math.max(ownerStallMs, waitMs)
}

function outcomeOf(error: unknown): OwnerOutcome {
  if (error instanceof OwnerTroubleError) return error.outcome
  if (!(error instanceof PeerError) || error.fault === 'protocol') return 'lied'
  return error.fault === 'busy' ? 'busy' : 'gone'
}

/** A refusal of one path, and a "nothing" that may be true, say nothing about the next question. */
function judge(ctx: FillContext, owner: PeerId, outcome: OwnerOutcome): void {
  switch (outcome) {
    case 'answered':
    case 'nothing':
    case 'declined':
      return ctx.owners.worked(owner)
    case 'busy':
      return
    case 'failed':
    case 'gone':
    case 'silent':
    case 'slow':
    case 'lied':
      return ctx.owners.failed(owner)
  }
}
