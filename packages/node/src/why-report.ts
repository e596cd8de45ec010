import type { FirstHash, Upstream } from '@modmesh/fill'
import {
  formatModuleVersion,
  InvalidModulePathError,
  InvalidVersionError,
  type ModulePath,
  type ModuleVersion,
  parsePathAtVersion,
  type ZipHash,
} from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import { CommandError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import type { FillTrace, Trace } from './fill-trace.ts'
import { toIso } from './iso-time.ts'
import type { NodeState } from './node-state.ts'
import { readFirst } from './private-shelf.ts'

/** A peer that says it can serve a zip. */
interface HolderLine {
  readonly peer: string
  readonly via: 'inventory'
  readonly rttMs: number | null
}

/** What `why` is answered with. Absent is null, times are ISO 8601. */
export interface WhyReport {
  readonly module: string
  /** Never looked up at the checksum database, nor spoken of but to members that may have it. */
  readonly private: boolean
  /** Whether members that may have it are asked for it. */
  readonly shared: boolean
  /** Who of the mesh vouches for it. */
  readonly published: {
    readonly publisher: string
    readonly peer: string
    readonly at: string
    readonly h1: string | null
    readonly mod: string | null
  } | null
  readonly held: {
    readonly h1: string
    readonly sha256: string
    readonly bytes: number
    readonly proof: string
  } | null
  /** What it must hash to, as far as this node can prove it. */
  readonly expected: {
    readonly h1: string | null
    readonly mod: string | null
    readonly proof: string
  } | null
  /** Who would be asked first for the zip now. */
  readonly next: 'store' | 'peer' | 'mesh' | 'remote' | 'upstream' | 'nobody'
  readonly holders: readonly HolderLine[]
  /** Names and sites of the peers in here, as far as they are known. */
  readonly peers: readonly { readonly id: string; readonly name: string; readonly site: string }[]
  readonly connectedPeers: number
  /** Null: no request for it is remembered. */
  readonly trace: Trace | null
  /** Since when this node remembers. */
  readonly since: string
}

/** What a report is made from. */
export interface WhyComponents {
  readonly store: DiskStore
  readonly state: NodeState
  readonly trace: FillTrace
  readonly isPrivate: (path: ModulePath) => boolean
}

/** Tells how a module version was answered, and would be now. Throws CommandError for a name of no use. */
export async function whyReport(parts: WhyComponents, name: string): Promise<WhyReport> {
  const module = parseName(name)
  const { store, state, isPrivate } = parts
  const zip = await store.findZip(module)
  const expected = await state.client?.known(module)
  const zipHash = expected?.zip ?? zip?.zipHash
  const holders = isPrivate(module.path) ? [] : holdersOf(state, zipHash)
  const trace = parts.trace.of(formatModuleVersion(module)) ?? null
  const named = [...holders.map(({ peer }) => peer), ...peersIn(trace)]
  return {
    module: formatModuleVersion(module),
    private: isPrivate(module.path),
    shared: mayAskMembers(parts, module),
    published: publishedLine(await readFirst(store, module)),
    held:
      zip === undefined
        ? null
        : {
            h1: zip.zipHash,
            sha256: zip.zipDigest,
            bytes: zip.size,
            proof: proofText(zip.proof),
          },
    expected:
      expected === undefined
        ? null
        : {
            h1: expected.zip ?? null,
            mod: expected.mod ?? null,
            proof: proofText(expected.proof),
          },
    next: zip === undefined ? whoIsNext(parts, module, holders) : 'store',
    holders,
    peers: namesOf(state, new Set(named)),
    connectedPeers: connected(state),
    trace,
    since: toIso(state.startedAtMs),
  }
}

/** Reads PATH@VERSION. Throws CommandError. */
export function parseName(name: string): ModuleVersion {
  try {
    return parsePathAtVersion(name)
  } catch (error) {
    const isWrong = error instanceof InvalidModulePathError || error instanceof InvalidVersionError
    if (!isWrong) throw error
    throw new CommandError(`${JSON.stringify(name)} is not PATH@VERSION: ${error.message}`, {
      exitCode: exitCodes.wrongUsage,
      cause: error,
    })
  }
}

function holdersOf({ mesh }: NodeState, zipHash: ZipHash | undefined): readonly HolderLine[] {
  if (mesh === undefined || zipHash === undefined) return []
  const found = mesh.holders(zipHash)
  return found.map(({ peer, rttMs }) => ({ peer, via: 'inventory', rttMs: rttMs ?? null }))
}

function publishedLine(first: FirstHash | undefined): WhyReport['published'] {
  if (first?.published === undefined) return null
  const { name, peer, atMs } = first.published.publisher
  const hashes = { h1: first.zip ?? null, mod: first.mod ?? null }
  return { publisher: name, peer, at: toIso(atMs), ...hashes }
}

function mayAskMembers({ state, isPrivate }: WhyComponents, { path }: ModuleVersion): boolean {
  return isPrivate(path) && state.mesh?.privates.canAsk() === true
}

function whoIsNext(
  parts: WhyComponents,
  module: ModuleVersion,
  holders: readonly HolderLine[],
): WhyReport['next'] {
  const { state, isPrivate } = parts
  const { path } = module
  if (holders.length > 0) return 'peer'
  if (mayAskMembers(parts, module)) return 'mesh'
  if (canAskUpstream(state.upstream, path)) return 'upstream'
  if (isPrivate(path)) return 'nobody'
  if (connected(state) > 0) return 'mesh'
  return state.remote === undefined ? 'nobody' : 'remote'
}

function canAskUpstream(
  upstream: Pick<Upstream, 'isEnabled'> | undefined,
  path: ModulePath,
): boolean {
  return upstream?.isEnabled(path) ?? false
}

function connected({ mesh }: NodeState): number {
  return mesh?.peers().filter(({ isConnected }) => isConnected).length ?? 0
}

function peersIn(trace: Trace | null): readonly string[] {
  return (trace?.steps ?? []).flatMap(({ peer, answers = [] }) => [
    ...(peer === null ? [] : [peer]),
    ...answers.map((answer) => answer.peer),
  ])
}

function namesOf({ mesh }: NodeState, wanted: ReadonlySet<string>): WhyReport['peers'] {
  const members = mesh?.members.list() ?? []
  const known = members.filter(({ peer }) => wanted.has(peer))
  return known.map(({ peer, name, site }) => ({ id: peer, name, site }))
}

function proofText(proof: {
  readonly kind: string
  readonly database?: string
  readonly record?: number
  readonly peer?: string
  readonly name?: string
}): string {
  if (proof.kind === 'publisher') return `publisher ${proof.name} (${proof.peer})`
  if (proof.kind !== 'checksum-db') return proof.kind
  return `${proof.database} record ${proof.record}`
}
