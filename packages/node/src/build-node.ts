import { defaultBudgets, type FillEvent, ModuleFill } from '@modmesh/fill'
import { type ExtraPages, type HttpFetcher, ProxyServer, ViaChain } from '@modmesh/goproxy'
import type { ModuleVersion } from '@modmesh/module'
import { type MeshNode, machineClock } from '@modmesh/peers'
import { DiskStore, type ReportEvent, scrubBytesPerSecond } from '@modmesh/store'
import { AuditTrail } from './audit-trail.ts'
import { Catalogue } from './catalogue.ts'
import { type ChecksumDatabase, noChecksumDb, openChecksumDatabase } from './checksum-database.ts'
import { ControlServer } from './control-socket/server.ts'
import { errorText } from './errors.ts'
import { logFillEvent, logStoreEvent } from './event-log.ts'
import { FillTrace } from './fill-trace.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Logger } from './log.ts'
import { answerControl } from './node-control.ts'
import { NodeState } from './node-state.ts'
import { openConnections, openDirect, openUpstream } from './open-upstream.ts'
import { nodePages } from './pages.ts'
import { openPolicedSource } from './policed-source.ts'
import { PinnedSums } from './prefetch/pinned-sums.ts'
import { printableName } from './printable.ts'
import { SharedPrivateShelf } from './private-shelf.ts'
import { Publishing } from './publishing.ts'
import { Refill } from './refill.ts'
import { openRemoteStore } from './remote-store.ts'
import type { Surroundings } from './settings.ts'
import { startMesh } from './start-mesh.ts'
import type { StartPlan } from './start-plan.ts'
import { StatusReporter } from './status-reporter.ts'
import { StoreHealth } from './store-health.ts'
import { Traffic } from './traffic.ts'
import { SumdbUpkeep } from './upkeep.ts'

/** A node that serves. */
export interface RunningNode {
  readonly mesh: MeshNode
  readonly state: NodeState
}

/** What a node is started in. */
export interface BuildContext {
  readonly log: Logger
  readonly lifecycle: Lifecycle
  readonly around: Surroundings
}

/** How long running answers may take when the node stops (design, section 7). Milliseconds. */
const drainMs = 9_000

/**
 * Starts every part of a node, in this order, and hands each to the lifecycle, which stops them in
 * reverse: the local port drains first, the store closes last. Throws what a part could not do.
 */
export async function buildNode(plan: StartPlan, context: BuildContext): Promise<RunningNode> {
  const { log, lifecycle, around } = context
  const { settings } = plan
  const { dir } = settings
  const state = new NodeState(plan, machineClock)
  const traffic = new Traffic(machineClock)
  const trace = new FillTrace({ clock: machineClock })

  const report = logStoreEvent.bind(undefined, log)
  const store = lifecycle.add('store', await openStore(plan, report))

  const audit = lifecycle.add('audit', await openAudit(dir, { store, log }))
  const storeHealth = new StoreHealth({ clock: machineClock, store })
  const onEvent = (event: FillEvent): void => {
    traffic.record(event)
    storeHealth.record(event)
    trace.record(event)
    logFillEvent(log, event)
    audit.record(event)
    if (event.kind === 'hash-changed') void forgetClone(event.module, state, log)
    if (event.kind === 'committed') notePublished(state, event)
  }

  const reporter = new StatusReporter({ state, traffic, store, storeHealth }, plan)
  const { isPrivate } = plan
  const control = { plan, storeHealth, state, reporter, store, dir, trace, isPrivate, around }
  const answer = answerControl(control)
  lifecycle.add('control socket', await ControlServer.listen(dir, answer))

  const via = new ViaChain()
  const http = lifecycle.add('connections to upstreams', openConnections(plan, { ...context, via }))
  const direct = lifecycle.add('version control', openDirect(plan, around))
  state.direct = direct
  const upstream = openUpstream(plan, { http, direct })
  state.upstream = upstream
  const database = openDatabase(plan, { http, store, state, log, lifecycle })
  state.database = database
  state.ways = { http, sumdb: database?.remote }

  const remote = await openRemoteStore(plan, { log, around })
  if (remote !== undefined) state.remote = lifecycle.add('remote store', remote)

  const mesh = await openMesh(plan, { store, database, state, upstream, ...context })
  if (plan.ticket !== undefined) await mesh.join(plan.ticket)

  const checksumDb = new PinnedSums({ checksumDb: database?.client ?? noChecksumDb })
  state.sums = checksumDb
  const { answers, firstHashes } = store
  const own = { store, answers, firstHashes, clock: machineClock, privateMesh: mesh.privates }
  const fill = lifecycle.add(
    'fill',
    openFill(plan, { ...own, peers: mesh, remote, upstream, checksumDb }, onEvent),
  )
  state.fill = fill
  startRefill(store, fill, { log, lifecycle })
  const sources = { source: audit.watch(fill), store, upstream, log, lifecycle, onEvent }
  const source = await openPolicedSource(plan, sources)
  state.source = source
  if (database !== undefined) lifecycle.add('upkeep', startUpkeep(database, { log, around }))

  const pages = openPages(state, reporter, store)
  const databases = database === undefined ? [] : [database.client]
  state.proxy = await openProxy(plan, { source, databases, pages }, { via, log })
  lifecycle.defer('local port', async () => await state.proxy?.close({ drainMs }))
  for (const text of state.openDoors()) log.warn(text)
  return { mesh, state }
}

