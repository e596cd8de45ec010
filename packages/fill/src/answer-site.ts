import type { ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import { ModuleNotFoundError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { FillEvent } from './fill-event.ts'
import { subjectOf } from './fill-request.ts'
import { maxInlineZipBytes } from './limits.ts'
import type { AskOptions } from './module-source.ts'
import type { ChangingQuestion, OwnerAnswer, OwnerQuestion, PeerId } from './peers.ts'
import type { HeldZip } from './zip-store.ts'

/** How a fill finds things for a peer. */
export interface SiteWays {
  zip(module: ModuleVersion, options: AskOptions): Promise<HeldZip>
  part(what: 'mod' | 'info', module: ModuleVersion, options: AskOptions): Promise<unknown>
  sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums>
  /** Upstream's own fresh word; undefined when there is none. */
  mutable(
    question: ChangingQuestion,
    options: AskOptions,
  ): Promise<Omit<Extract<OwnerAnswer, { readonly kind: 'bytes' }>, 'kind'> | undefined>
}

/**
 * Answers a member of our site that takes us for the owner: from what is held, else from other sites and
 * upstream, never from another owner. What could not be proven to the asker is declined, private paths first.
 */
export async function answerSite(
  ctx: FillContext,
  ways: SiteWays,
  question: OwnerQuestion,
  asker: { readonly peer: PeerId; readonly signal: AbortSignal },
): Promise<OwnerAnswer> {
  const startedMs = ctx.clock.monotonicMs()
  const answer = await find(ctx, ways, question, asker)
  const tookMs = ctx.clock.monotonicMs() - startedMs
  const outcome = outcomeOf(answer)
  ctx.emit({ kind: 'site-answered', peer: asker.peer, ...subjectOf(question), outcome, tookMs })
  return answer
}

async function find(
  ctx: FillContext,
  ways: SiteWays,
  question: OwnerQuestion,
  asker: { readonly peer: PeerId; readonly signal: AbortSignal },
): Promise<OwnerAnswer> {
  const { path } = subjectOf(question)
  if (!ctx.isProvable(path)) return { kind: 'refused', why: 'declined' }
  const cachedOnly = !ctx.canAskUpstream(path) && ctx.peers.sites().length === 0
  const { peer, signal } = asker
  const options = { asker: { kind: 'peer', peer }, signal, isForwarded: true, cachedOnly } as const
  try {
    return await lookUp(ctx, ways, question, options)
  } catch (error) {
    const isNothing = error instanceof ModuleNotFoundError
    if (isNothing && !cachedOnly) return { kind: 'nothing' }
    return { kind: 'refused', why: isNothing ? 'declined' : 'failed' }
  }
}

async function lookUp(
  ctx: FillContext,
  ways: SiteWays,
  question: OwnerQuestion,
  options: AskOptions,
): Promise<OwnerAnswer> {
  switch (question.what) {
    case 'zip':
      return await zipOf(ctx, await ways.zip(question.module, options))
    case 'mod':
    case 'info':
      // The asker believes neither without the proof that the version exists.
      await Promise.all([
        ways.part(question.what, question.module, options),
        ways.sums(question.module, options),
        question.what === 'info' ? bringMod(ways, question.module, options) : undefined,
      ])
      return await recordOf(ctx, question.module)
    case 'sums':
      await ways.sums(question.module, options)
      return await recordOf(ctx, question.module)
    case 'list':
    case 'latest':
    case 'query': {
      const found = await ways.mutable(question, options)
      return found === undefined
        ? { kind: 'refused', why: 'declined' }
        : { kind: 'bytes', ...found }
    }
  }
}

/** Who asks for an .info asks for the go.mod next: they go together. Never rejects. */
async function bringMod(ways: SiteWays, module: ModuleVersion, options: AskOptions): Promise<void> {
  try {
    await ways.part('mod', module, options)
  } catch {
    // It was not asked for: who asks for it hears why.
  }
}

/** A small zip itself, verified as it is; a larger one is to be fetched, once it is durable. */
async function zipOf(ctx: FillContext, zip: HeldZip): Promise<OwnerAnswer> {
  const { module, size } = zip
  if (size > maxInlineZipBytes) {
    return await recordOf(ctx, module, await ctx.held.findKeptZip(module))
  }
  const bytes = new Uint8Array(size)
  let filled = 0
  for await (const chunk of zip.read()) {
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  return { ...(await recordOf(ctx, module, zip)), zip: bytes }
}

/** All that is held of a module version by now. */
async function recordOf(
  ctx: FillContext,
  module: ModuleVersion,
  zip?: HeldZip,
): Promise<Extract<OwnerAnswer, { readonly kind: 'record' }>> {
  const [stored, sums] = await Promise.all([
    ctx.held.findRecord(module),
    ctx.checksumDb.known(module),
  ])
  const { info, mod } = stored ?? {}
  const record = {
    module,
    info: info?.bytes,
    mod: mod?.bytes,
    record: sums?.record,
    holdsZip: zip !== undefined,
  }
  return { kind: 'record', record }
}

function outcomeOf(
  answer: OwnerAnswer,
): Extract<FillEvent, { readonly kind: 'site-answered' }>['outcome'] {
  if (answer.kind === 'nothing') return 'nothing'
  if (answer.kind !== 'refused') return 'answered'
  return answer.why === 'declined' ? 'declined' : 'failed'
}
