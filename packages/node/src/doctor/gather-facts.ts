import { statfs } from 'node:fs/promises'
import type { HttpFetcher, HttpSumdb } from '@modmesh/goproxy'
import { errorText } from '../errors.ts'
import type { NodeState } from '../node-state.ts'
import { peersReport } from '../peers-report.ts'
import { printableName } from '../printable.ts'
import type { StartPlan } from '../start-plan.ts'
import type { StatusReporter } from '../status-reporter.ts'
import type { StoreHealth } from '../store-health.ts'
import type { NodeFacts, UpstreamProbe } from './node-facts.ts'
import { closedPorts, probeClock, probeMulticast } from './probes.ts'

/** Whom a node asks outside, for looking whether that works. */
export interface OutsideWays {
  readonly http: HttpFetcher
  readonly sumdb: HttpSumdb | undefined
}

/** Longest wait for the checksum database. Milliseconds. */
const databaseMs = 5_000

/** Gathers what a node knows of itself, and looks outside where nothing of that tells. */
export async function gatherFacts(
  plan: StartPlan,
  parts: {
    readonly state: NodeState
    readonly reporter: StatusReporter
    readonly storeHealth: StoreHealth
    readonly ways: OutsideWays | undefined
  },
): Promise<NodeFacts> {
  const { settings } = plan
  const { state, reporter, storeHealth, ways } = parts
  const [status, disk, storeFailure, upstreams, databaseTrouble, mesh] = await Promise.all([
    reporter.status(),
    statfs(settings.dir),
    storeHealth.failure(),
    probeUpstreams(plan, ways?.http),
    findDatabaseTrouble(ways?.sumdb),
    meshFacts(plan, state),
  ])
  return {
    status,
    peers: peersReport(state.mesh),
    env: state.goEnv ?? null,
    private: settings.private,
    sumdb: settings.sumdb,
    offline: settings.offline,
    upstreams,
    databaseTrouble,
    disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
    storeTrouble: storeFailure ?? null,
    mesh,
  }
}

async function probeUpstreams(
  { upstream, settings }: StartPlan,
  http: HttpFetcher | undefined,
): Promise<readonly UpstreamProbe[]> {
  if (settings.offline || http === undefined) return []
  const lists = [upstream.defaultList, ...upstream.routes.map(({ list }) => list)]
  const entries = lists.flatMap((list) => list.entries)
  const origins = new Set(entries.flatMap((entry) => (entry.kind === 'http' ? entry.origin : [])))
  return await Promise.all(
    [...origins].map(async (origin) => {
      const [answers, clockAheadMs] = await Promise.all([http.answers(origin), probeClock(origin)])
      return { origin, answers, clockAheadMs: clockAheadMs ?? null }
    }),
  )
}

async function findDatabaseTrouble(sumdb: HttpSumdb | undefined): Promise<string | null> {
  if (sumdb === undefined || !sumdb.isEnabled()) return null
  try {
    await sumdb.read('/latest', { signal: AbortSignal.timeout(databaseMs) })
    return null
  } catch (error) {
    return printableName(errorText(error).split('\n', 1)[0] ?? '')
  }
}

async function meshFacts(
  { settings }: StartPlan,
  { mesh, meshTroubles }: NodeState,
): Promise<NodeFacts['mesh']> {
  const { mdns, meshListen: listen } = settings
  const isIn = mesh?.meshId() !== undefined
  const [multicast, closed] = await Promise.all([
    mdns && isIn ? probeMulticast() : undefined,
    isIn ? closedPorts(mesh.addresses()) : [],
  ])
  return {
    refusal: mesh?.members.refusal() ?? null,
    refusers: (isIn && mesh.members.refusers()) || null,
    mdns,
    multicastTrouble: multicast ?? meshTroubles.lanDiscovery ?? null,
    listen,
    closedPorts: closed,
    oddVersions: [...meshTroubles.oddVersions].map(([peer, versions]) => ({ peer, versions })),
  }
}
