import { formatModuleVersion, hashMod, type ModuleVersion, maxModBytes } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import {
  HashChangedError,
  ModuleNotFoundError,
  RemoteError,
  UpstreamRefusedError,
} from './errors.ts'
import { explainFailure } from './explain-failure.ts'
import type { FillContext } from './fill-context.ts'
import { sourceOf } from './fill-event.ts'
import { checkFirstHash } from './first-hashes.ts'
import { learnSums } from './learn-sums.ts'
import type { Answer } from './module-source.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { notHere } from './not-found.ts'
import { findInfoFault, keepFromRemote, keepVerified, type VerifiedParts } from './peer-facts.ts'
import { type Branch, DecidingError, firstSuccess } from './race.ts'
import { type RecordSearch, searchRecords } from './record-search.ts'
import type { RemoteLevel } from './remote-level.ts'
import {
  type Before,
  giveHeadStarts,
  giveTime,
  resolveSums,
  startRemote,
  withNeed,
} from './resolve-sums.ts'
import { abortable, type Scope } from './scope.ts'
import type { UpstreamAnswer } from './upstream.ts'
import { whyNoPeers } from './why-upstream.ts'

type Part = keyof VerifiedParts

/** Answers a request for a go.mod: checked against its ModHash, never by pulling the zip. */
export async function fillMod(
  ctx: FillContext,
  module: ModuleVersion,
  options: { readonly signal: AbortSignal },
): Promise<Answer<Uint8Array>> {
  return await fillPart(ctx, module, 'mod', options.signal)
}

/** Answers a request for a canonical version's `.info`. */
export async function fillInfo(
  ctx: FillContext,
  module: ModuleVersion,
  options: { readonly signal: AbortSignal },
): Promise<Answer<Uint8Array>> {
  return await fillPart(ctx, module, 'info', options.signal)
}

/** Makes the hashes of a module version known, and keeps what a peer sent along with them. */
export async function fillSums(
  ctx: FillContext,
  module: ModuleVersion,
  options: { readonly signal: AbortSignal },
): Promise<ProvenSums> {
  return await ctx.withDeadline(formatModuleVersion(module), options.signal, async (scope) => {
    try {
      return await learnSums(ctx, module, scope)
    } catch (error) {
      throw explainFailure(ctx, module, error)
    }
  })
}

async function fillPart(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  signal: AbortSignal,
): Promise<Answer<Uint8Array>> {
  const held = (await ctx.held.findRecord(module))?.[part]
  if (held !== undefined) return { value: held.bytes, source: { kind: 'store' } }
  const name = formatModuleVersion(module)
  if (!ctx.canAskAnybody(module.path)) throw notHere(name)
  return await ctx.withDeadline(name, signal, async (scope) => {
    try {
      return await race(ctx, module, part, scope)
    } catch (error) {
      throw explainFailure(ctx, module, error)
    }
  })
}

async function race(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  scope: Scope,
): Promise<Answer<Uint8Array>> {
  const search = searchRecords(ctx, module, scope)
  const startedMs = ctx.clock.monotonicMs()
  // An .info of upstream needs no hashes; anybody else's needs a proof that the version exists at all.
  const hasOthers = search !== undefined || ctx.canAskRemote(module.path)
  const needsSums = ctx.isProvable(module.path) && (part === 'mod' || hasOthers)
  const sums = needsSums ? scope.start(() => findSums(ctx, module, search, scope)) : undefined
  const asked = search !== undefined && sums !== undefined
  const work = asked ? scope.start(() => fromPeers(ctx, module, part, search, sums)) : undefined
  const branches: Branch<Answer<Uint8Array>>[] = work === undefined ? [] : [() => work]
  const peers = { work, startedMs }
  const remote = startRemote(ctx, module, peers, scope, (level, signal) =>
    fromRemote(ctx, module, part, { level, sums, signal }),
  )
  if (remote !== undefined) branches.push(() => remote)
  if (ctx.canAskUpstream(module.path)) {
    const before = { peers, remote }
    branches.push((signal) => fromUpstream(ctx, module, part, { before, sums, signal }))
  }
  return await firstSuccess(branches, { signal: scope.signal, background: ctx.background })
}

async function findSums(
  ctx: FillContext,
  module: ModuleVersion,
  search: RecordSearch | undefined,
  scope: Scope,
): Promise<ProvenSums> {
  const options = { signal: scope.signal, search: () => search }
  return (await resolveSums(ctx, module, 'mod', options)).sums
}

