import type { ModuleVersion } from '@modmesh/module'
import { commitZip } from './commit-zip.ts'
import { PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { nameOfSource } from './fill-event.ts'
import { checkFirstHash, readFirstHash } from './first-hashes.ts'
import type { Answer } from './module-source.ts'
import type { Proof } from './proof.ts'
import { publishedFirst } from './published-first.ts'
import type { FoundPublished } from './published-search.ts'
import { abortable, type Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'
import { whyNoPeers } from './why-upstream.ts'
import { blameLiar, fetchFromPeer, fetchFromUpstream } from './zip-attempt.ts'
import { Progress } from './zip-progress.ts'
import type { HeldZip } from './zip-store.ts'
import type { VerifiedZip } from './zip-transfer.ts'

/**
 * Private, or the database is off: what a publisher of the mesh signed, where private modules are shared, else
 * what upstream said first, is all there is, unless a go.sum pins it.
 */
export async function fillUnprovable(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
): Promise<Answer<HeldZip>> {
  return await publishedFirst(ctx, module, scope, {
    isEnough: ({ holdsZip }) => holdsZip,
    fromMesh: (found) => fromMembers(ctx, module, found, scope),
    fromUpstream: () => fromUpstream(ctx, module, scope),
  })
}

async function fromUpstream(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
): Promise<Answer<HeldZip>> {
  const pinned = await ctx.checksumDb.known(module)
  const progress = new Progress(ctx.clock.monotonicMs())
  const expected = Promise.resolve(pinned?.zip)
  const job = { module, expected, progress, onProgress: () => {} }
  const why = whyNoPeers(ctx, module.path) ?? 'no-database'
  ctx.emit({ kind: 'upstream-chosen', what: 'zip', module, why })
  // Version control answers from what it once fetched: so it would never show that a tag was moved.
  if ((await readFirstHash(ctx, module))?.zip !== undefined) {
    await abortable(ctx.upstream.forget?.(module) ?? Promise.resolve(), scope.signal)
  }
  const verified = await fetchFromUpstream(ctx, job, scope)
  if (pinned?.zip !== undefined) return await commitZip(ctx, verified, pinned.proof)
  await checkFirst(ctx, module, verified)
  return await commitZip(ctx, verified, { kind: 'upstream' })
}

/** Takes the zip from the first member that has it as it was published; who lies is blamed. */
async function fromMembers(
  ctx: FillContext,
  module: ModuleVersion,
  { published, records }: FoundPublished,
  scope: Scope,
): Promise<Answer<HeldZip> | undefined> {
  const pinned = await ctx.checksumDb.known(module)
  if (pinned?.zip !== undefined && pinned.zip !== published.zip) return undefined
  const { peer: publisher, name } = published.publisher
  const proof: Proof = pinned?.zip ? pinned.proof : { kind: 'publisher', peer: publisher, name }
  for (const { peer } of records.filter(({ holdsZip }) => holdsZip)) {
    const verified = await fromMember(ctx, module, { peer, zipHash: published.zip }, scope)
    if (verified !== undefined) return await commitZip(ctx, verified, proof)
  }
  return undefined
}

async function fromMember(
  ctx: FillContext,
  module: ModuleVersion,
  holder: { readonly peer: string; readonly zipHash: VerifiedZip['zipHash'] },
  { signal }: Scope,
): Promise<VerifiedZip | undefined> {
  const startedMs = ctx.clock.monotonicMs()
  const progress = new Progress(startedMs)
  const { firstByteMs, stallMs } = ctx.budgets
  const job = { module, ...holder, progress, onProgress: () => {} }
  const tell = (outcome: 'gave' | 'failed', error?: Error): void =>
    ctx.emit({
      kind: 'zip-asked',
      module,
      asked: { kind: 'peer', peer: holder.peer },
      outcome,
      error,
      bytes: progress.bytes,
      tookMs: ctx.clock.monotonicMs() - startedMs,
    })
  try {
    const patienceMs = firstByteMs + stallMs
    const verified = await fetchFromPeer(ctx, { ...job, patienceMs }, { signal })
    tell('gave')
    return verified
  } catch (error) {
    if (signal.aborted || error instanceof StoreFailure) throw error
    tell('failed', error instanceof Error ? error : new PeerError(holder.peer, 'failed', unable))
    blameLiar(ctx, holder.peer, module, error)
    return undefined
  }
}

const unable = { fault: 'unable' } as const

async function checkFirst(
  ctx: FillContext,
  module: ModuleVersion,
  { staged, source, zipHash }: VerifiedZip,
): Promise<void> {
  try {
    await checkFirstHash(ctx, module, { zip: zipHash, from: nameOfSource(source) })
  } catch (error) {
    ctx.background(staged.discard())
    throw error
  }
}
