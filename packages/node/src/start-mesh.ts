import { join } from 'node:path'
import type { HttpUpstream } from '@modmesh/goproxy'
import type { ZipHash } from '@modmesh/module'
import { type MeshEvent, MeshNode, machineClock } from '@modmesh/peers'
import { type DiskStore, DurableFile } from '@modmesh/store'
import type { ChecksumDatabase } from './checksum-database.ts'
import { PeerHeads } from './heads.ts'
import { openIdentity } from './identity.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Logger } from './log.ts'
import { MeshLog } from './mesh-log.ts'
import type { NodeState } from './node-state.ts'
import type { SharedPrivateShelf } from './private-shelf.ts'
import type { SeedComponents } from './seed/seed.ts'
import { Visitors } from './seed/visitors.ts'
import { SharedShelf } from './shelf.ts'
import { SiteFill } from './site-fill.ts'
import { SiteLimits } from './site-limits.ts'
import type { StartPlan } from './start-plan.ts'
import { uploadLimits } from './upload-line.ts'

/** What the mesh takes from, gives from and tells. */
export interface MeshParts {
  readonly store: DiskStore
  readonly database: ChecksumDatabase | undefined
  readonly state: NodeState
  readonly upstream: HttpUpstream
  readonly log: Logger
  readonly lifecycle: Lifecycle
  /** Absent: private modules do not leave this host. */
  readonly privateShelf: SharedPrivateShelf | undefined
}

/** Starts this node's part of the mesh, as a lone node or with the members it knew. What the store loses is withdrawn. */
export async function startMesh(plan: StartPlan, parts: MeshParts): Promise<MeshNode> {
  const { settings, isPrivate } = plan
  const { store, state, upstream, log, lifecycle } = parts
  const meshLog = new MeshLog({ log, clock: machineClock })
  const { client, tiles } = parts.database ?? {}
  const meshDir = join(settings.dir, 'mesh')
  const file = new DurableFile(join(meshDir, 'tree-heads'))
  const heads = lifecycle.add('heads of peers', new PeerHeads({ client, log, file }))
  state.peerHeads = heads
  const limits = await SiteLimits.open(new DurableFile(join(meshDir, 'site-links')), settings)
  state.siteLimits = limits
  const visitors = newVisitors(plan, parts)
  const mesh = await MeshNode.start(
    {
      shelf: new SharedShelf({ store, client }, { isPrivate }),
      membership: new DurableFile(join(meshDir, 'membership')),
      privateShelf: parts.privateShelf,
      nameSecret: new DurableFile(join(meshDir, 'private-names')),
      ledger: new DurableFile(join(meshDir, 'ledger')),
      roster: new DurableFile(join(meshDir, 'roster')),
      siteBytes: new DurableFile(join(meshDir, 'site-bytes')),
      heads,
      // The fill needs the mesh, and comes after it.
      fetcher: new SiteFill({ fill: () => state.fill, upstream, database: client, tiles }),
      log: (event) => {
        meshLog.record(event)
        noteTrouble(state.meshTroubles, event)
        if (event.kind !== 'peer-up') return
        state.hasPeer()
        visitors.appeared(event)
      },
    },
    {
      privateKey: await openIdentity(settings.dir),
      datastoreDir: join(meshDir, 'hints'),
      listen: settings.meshListen,
      peers: settings.peer,
      mdns: settings.mdns,
      site: settings.site,
      name: settings.name,
      inventory: settings.inventory,
      connect: settings.connect,
      maxConnections: settings.maxConnections,
      uploads: uploadLimits(settings),
      siteRules: limits.rules,
    },
  )
  store.onRemoved(({ zipHash }) => void withdrawIfGone(store, mesh, zipHash))
  lifecycle.add('mesh', mesh)
  lifecycle.add('visitors', visitors)
  return mesh
}

function newVisitors(
  { settings }: StartPlan,
  { store, state, log }: Pick<MeshParts, 'store' | 'state' | 'log'>,
): Visitors {
  const parts = (): SeedComponents | undefined => {
    const { mesh, fill, phase } = state
    if (mesh === undefined || fill === undefined || phase === 'stopping') return undefined
    return { mesh, fill, store, clock: machineClock, name: settings.name }
  }
  return new Visitors({ parts, clock: machineClock, log }, { names: settings.seedFrom })
}

/** Members of other versions that are remembered: a mesh is upgraded host by host. */
const maxOddVersions = 64

function noteTrouble(troubles: NodeState['meshTroubles'], event: MeshEvent): void {
  const { oddVersions } = troubles
  if (event.kind === 'peer-up') oddVersions.delete(event.peer)
  if (event.kind === 'lan-discovery-failed') troubles.lanDiscovery = event.message
  const isOdd = event.kind === 'peer-version' && oddVersions.size < maxOddVersions
  if (isOdd) oddVersions.set(event.peer, event.versions)
}

/** Another zip of the same content may be held still. Never rejects. */
async function withdrawIfGone(store: DiskStore, mesh: MeshNode, zipHash: ZipHash): Promise<void> {
  const held = await store.findContent(zipHash).catch(() => undefined) // then it cannot be served
  if (held === undefined) mesh.withdraw(zipHash)
}
