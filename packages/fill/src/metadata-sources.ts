import { hashMod, type ModuleVersion, maxModBytes } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import {
  HashChangedError,
  ModuleNotFoundError,
  RemoteError,
  UpstreamRefusedError,
} from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { sourceOf, sourceOfPeer } from './fill-event.ts'
import { checkFirstHash } from './first-hashes.ts'
import { type Before, giveHeadStarts, giveTime } from './give-head-starts.ts'
import type { Answer } from './module-source.ts'
import { withNeed } from './needed-sum.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { findInfoFault, keepFromRemote, keepVerified, type VerifiedParts } from './peer-facts.ts'
import { DecidingError } from './race.ts'
import type { RecordSearch } from './record-search.ts'
import type { RemoteLevel } from './remote-level.ts'
import { abortable } from './scope.ts'
import type { UpstreamAnswer } from './upstream.ts'
import { whyNoPeers } from './why-upstream.ts'

type Part = keyof VerifiedParts

/** Takes the first part that verifies; who sent one that does not is blamed and the next is tried. */
export async function fromPeers(
  ctx: FillContext,
  module: ModuleVersion,
  part: Part,
  search: RecordSearch,
  sums: Promise<ProvenSums>,
): Promise<Answer<Uint8Array>> {
  for await (const record of search.records()) {
    const value = keepVerified(ctx, module, record, await sums)[part]
    if (value !== undefined) return { value, source: sourceOfPeer(ctx.peers, record.peer) }
  }
  await sums
  throw new NobodyHasItError()
}

/** Takes what the remote store has, if it verifies. */
export async function fromRemote(
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

/** Takes upstream's word, after the head starts of the others. Its no decides, once peers had time to know better. */
export async function fromUpstream(
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
    throw ctx.refuse(module, {
      from: answer.from,
      expected: 'a go.mod',
      actual: 'more than its size limit',
    })
  }
  if (expected !== undefined && expected !== hash) {
    throw ctx.refuse(module, { from: answer.from, expected, actual: hash })
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
    throw ctx.refuse(module, {
      from: answer.from,
      expected: `version ${module.version}`,
      actual: fault,
    })
  }
  ctx.held.keepRecord({ module, info: { bytes: answer.bytes, from: 'upstream' } })
  return answer
}
