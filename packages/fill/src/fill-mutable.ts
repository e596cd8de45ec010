import {
  formatVersionInfo,
  InvalidFileError,
  isPseudoVersion,
  type ModulePath,
  type ModuleVersion,
  parseVersionInfo,
  selectLatest,
} from '@modmesh/module'
import { OfflineError, UpstreamUnavailableError } from './errors.ts'
import { type FillContext, notHere } from './fill-context.ts'
import { heldVersions } from './held-versions.ts'
import { maxListBytes } from './limits.ts'
import type { Answer, AskOptions } from './module-source.ts'
import { abortable, type Scope } from './scope.ts'
import type { UpstreamAnswer } from './upstream.ts'

/** One of the answers that change: how upstream is asked, and what stands in when it cannot be. */
export interface MutableQuestion {
  /** For messages, e.g. `golang.org/x/text@latest`. */
  readonly name: string
  readonly path: ModulePath
  ask(options: { readonly signal: AbortSignal }): Promise<UpstreamAnswer>
  /** Why upstream's bytes are no answer, or undefined. */
  fault(bytes: Uint8Array): string | undefined
  /** The answer from what is held here and, unless cachedOnly, by peers; undefined when nothing is. */
  fromHeld(options: AskOptions): Promise<Uint8Array | undefined>
}

/** The version list of a path. */
export function listQuestion(ctx: FillContext, path: ModulePath): MutableQuestion {
  return {
    name: `${path}@v/list`,
    path,
    ask: (options) => ctx.upstream.fetchList(path, options),
    fault: (bytes) => (bytes.length > maxListBytes ? 'more than the size limit' : undefined),
    fromHeld: async (options) => {
      const versions = await heldVersions(ctx, path, options)
      if (versions.length === 0) return undefined
      const listed = versions.filter((version) => !isPseudoVersion(version))
      return new TextEncoder().encode(listed.map((version) => `${version}\n`).join(''))
    },
  }
}

/** The newest version of a path. `info` answers for the `.info` of the one picked from what is held. */
export function latestQuestion(
  ctx: FillContext,
  path: ModulePath,
  info: (module: ModuleVersion, options: AskOptions) => Promise<Uint8Array>,
): MutableQuestion {
  return {
    name: `${path}@latest`,
    path,
    ask: (options) => ctx.upstream.fetchLatest(path, options),
    fault: notAnInfo,
    fromHeld: async (options) => {
      const version = selectLatest(await heldVersions(ctx, path, options))
      if (version === undefined) return undefined
      try {
        return await info({ path, version }, options)
      } catch {
        // Held without its .info: `go` accepts one without a time.
        return formatVersionInfo({ version, time: undefined })
      }
    },
  }
}

/** A branch, tag or commit: only upstream can say which version that is. */
export function branchQuestion(ctx: FillContext, path: ModulePath, query: string): MutableQuestion {
  return {
    name: `${path}@${query}`,
    path,
    ask: (options) => ctx.upstream.fetchQuery(path, query, options),
    fault: notAnInfo,
    fromHeld: async () => undefined,
  }
}

/**
 * Asks upstream first. When it is dead, `stale` (upstream's older answer) or what is held stands in;
 * throws ModuleNotFoundError, or UpstreamUnavailableError where upstream should have been asked.
 */
export async function fillMutable(
  ctx: FillContext,
  question: MutableQuestion,
  options: { readonly signal: AbortSignal; readonly stale: Uint8Array | undefined },
): Promise<Answer<Uint8Array>> {
  const { name, path } = question
  return await ctx.withDeadline(name, options.signal, async (scope) => {
    const asked = ctx.canAskUpstream(path) ? await askUpstream(ctx, question, scope) : undefined
    if (asked?.kind === 'answer') return asked.answer
    if (options.stale !== undefined) return { value: options.stale, source: { kind: 'held' } }
    const held = await question.fromHeld({ signal: scope.signal })
    if (held !== undefined) return { value: held, source: { kind: 'held' } }
    throw asked?.error ?? notHere(name)
  })
}

type Asked =
  | { readonly kind: 'answer'; readonly answer: Answer<Uint8Array> }
  | { readonly kind: 'dead'; readonly error: Error }

async function askUpstream(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
): Promise<Asked | undefined> {
  try {
    const { bytes, from } = await patiently(ctx, question, scope)
    const fault = question.fault(bytes)
    if (fault === undefined) {
      return { kind: 'answer', answer: { value: bytes, source: { kind: 'upstream', from } } }
    }
    const message = `${question.name}: ${from} sent no answer: ${fault}`
    return { kind: 'dead', error: new UpstreamUnavailableError(message) }
  } catch (error) {
    if (error instanceof OfflineError) return undefined
    if (error instanceof UpstreamUnavailableError) return { kind: 'dead', error }
    throw error
  }
}

/** Leaves time for what is held, should upstream never answer. */
async function patiently(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
): Promise<UpstreamAnswer> {
  const { fetchTimeoutMs, meshOnlyMs } = ctx.budgets
  const ms = Math.max(fetchTimeoutMs - 2 * meshOnlyMs, fetchTimeoutMs / 2)
  return await ctx.within(question.name, ms, scope.signal, ({ signal }) =>
    abortable(question.ask({ signal }), signal),
  )
}

function notAnInfo(bytes: Uint8Array): string | undefined {
  try {
    parseVersionInfo(bytes)
    return undefined
  } catch (error) {
    if (error instanceof InvalidFileError) return error.message
    throw error
  }
}
