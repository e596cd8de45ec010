import { ModuleNotFoundError, OfflineError, UpstreamUnavailableError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { MutableQuestion } from './mutable-question.ts'
import { abortable, type Scope } from './scope.ts'
import type { MutableAsk, UpstreamAnswer } from './upstream.ts'

/** How asking upstream for an answer that changes ended. */
export type UpstreamOutcome =
  | { readonly kind: 'confirmed'; readonly answer: UpstreamAnswer }
  | { readonly kind: 'dead'; readonly error: Error }
  /** There is none to ask. */
  | { readonly kind: 'nobody' }

/** What upstream said before. */
interface Known {
  readonly bytes: Uint8Array
  readonly validator: string | undefined
}

/** Asks upstream, whether `known` still holds where it can. Throws ModuleNotFoundError. */
export async function askUpstream(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
  known: Known | undefined,
): Promise<UpstreamOutcome> {
  if (!ctx.canAskUpstream(question.path)) return { kind: 'nobody' }
  try {
    const answer = await patiently(ctx, question, scope, known)
    const fault = question.fault(answer.bytes)
    if (fault === undefined) return { kind: 'confirmed', answer }
    const message = `${question.name}: ${answer.from} sent no answer: ${fault}`
    return { kind: 'dead', error: new UpstreamUnavailableError(message) }
  } catch (error) {
    if (error instanceof OfflineError) return { kind: 'nobody' }
    if (error instanceof UpstreamUnavailableError) return { kind: 'dead', error }
    // Members of the mesh may have what this host may not see.
    const isHidden = error instanceof ModuleNotFoundError && ctx.canAskPrivateMesh(question.path)
    if (isHidden) return { kind: 'dead', error }
    throw error
  }
}

/** Leaves time for what is held, should upstream never answer. */
async function patiently(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
  known: Known | undefined,
): Promise<UpstreamAnswer> {
  const { fetchTimeoutMs, meshOnlyMs } = ctx.budgets
  const ms = Math.max(fetchTimeoutMs - 2 * meshOnlyMs, fetchTimeoutMs / 2)
  return await ctx.within(question.name, ms, scope.signal, ({ signal }) =>
    abortable(question.ask({ signal, ...askable(known) }), signal),
  )
}

function askable(known: Known | undefined): Pick<MutableAsk, 'known'> {
  if (known?.validator === undefined) return {}
  return { known: { bytes: known.bytes, validator: known.validator } }
}
