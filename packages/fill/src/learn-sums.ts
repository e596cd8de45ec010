import type { ModuleVersion } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import { keepAllVerified } from './peer-facts.ts'
import { type RecordSearch, searchRecords } from './record-search.ts'
import { resolveSums } from './resolve-sums.ts'
import type { Scope } from './scope.ts'

/** Makes the hashes of a module version known, and keeps what peers sent along with their records. */
export async function learnSums(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
): Promise<ProvenSums> {
  let asked: RecordSearch | undefined
  const search = () => {
    asked = searchRecords(ctx, module, scope)
    return asked
  }
  const sums = await resolveSums(ctx, module, 'mod', { signal: scope.signal, search })
  keepAllVerified(ctx, module, asked?.seen ?? [], sums)
  return sums
}
