import type { ModuleVersion } from '@modmesh/module'
import { OwnerLiedError, withOwner } from './ask-owner.ts'
import type { ProvenSums } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import type { Answer } from './module-source.ts'
import { hasNeed, type NeededSum } from './needed-sum.ts'
import { keepVerified, type VerifiedParts } from './peer-facts.ts'
import type { ModuleRecord, PartQuestion, PeerId } from './peers.ts'
import { isOf } from './record-search.ts'
import { verifyFrom } from './resolve-sums.ts'
import type { Scope } from './scope.ts'

/** A go.mod or `.info` as the owner has it, checked as any peer's. */
export async function relayPart(
  ctx: FillContext,
  module: ModuleVersion,
  part: keyof VerifiedParts,
  owner: PeerId,
  { signal }: Pick<Scope, 'signal'>,
): Promise<Answer<Uint8Array> | undefined> {
  return await withRecord(ctx, owner, { what: part, module }, signal, async (record) => {
    const sums = await provenBy(ctx, record, 'mod', signal)
    const value = sums && keepVerified(ctx, module, record, sums)[part]
    if (value !== undefined) return { value, source: { kind: 'peer', peer: owner, via: 'owner' } }
    if (sums !== undefined && record[part] !== undefined) throw new OwnerLiedError()
    return undefined
  })
}

/** The hashes of a module version by the record that the owner sent. */
export async function relaySums(
  ctx: FillContext,
  module: ModuleVersion,
  need: NeededSum,
  owner: PeerId,
  { signal }: Pick<Scope, 'signal'>,
): Promise<ProvenSums | undefined> {
  return await withRecord(ctx, owner, { what: 'sums', module }, signal, async (record) => {
    const sums = await provenBy(ctx, record, need, signal)
    if (sums !== undefined) keepVerified(ctx, module, record, sums)
    return sums
  })
}

/** Asks for a record and sees that it is of the module version asked for. */
export async function withRecord<T>(
  ctx: FillContext,
  owner: PeerId,
  question: PartQuestion,
  signal: AbortSignal,
  use: (record: ModuleRecord, zip: Uint8Array | undefined) => Promise<T | undefined>,
  onBytes?: (bytes: number) => void,
): Promise<T | undefined> {
  const onNotice = onBytes && ((notice: { readonly bytes: number }) => onBytes(notice.bytes))
  const ask = onNotice === undefined ? { signal } : { signal, onNotice }
  return await withOwner(ctx, owner, question, ask, async (finding) => {
    if (finding.kind !== 'record' || !isOf(finding.record, question.module)) {
      ctx.blame(owner, question.module, 'answered another question than ours')
      throw new OwnerLiedError()
    }
    return await use({ ...finding.record, peer: owner }, finding.zip)
  })
}

/** What is known, else what the record proves; undefined without what is needed. Blames for what does not verify. */
async function provenBy(
  ctx: FillContext,
  record: ModuleRecord,
  need: NeededSum,
  signal: AbortSignal,
): Promise<ProvenSums | undefined> {
  const { module, peer } = record
  const known = await ctx.checksumDb.known(module)
  if (known?.[need] !== undefined) return known
  if (record.record === undefined) return undefined
  const sums = await verifyFrom(ctx, module, peer, record.record, signal)
  return hasNeed(sums, need) ? sums : undefined
}
