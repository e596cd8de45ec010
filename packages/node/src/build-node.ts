import { join } from 'node:path'
import { defaultBudgets, ModuleFill } from '@modmesh/fill'
import { HttpUpstream, ProxyServer } from '@modmesh/goproxy'
import { DiskStore, DurableFile } from '@modmesh/store'
import { noChecksumDb, openChecksumDatabase } from './checksum-database.ts'
import { machineClock } from './clock.ts'
import { ControlServer } from './control-socket/server.ts'
import { prepareDataDir } from './data-dir.ts'
import { logFillEvent, logStoreEvent } from './event-log.ts'
import { PeerHeads } from './heads.ts'
import { openIdentity } from './identity.ts'
import { Lifecycle } from './lifecycle.ts'
import type { Logger } from './log.ts'
import { MeshNode } from './lone-mesh.ts'
import { answerControl } from './node-control.ts'
import { NodeState } from './node-state.ts'
import { nodePages } from './pages.ts'
import type { Surroundings } from './settings.ts'
import { SharedShelf } from './shelf.ts'
import type { StartPlan } from './start-plan.ts'
import { StatusReporter } from './status-reporter.ts'
import { Traffic } from './traffic.ts'
import { SumdbUpkeep } from './upkeep.ts'

/** A node that serves. */
export interface RunningNode {
  readonly proxy: ProxyServer
  readonly mesh: MeshNode
  readonly state: NodeState
}

/**
 * Starts every part of a node, in this order, and hands each to the lifecycle, which stops them in
 * reverse: the local port drains first, the store closes last. Throws what a part could not do.
 */
export async function buildNode(
  plan: StartPlan,
  { log, lifecycle, around }: { log: Logger; lifecycle: Lifecycle; around: Surroundings },
): Promise<RunningNode> {
  const { settings, isPrivate, noproxy } = plan
  const { dir, offline, caFile } = settings
  const fetchTimeoutMs = settings.fetchTimeout * 1_000
  const clock = machineClock
  const state = new NodeState(plan, clock)
  const traffic = new Traffic(clock)

  await prepareDataDir(dir)
  const store = lifecycle.add(
    'store',
    await DiskStore.open({ dir, report: (event) => logStoreEvent(log, event) }),
  )
  const reporter = new StatusReporter({ state, traffic, store }, plan)
  lifecycle.add(
    'control socket',
    await ControlServer.listen(dir, answerControl({ state, reporter })),
  )
  const privateKey = await openIdentity(dir)

  const upstream = lifecycle.add(
    'upstream',
    new HttpUpstream({ list: settings.upstream, offline, caFile, fetchTimeoutMs }),
  )
  const database = openChecksumDatabase(plan, {
    store,
    fetchTile: async (...tile) => await state.mesh?.fetchTile(...tile),
  })
  const client = database?.client
  if (database !== undefined) {
    lifecycle.add('way to the checksum database', database.remote)
    lifecycle.add('checksum database', database.client)
  }

  const ended = new AbortController()
  const mesh = await MeshNode.start(
    {
      shelf: new SharedShelf({ store, client }, { isPrivate }),
      membership: new DurableFile(join(dir, 'mesh', 'membership')),
      heads: new PeerHeads({ client, log }, { ended: ended.signal }),
    },
    {
      privateKey,
      datastoreDir: join(dir, 'mesh', 'hints'),
      listen: settings.meshListen,
      peers: settings.peer,
      mdns: settings.mdns,
      site: settings.site,
      name: settings.name,
      inventory: settings.inventory,
      connect: settings.connect,
      maxConnections: settings.maxConnections,
    },
  )
  lifecycle.add('mesh', mesh)
  state.mesh = mesh
  state.client = client
  if (plan.ticket !== undefined) await mesh.join(plan.ticket)

  const fill = lifecycle.add(
    'fill',
    new ModuleFill(
      {
        store,
        peers: mesh,
        upstream,
        checksumDb: client ?? noChecksumDb,
        clock,
        random: Math.random,
      },
      {
        budgets: { ...defaultBudgets, fetchTimeoutMs },
        isPrivate,
        noproxy,
        ttlMs: settings.ttl * 1_000,
        negativeTtlMs: settings.negativeTtl * 1_000,
        onEvent: (event) => {
          traffic.record(event)
          logFillEvent(log, event)
        },
      },
    ),
  )
  if (client !== undefined && plan.sumdb.kind === 'on') {
    const { key } = plan.sumdb
    lifecycle.add('upkeep', new SumdbUpkeep({ client, clock, log }, { key, around }))
  }
  const proxy = await ProxyServer.listen(
    {
      source: fill,
      databases: client === undefined ? [] : [client],
      pages: nodePages({ notReady: () => state.notReady(), status: () => reporter.status() }),
    },
    { listen: settings.listen, hosts: settings.host, pathSecret: settings.pathSecret },
  )
  lifecycle.defer('local port', () => proxy.close({ drainMs }))
  lifecycle.defer('news of peers', async () => ended.abort(new Error('the node stops')))
  state.proxy = proxy
  return { proxy, mesh, state }
}

/** How long running answers may take when the node stops (design, section 7). Milliseconds. */
const drainMs = 9_000
