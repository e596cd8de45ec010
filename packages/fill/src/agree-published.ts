import type { ModuleVersion } from '@modmesh/module'
import { PublishersDisagreeError } from './errors.ts'
import type { PeerId } from './peers.ts'
import type { Published } from './private-modules.ts'

/**
 * The one word of all publishers; of each its newest counts. Undefined where there is none. Throws
 * PublishersDisagreeError: nobody but people can tell who is right.
 */
export function agreePublished(
  module: ModuleVersion,
  statements: Iterable<Published>,
): Published | undefined {
  const newest = new Map<PeerId, Published>()
  for (const each of statements) {
    const { peer, atMs } = each.publisher
    const known = newest.get(peer)
    if (known === undefined || isNewer(each, known, atMs)) newest.set(peer, each)
  }
  const [first, ...others] = newest.values()
  const other = first && others.find(({ zip, mod }) => zip !== first.zip || mod !== first.mod)
  if (first === undefined || other === undefined) return first
  throw new PublishersDisagreeError(module, [first, other])
}

/** Of two of one moment everybody takes the same. */
function isNewer(each: Published, known: Published, atMs: number): boolean {
  if (atMs !== known.publisher.atMs) return atMs > known.publisher.atMs
  return `${each.zip}${each.mod}` < `${known.zip}${known.mod}`
}