/** Starts the mesh, and what signs private modules into it. */
async function openMesh(
  plan: StartPlan,
  parts: Omit<Parameters<typeof startMesh>[1], 'privateShelf'>,
): Promise<MeshNode> {
  const { settings, isPrivate } = plan
  const { store, state, lifecycle, log } = parts
  const shelf = settings.sharePrivate ? new SharedPrivateShelf({ store }, { isPrivate }) : undefined
  const mesh = await startMesh(plan, { ...parts, privateShelf: shelf })
  state.mesh = mesh
  const publishing = new Publishing(
    { store, mesh, shelf, fill: () => state.fill, log },
    { isPrivate },
  )
  state.publishing = lifecycle.add('publishing', publishing)
  return mesh
}

function openProxy(
  { settings }: StartPlan,
  parts: Parameters<typeof ProxyServer.listen>[0],
  { via, log }: { readonly via: ViaChain; readonly log: Logger },
): Promise<ProxyServer> {
  return ProxyServer.listen(parts, {
    listen: settings.listen,
    hosts: settings.host,
    pathSecret: settings.pathSecret,
    via,
    // Without the target: it may hold the path secret. What a fill could not answer it tells itself.
    onError: (error) => log.debug({ reason: printableName(String(error)) }, 'request failed'),
  })
}

function openPages(state: NodeState, reporter: StatusReporter, store: DiskStore): ExtraPages {
  return nodePages({
    notReady: () => state.notReady(),
    status: () => reporter.status(),
    catalogue: new Catalogue({ store, clock: machineClock }),
  })
}

function openStore({ settings }: StartPlan, report: ReportEvent): Promise<DiskStore> {
  const { dir, maxSize: maxBytes, scrub: intervalMs } = settings
  const scrub = intervalMs === 0 ? undefined : { intervalMs, bytesPerSecond: scrubBytesPerSecond }
  return DiskStore.open({ dir, report, maxBytes, scrub })
}

function startRefill(
  store: DiskStore,
  source: ModuleFill,
  { log, lifecycle }: Pick<BuildContext, 'log' | 'lifecycle'>,
): void {
  const refill = lifecycle.add('refill', new Refill({ source, log }))
  store.onRemoved(({ module }, why) => {
    if (why === 'damaged') refill.add(module)
  })
}

function openAudit(
  dir: string,
  { store, log }: { readonly store: DiskStore; readonly log: Logger },
): Promise<AuditTrail> {
  const onError = (error: unknown): void => {
    log.error({ reason: errorText(error) }, 'the audit file cannot be written')
  }
  return AuditTrail.open({ store, clock: machineClock }, { dir, onError })
}

function openDatabase(
  plan: StartPlan,
  parts: {
    readonly http: HttpFetcher
    readonly store: DiskStore
    readonly state: NodeState
    readonly log: Logger
    readonly lifecycle: Lifecycle
  },
): ChecksumDatabase | undefined {
  const { http, store, state, log, lifecycle } = parts
  const database = openChecksumDatabase(plan, {
    http,
    store,
    // The mesh needs the database for its shelf, and comes after it.
    fetchTile: async (database, path, options) =>
      (await state.mesh?.fetchTile(database, path, options)) ??
      (await state.peerHeads?.tile(database, path, options)) ??
      (await state.goRecords?.tile(`/${path}`)),
    fetchSiteTile: async (database, path, options) =>
      await state.mesh?.fetchSiteTile(database, path, options),
  })
  if (database === undefined) return undefined
  lifecycle.add('checksum database', database.client)
  database.client.onFork(({ ours, theirs }) => {
    log.error({ ours, theirs }, 'checksum database forked: nothing new is trusted')
  })
  return database
}

function openFill(
  { settings, isPrivate }: StartPlan,
  ports: Omit<ConstructorParameters<typeof ModuleFill>[0], 'random'>,
  onEvent: (event: FillEvent) => void,
): ModuleFill {
  const budgets = { ...defaultBudgets, fetchTimeoutMs: settings.fetchTimeout * 1_000 }
  const ttlMs = settings.ttl * 1_000
  const negativeTtlMs = settings.negativeTtl * 1_000
  return new ModuleFill(
    { ...ports, random: Math.random },
    { budgets, isPrivate, ttlMs, negativeTtlMs, onEvent },
  )
}

function startUpkeep(
  { client, key }: ChecksumDatabase,
  { log, around }: Pick<BuildContext, 'log' | 'around'>,
): SumdbUpkeep {
  return new SumdbUpkeep({ client, clock: machineClock, log }, { key, around })
}

/** What came from its origin, and not from a member, is for a publisher to sign. */
function notePublished(
  { publishing }: NodeState,
  { module, source }: Extract<FillEvent, { readonly kind: 'committed' }>,
): void {
  if (source.kind === 'direct' || source.kind === 'upstream') publishing?.fetched(module)
}

/** Git keeps a tag that it has fetched: without this it would stay the wrong one after it was set right. Never rejects. */
async function forgetClone(module: ModuleVersion, state: NodeState, log: Logger): Promise<void> {
  try {
    await state.direct?.forget(module)
  } catch (error) {
    log.warn({ reason: errorText(error) }, 'tags cannot be removed from the clones')
  }
}
