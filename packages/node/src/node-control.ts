import type { ModuleVersion } from '@modmesh/module'
import { type MeshNode, machineClock } from '@modmesh/peers'
import type { AdoptTrust } from './adopt/answer-adopt.ts'
import { answerBundleRequest, type BundleComponents } from './bundle/answer.ts'
import { BundleLedger } from './bundle/ledger.ts'
import { noChecksumDb } from './checksum-database.ts'
import type { Hello } from './control-socket/protocol.ts'
import type { AnswerControl } from './control-socket/server.ts'
import { gatherFacts } from './doctor/gather-facts.ts'
import { CommandError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { findClientHeads } from './go-client-heads.ts'
import { openIdentity } from './identity.ts'
import { toIso } from './iso-time.ts'
import { answerMeshRequest, isMeshRequest } from './mesh-answers.ts'
import type { NodeState, Phase } from './node-state.ts'
import { peersReport } from './peers-report.ts'

import { type PrefetchComponents, prefetch } from './prefetch/prefetch.ts'
import type { Publishing } from './publishing.ts'
import { type SeedComponents, seed } from './seed/seed.ts'
import type { Surroundings } from './settings.ts'
import { answerSiteRequest, isSiteRequest } from './site-answers.ts'
import type { SiteLimits } from './site-limits.ts'
import type { StartPlan } from './start-plan.ts'

import type { StatusReporter } from './status-reporter.ts'
import { answerStoreRequest } from './store-answers.ts'
import type { StoreHealth } from './store-health.ts'
import type { Repair } from './verify-store.ts'
import { programVersion } from './version.ts'
import { parseName, type WhyComponents, whyReport } from './why-report.ts'

/** Builds the answers of the control socket. */
export function answerControl({
  plan,
  storeHealth,
  state,
  reporter,
  store,
  dir,
  trace,
  isPrivate,
  around,
}: WhyComponents & {
  readonly dir: string
  readonly around: Surroundings
  readonly plan: StartPlan
  readonly storeHealth: StoreHealth
  readonly reporter: StatusReporter
}): AnswerControl {
  const repair: Repair = (...bad) => fetchAnew(state, ...bad)
  const trust = async (): Promise<AdoptTrust> => trustOf(state)
  const onAccepted = (module: ModuleVersion): Promise<void> => forgetAccepted(state, module)
  const bundles = (): Promise<BundleComponents> =>
    bundleComponents(state, { store, dir, isPrivate, around })
  return async (request, options) => {
    switch (request.command) {
      case 'hello':
        return hello(state)
      case 'status':
        return await reporter.status()
      case 'doctor':
        return await gatherFacts(plan, { state, reporter, storeHealth, ways: state.ways })
      case 'peers':
        return peersReport(state.mesh)
      case 'prefetch':
        return await prefetch(prefetchParts(state, store), request, options)
      case 'why':
        return await whyReport({ store, state, trace, isPrivate }, request.module)
      case 'publish':
        return await runningPublishing(state).publish(request.modules.map(parseName))
      case 'seed':
        return await seed(seedParts(state, store), request, options)
      case 'export':
      case 'import':
        return await answerBundleRequest(await bundles(), request, options)
      default:
        if (isMeshRequest(request)) {
          return await answerMeshRequest(runningMesh(state), request, { ...options, dir })
        }
        if (isSiteRequest(request)) {
          return await answerSiteRequest(runningSites(state), request, options)
        }
        return await answerStoreRequest(store, request, { ...options, onAccepted, repair, trust })
    }
  }
}

/** Throws CommandError while the node starts or stops. */
async function bundleComponents(
  state: NodeState,
  {
    dir,
    around,
    ...parts
  }: Pick<BundleComponents, 'store' | 'isPrivate'> & {
    readonly dir: string
    readonly around: Surroundings
  },
): Promise<BundleComponents> {
  const mesh = runningMesh(state)
  const { database, fill } = state
  if (fill === undefined) throw notNow(state.phase)
  return {
    ...parts,
    database,
    ledger: new BundleLedger(dir),
    source: fill,
    prefetch: prefetchParts(state, parts.store),
    identity: await openIdentity(dir),
    clientHeads: async () =>
      database === undefined ? [] : await findClientHeads(database.key, around),
    isMember: (peerId) =>
      peerId === mesh.peerId ||
      mesh.members.list().some(({ peer, refusal }) => peer === peerId && refusal === undefined),
  }
}

function hello(state: NodeState): Hello {
  return {
    pid: process.pid,
    version: programVersion(),
    startedAt: toIso(state.startedAtMs),
    env: state.goEnv,
    otherWays: state.otherWays,
  }
}

function seedParts(state: NodeState, store: WhyComponents['store']): SeedComponents {
  const mesh = runningMesh(state)
  if (state.fill === undefined) throw notNow('starting')
  return { mesh, fill: state.fill, store, clock: machineClock, name: state.name }
}

function prefetchParts(
  { source, mesh, sums }: NodeState,
  store: WhyComponents['store'],
): PrefetchComponents {
  if (source === undefined || mesh === undefined || sums === undefined) throw notNow('starting')
  const askAhead: PrefetchComponents['askAhead'] = (...asked) => mesh.askAhead(...asked)
  return { source, store, clock: machineClock, sums, askAhead }
}

/** Memory, and the clones of version control, may still hold what was there first. */
async function forgetAccepted(state: NodeState, module: ModuleVersion): Promise<void> {
  state.fill?.forget(module)
  await state.direct?.forget(module)
}

/** Asks as a request of `go` would: the store has put the bad one aside. */
async function fetchAnew(
  { fill, mesh }: NodeState,
  ...[module, what, options]: Parameters<Repair>
): Promise<string> {
  if (fill === undefined) throw new Error('the node is starting')
  // Memory would give it, and the disk would go on without.
  fill.forget(module)
  const { source } = await fill[what](module, options)
  if (source.kind === 'peer') {
    const peer = mesh?.peers().find((each) => each.peer === source.peer)
    return `peer ${peer?.name ?? source.peer}`
  }
  return source.kind === 'store' ? 'the refill of the node' : source.kind
}

/** What the node proves for `go` it proves for a module cache, too. */
function trustOf(state: NodeState): AdoptTrust {
  const { fill, client, sumdbKey } = state
  if (fill === undefined) {
    throw new CommandError(`the node is ${state.phase}; try again in a moment`, {
      exitCode: exitCodes.failed,
    })
  }
  return {
    checksumDb: client ?? noChecksumDb,
    key: sumdbKey,
    ask: (module, options) => fill.sums(module, options),
    onRecords: (records) => {
      state.goRecords = records
    },
    onAdded: (module) => fill.forget(module),
  }
}

function runningSites(state: NodeState): { readonly mesh: MeshNode; readonly limits: SiteLimits } {
  const mesh = runningMesh(state)
  if (state.siteLimits === undefined) throw new Error('a mesh without its limits')
  return { mesh, limits: state.siteLimits }
}

function runningMesh({ mesh, phase }: NodeState): MeshNode {
  if (mesh !== undefined && phase !== 'stopping') return mesh
  throw notNow(phase)
}

function runningPublishing({ publishing, phase }: NodeState): Publishing {
  if (publishing !== undefined && phase !== 'stopping') return publishing
  throw notNow(phase)
}

function notNow(phase: Phase): CommandError {
  return new CommandError(`the node is ${phase}; try again in a moment`, {
    exitCode: exitCodes.failed,
  })
}
