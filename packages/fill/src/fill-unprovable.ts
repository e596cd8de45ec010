import type { ModuleVersion } from '@modmesh/module'
import { commitZip } from './commit-zip.ts'
import type { FillContext } from './fill-context.ts'
import { nameOfSource } from './fill-event.ts'
import { checkFirstHash } from './first-hashes.ts'
import type { Answer } from './module-source.ts'
import type { Scope } from './scope.ts'
import { whyNoPeers } from './why-upstream.ts'
import { fetchFromUpstream } from './zip-attempt.ts'
import { Progress } from './zip-progress.ts'
import type { HeldZip } from './zip-store.ts'
import type { VerifiedZip } from './zip-transfer.ts'

/** Private, or the database is off: what upstream said first is all there is, unless a go.sum pins it. */
export async function fillUnprovable(
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
  const verified = await fetchFromUpstream(ctx, job, scope)
  if (pinned?.zip !== undefined) return await commitZip(ctx, verified, pinned.proof)
  await checkFirst(ctx, module, verified)
  return await commitZip(ctx, verified, { kind: 'upstream' })
}

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
