import type { FirstHash } from '@modmesh/fill'
import { displayUpstreams } from '@modmesh/goproxy'
import type { MeshNode } from '@modmesh/peers'
import { type DiskStore, StoreDamagedError } from '@modmesh/store'
import { type ChangedLine, listChanged } from './changed-hashes.ts'
import { databaseWarnings } from './database-warnings.ts'
import { toIso, toIsoOrNull } from './iso-time.ts'
import type { NodeState } from './node-state.ts'
import { peerLine } from './peer-line.ts'
import { siteLine } from './sites-report.ts'
import type { StartPlan } from './start-plan.ts'
import {
  type PeerLine,
  type RefusalLine,
  type RemoteStatus,
  type RunningStatus,
  type StoreStatus,
  statusSchema,
} from './status.ts'
import type { StoreHealth } from './store-health.ts'
import type { Traffic, TrafficReport } from './traffic.ts'
import { uploadLine } from './upload-line.ts'
import { programVersion } from './version.ts'

interface ReporterComponents {
  readonly state: NodeState
  readonly traffic: Traffic
  readonly storeHealth: StoreHealth
  readonly store: Pick<DiskStore, 'stats' | 'budget' | 'firstHashes' | 'remove' | 'sumdbCache'>
}

/** Puts together what a running node tells of itself: numbers it has counted, nothing guessed, no secrets. */
export class StatusReporter {
  readonly #components: ReporterComponents
  readonly #plan: StartPlan

  constructor(components: ReporterComponents, plan: StartPlan) {
    this.#components = components
    this.#plan = plan
  }

  async status(): Promise<RunningStatus> {
    const { state, traffic } = this.#components
    const { settings } = this.#plan
    const report = traffic.report()
    const peers = (state.mesh?.peers() ?? []).map(peerLine)
    const store = await this.#store()
    const storeFailure = await this.#components.storeHealth.failure()
    // Read first: it finds the fork that an earlier process kept the proof of.
    const checksumDatabase = await this.#checksumDatabase()
    const changed = await this.#changed()
    const warnings = [...this.#warnings(storeFailure), ...changed.warnings]
    const isForked = state.client?.fork !== undefined
    const isFailing = storeFailure !== undefined
    return {
      schema: statusSchema,
      running: true,
      version: programVersion(),
      pid: process.pid,
      startedAt: toIso(state.startedAtMs),
      uptimeSeconds: Math.round(state.uptimeMs / 1_000),
      state: state.phase === 'ready' && (isForked || isFailing) ? 'degraded' : state.phase,
      warnings,
      dir: settings.dir,
      site: state.mesh?.site ?? settings.site,
      name: settings.name,
      proxy: { url: state.url ?? null, lastAnswerAt: toIsoOrNull(report.lastAnswerMs) },
      mesh: {
        id: state.mesh?.meshId() ?? null,
        peerId: state.mesh?.peerId ?? null,
        addresses: state.mesh?.addresses() ?? [],
        peers,
        uploads: uploadLine(state.mesh),
        sites: (state.mesh?.siteLinks() ?? []).map(siteLine),
        messagesSent: Object.fromEntries(state.mesh?.messagesSent() ?? []),
      },
      upstream: this.#upstream(report),
      checksumDatabase,
      remote: this.#remote(report),
      store,
      answers: {
        sinceStart: report.sinceStart,
        lastHour: report.lastHour,
        levels: report.levels,
        failed: report.failed,
      },
      privateModules: privateModules(state.mesh, changed.published),
      siteFetches: report.site,
      refused: {
        total: report.refusedTotal,
        latest: report.refused.map((refusal) => refusalLine(refusal, peers)),
      },
      changed: changed.lines,
    }
  }

  async #store(): Promise<StoreStatus> {
    const { store } = this.#components
    const { maxBytes, pinnedZips, pinnedBytes } = store.budget()
    const budget = { maxBytes: maxBytes ?? null, pinnedZips, pinnedBytes }
    return { ...(await store.stats()), budget }
  }

