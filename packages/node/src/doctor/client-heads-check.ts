import { parseGosumdb } from '@modmesh/sumdb'
import { findClientHeads } from '../go-client-heads.ts'
import type { Surroundings } from '../settings.ts'
import { type Finding, ok, skip, warn } from './finding.ts'
import type { NodeFacts } from './node-facts.ts'

/**
 * Compares the trees that `go` of this user has seen with the node's: `go` asks for tiles of its own, which a node
 * behind it can get from the database alone.
 */
export async function checkClientHeads(
  facts: NodeFacts,
  { goPath, around }: { readonly goPath: string | undefined; readonly around: Surroundings },
): Promise<Finding> {
  const id = 'client-tree'
  const sumdb = parseGosumdb(facts.sumdb)
  if (sumdb.kind === 'off') return skip(id, 'there is no checksum database')
  const env = goPath === undefined ? around.env : { ...around.env, GOPATH: goPath }
  const sizes = await findClientHeads(sumdb.key, { env, home: around.home })
  const newest = Math.max(0, ...sizes)
  const own = facts.status.checksumDatabase.treeSize ?? 0
  if (newest <= own) return ok(id, 'no go of this user has seen a newer tree than the node')
  const canAsk = !facts.offline && facts.databaseTrouble === null
  const text = `go of this user has seen a tree of ${newest} records, the node one of ${own}`
  if (canAsk) return ok(id, `${text}; it gets the newer one when go asks`)
  const file = `${(goPath ?? `${around.home}/go`).split(':', 1)[0]}/pkg/sumdb/${sumdb.key.name}/latest`
  return warn(
    id,
    `${text} and cannot ask: lookups of go end with an error`,
    `import a newer bundle, or let the node reach ${sumdb.key.name} or a peer that did once; ` +
      `else, for what is in this site: mv ${file} ${file}.old`,
  )
}
