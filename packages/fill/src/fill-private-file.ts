import type { ModuleVersion } from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import { sourceOfPeer } from './fill-event.ts'
import type { Answer } from './module-source.ts'
import { keepVerified, type VerifiedParts } from './peer-facts.ts'
import type { FoundPublished } from './published-search.ts'

/** Takes a go.mod that is as it was published, or an `.info`, from the first member that has it. */
export function fileFromMembers(
  ctx: FillContext,
  module: ModuleVersion,
  part: keyof VerifiedParts,
  { published, records }: FoundPublished,
): Answer<Uint8Array> | undefined {
  const { peer: publisher, name } = published.publisher
  const proof = { kind: 'publisher', peer: publisher, name } as const
  const sums = { zip: published.zip, mod: published.mod, proof }
  for (const { published: _, ...record } of records) {
    const value = keepVerified(ctx, module, { ...record, record: undefined }, sums)[part]
    if (value !== undefined) return { value, source: sourceOfPeer(ctx.peers, record.peer) }
  }
  return undefined
}