  #storeWarnings(storeFailure: string | undefined): readonly string[] {
    const { maxBytes, pinnedBytes, arePinsLost } = this.#components.store.budget()
    const warnings: string[] = []
    if (storeFailure !== undefined) warnings.push(`answers cannot be kept: ${storeFailure}`)
    if (arePinsLost)
      warnings.push('the pins cannot be read: nothing is removed until you pin again')
    if (!arePinsLost && maxBytes !== undefined && pinnedBytes > maxBytes) {
      warnings.push('what is pinned is larger than --max-size')
    }
    return warnings
  }

  #warnings(storeFailure: string | undefined): readonly string[] {
    const { state } = this.#components
    const warnings: string[] = [...state.openDoors()]
    const refusal = state.mesh?.members.refusal()
    if (refusal !== undefined) warnings.push(`this node is out of its mesh: ${refusal}`)
    const refusers = state.mesh?.meshId() && state.mesh.members.refusers()
    if (refusers) {
      const { count, reason } = refusers
      const who =
        count === 1 ? 'a member of the mesh refuses' : `${count} members of the mesh refuse`
      warnings.push(`${who} this node: ${reason}`)
    }
    if (state.client !== undefined) {
      const { folder } = this.#components.store.sumdbCache(state.client.name)
      warnings.push(...databaseWarnings(state.client, folder))
    }
    warnings.push(...this.#storeWarnings(storeFailure))
    return warnings
  }

  async #changed(): Promise<{
    readonly lines: readonly ChangedLine[]
    readonly published: readonly FirstHash[]
    readonly warnings: readonly string[]
  }> {
    try {
      const { store } = this.#components
      const published = await store.firstHashes.published()
      return { lines: await listChanged(store), published, warnings: [] }
    } catch (error) {
      if (!(error instanceof StoreDamagedError)) throw error
      const text = `what was first seen of private versions cannot be read: ${error.message}`
      return { lines: [], published: [], warnings: [text] }
    }
  }

  #upstream(report: TrafficReport): RunningStatus['upstream'] {
    const { upstream, settings } = this.#plan
    const last = report.lastUpstream
    const lists = [upstream.defaultList, ...upstream.routes.map(({ list }) => list)]
    const isOff = lists.every(({ entries }) => entries.length === 0)
    return {
      state: settings.offline ? 'offline' : isOff ? 'off' : 'on',
      list: displayUpstreams(upstream),
      lastAskedAt: toIsoOrNull(last?.atMs),
      lastOk: last?.ok ?? null,
      lastError: last?.ok === false ? last.reason : null,
    }
  }

  #remote({ remoteWrites: writes }: TrafficReport): RemoteStatus | null {
    const { remote } = this.#components.state
    if (remote === undefined) return null
    const { state, readFailure, writeFailure } = remote.health()
    const access = remote.canWrite() ? 'write' : 'read'
    const [readError, writeError] = [readFailure ?? null, writeFailure ?? null]
    return { url: remote.name, access, state, readError, writeError, writes }
  }

  async #checksumDatabase(): Promise<RunningStatus['checksumDatabase']> {
    const { client } = this.#components.state
    const none = { treeSize: null, forked: false, refusedAnswers: 0 }
    if (this.#plan.sumdb.kind === 'off') return { name: null, ...none }
    const { name } = this.#plan.sumdb
    if (client === undefined) return { name, ...none }
    const head = await client.head()
    const { fork, refusedAnswers } = client
    return { name, treeSize: head?.size ?? null, forked: fork !== undefined, refusedAnswers }
  }
}

function privateModules(
  mesh: MeshNode | undefined,
  published: readonly FirstHash[],
): RunningStatus['privateModules'] {
  const sharing = mesh?.privates.sharing()
  const names = published.flatMap((entry) => entry.published?.publisher.name ?? [])
  return {
    shared: sharing?.isOn ?? false,
    role: sharing?.isPublisher ? 'publisher' : sharing?.isAllowed ? 'private' : null,
    published: published.length,
    publishers: [...new Set(names)].toSorted(),
  }
}

function refusalLine(
  refusal: TrafficReport['refused'][number],
  peers: readonly PeerLine[],
): RefusalLine {
  const { source, peer, module, reason } = refusal
  const known = peers.find(({ id }) => id === peer)
  return {
    at: toIso(refusal.atMs),
    source,
    peer: peer ?? null,
    peerName: known?.name ?? null,
    module,
    reason,
  }
}