/** Takes the first part that verifies; who sent one that does not is blamed and the next is tried. */
async function fromPeers(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  search: RecordSearch,
  sums: Promise<ProvenSums>,
): Promise<Answer<Uint8Array>> {
  for await (const record of search.records()) {
    const value = keepVerified(ctx, module, record, await sums)[part]
    if (value !== undefined) return { value, source: { kind: 'peer', peer: record.peer } }
  }
  await sums
  throw new NobodyHasItError()
}

async function fromRemote(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  way: {
    readonly level: RemoteLevel
    readonly sums: Promise<ProvenSums> | undefined
    readonly signal: AbortSignal
  },
): Promise<Answer<Uint8Array>> {
  const { level, signal } = way
  const [bytes, sums] = await Promise.all([
    abortable(level.fetchFile(module, part, { signal }), signal),
    way.sums,
  ])
  if (bytes === undefined || sums === undefined) throw new NobodyHasItError()
  try {
    keepFromRemote(ctx, module, part, bytes, part === 'mod' ? withNeed(sums, 'mod') : sums)
  } catch (error) {
    if (error instanceof RemoteError) level.refuse(module, part, error.message)
    throw error
  }
  level.accept(module, part)
  return { value: bytes, source: { kind: 'remote', from: level.name } }
}

async function fromUpstream(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  way: {
    readonly before: Before<unknown>
    readonly sums: Promise<ProvenSums> | undefined
    readonly signal: AbortSignal
  },
): Promise<Answer<Uint8Array>> {
  const { before, sums, signal } = way
  await giveHeadStarts(ctx, before, signal)
  const late = before.peers.work === undefined ? 'no-holder' : 'peers-late'
  const why = whyNoPeers(ctx, module.path) ?? late
  ctx.emit({ kind: 'upstream-chosen', what: part, module, why })
  try {
    const value =
      part === 'mod'
        ? await modFromUpstream(ctx, module, sums, signal)
        : await infoFromUpstream(ctx, module, signal)
    return { value: value.bytes, source: sourceOf(value) }
  } catch (error) {
    if (!isDeciding(error)) throw error
    // Upstream has spoken: a peer that is slow to answer is treated as a no.
    await giveTime(ctx, before.peers, ctx.budgets.haveQueryMs, signal)
    throw new DecidingError(error)
  }
}

function isDeciding(error: unknown): boolean {
  return (
    error instanceof ModuleNotFoundError ||
    error instanceof UpstreamRefusedError ||
    error instanceof HashChangedError
  )
}

async function modFromUpstream(
  ctx: FillContext,
  module: ModuleVersion,
  sums: Promise<ProvenSums> | undefined,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const answer = await abortable(ctx.upstream.fetchMod(module, { signal }), signal)
  const proven = sums === undefined ? await ctx.checksumDb.known(module) : await sums
  const hash = hashMod(answer.bytes)
  const expected = sums === undefined ? proven?.mod : withNeed(await sums, 'mod').mod
  if (answer.bytes.length > maxModBytes) {
    throw refuse(ctx, module, answer, { expected: 'a go.mod', actual: 'more than its size limit' })
  }
  if (expected !== undefined && expected !== hash) {
    throw refuse(ctx, module, answer, { expected, actual: hash })
  }
  if (expected === undefined) await checkFirstHash(ctx, module, { mod: hash, from: answer.from })
  const proof = proven?.mod === undefined ? ({ kind: 'upstream' } as const) : proven.proof
  ctx.held.keepRecord({ module, mod: { bytes: answer.bytes, hash, proof } })
  return answer
}

async function infoFromUpstream(
  ctx: FillContext,
  module: ModuleVersion,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const answer = await abortable(ctx.upstream.fetchInfo(module, { signal }), signal)
  const fault = findInfoFault(answer.bytes, module)
  if (fault !== undefined) {
    throw refuse(ctx, module, answer, { expected: `version ${module.version}`, actual: fault })
  }
  ctx.held.keepRecord({ module, info: { bytes: answer.bytes, from: 'upstream' } })
  return answer
}

function refuse(
  ctx: FillContext,
  module: ModuleVersion,
  answer: UpstreamAnswer,
  seen: { readonly expected: string; readonly actual: string },
): UpstreamRefusedError {
  const error = new UpstreamRefusedError(module, { ...seen, from: answer.from })
  ctx.emit({ kind: 'upstream-refused', module, reason: error.message })
  return error
}
