import {
  type Clock,
  closeProject,
  filesOf,
  type ModuleFill,
  type OwnerQuestion,
  PeerError,
  type PeerId,
} from '@modmesh/fill'
import { formatModuleVersion, InvalidFileError, type ModuleVersion } from '@modmesh/module'
import type { MeshNode } from '@modmesh/peers'
import type { DiskStore } from '@modmesh/store'
import { CommandError, errorCode } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { unpackFiles } from '../prefetch/prefetch-request.ts'
import { findGiver, type Giver, lookMs } from './giver.ts'
import type { SeedProgress, SeedReport } from './seed-report.ts'
import type { SeedRequest } from './seed-request.ts'
import { membersOf, type SeedItem, type SeedSite } from './seed-site.ts'
import { SeedWork } from './seed-work.ts'

/** What a seed works with. */
export interface SeedComponents {
  readonly mesh: MeshNode
  readonly fill: ModuleFill
  readonly store: Pick<DiskStore, 'findZip' | 'findRecord'>
  readonly clock: Clock
  /** Of this node. */
  readonly name: string
}

interface SeedOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: SeedProgress) => void
}

const asker = { kind: 'prefetch' } as const

/**
 * Has the members of this node's site hold what another member has. What is held is not asked for again:
 * who was cut begins anew. Throws CommandError where the giver cannot be asked.
 */
export async function seed(
  components: SeedComponents,
  request: SeedRequest,
  options: SeedOptions,
): Promise<SeedReport> {
  const { mesh, clock } = components
  const { giver, had } = await askGiver(components, request, options)
  await settle(components, options)
  const { projects } = request
  const items =
    projects === undefined
      ? [...had.values()]
      : await neededOf(components, projects, had, options.signal)
  const site = seedSite(components, giver.peer)
  const replicas = Math.min(request.replicas, membersOf(site).length)
  const isThere = (): boolean => isConnected(mesh, giver.peer) && mesh.isOpenTo(giver.peer)
  const { onProgress } = options
  const { waitMs } = request
  const work = new SeedWork({ site, clock, isThere, onProgress }, { replicas, waitMs })
  const failures = await work.run(items, options)
  const nameOf = namesIn(components)
  const modules = await work.report(items, failures, nameOf)
  return {
    from: giver.name,
    site: mesh.site,
    members: membersOf(site).map(nameOf),
    wanted: request.replicas,
    replicas,
    total: modules.length,
    complete: modules.filter(({ missing }) => missing === null).length,
    ...work.counts,
    modules,
  }
}

/** After a start those of a site that were seen before are connected by then. Milliseconds. */
const settleMs = 3_000

/** Waits a moment for members of the site that are known and not connected: the work is divided among all. */
async function settle(
  { mesh, clock }: SeedComponents,
  { signal }: Pick<SeedOptions, 'signal'>,
): Promise<void> {
  const isLate = (): boolean =>
    mesh.members.list().some(({ site, isSelf, isConnected, refusal }) => {
      return site === mesh.site && !isSelf && !isConnected && refusal === undefined
    })
  const endMs = clock.monotonicMs() + settleMs
  while (isLate() && clock.monotonicMs() < endMs) await clock.sleep(lookMs, { signal })
}

function isConnected(mesh: MeshNode, id: PeerId): boolean {
  return mesh.peers().some(({ peer, isConnected: is }) => peer === id && is)
}

/** What the giver has, by name; one that goes away meanwhile is waited for. */
async function askGiver(
  components: SeedComponents,
  request: SeedRequest,
  { signal, onProgress }: SeedOptions,
): Promise<{ readonly giver: Giver; readonly had: ReadonlyMap<string, SeedItem> }> {
  const { mesh, clock } = components
  const endMs = clock.monotonicMs() + request.waitMs
  for (;;) {
    const onWait = (): void => onProgress({ here: 0, done: 0, total: 0, state: 'waiting' })
    const giver = await findGiver(components, request.from, { signal, onWait, endMs })
    try {
      return { giver, had: await readAll(mesh, giver.peer, signal) }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      const isGone = !isConnected(mesh, giver.peer) || errorCode(error.cause) === 'SESSION_CLOSED'
      if (isGone && clock.monotonicMs() < endMs) {
        await clock.sleep(lookMs, { signal })
        continue
      }
      throw new CommandError(`${request.from} does not say what it has: ${error.message}`, {
        exitCode: exitCodes.unreachable,
        cause: error,
      })
    }
  }
}

async function readAll(
  mesh: MeshNode,
  giver: PeerId,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SeedItem>> {
  const had = new Map<string, SeedItem>()
  for await (const item of mesh.catalogue(giver, { signal })) {
    had.set(formatModuleVersion(item.module), item)
  }
  return had
}

async function neededOf(
  { fill }: SeedComponents,
  projects: NonNullable<SeedRequest['projects']>,
  had: ReadonlyMap<string, SeedItem>,
  signal: AbortSignal,
): Promise<readonly SeedItem[]> {
  const { files, locals } = unpackFiles(projects)
  const mod = async (module: ModuleVersion): Promise<Uint8Array> =>
    (await fill.mod(module, { signal, asker })).value
  const local = async (path: string): Promise<Uint8Array | undefined> => locals.get(path)
  try {
    const { platforms } = projects
    const closure = await closeProject(files, { mod, local }, { signal, platforms })
    const wanted = filesOf(closure).filter(({ isOptional }) => projects.all || !isOptional)
    const items = new Map<string, SeedItem>()
    for (const { what, module } of wanted) {
      const name = formatModuleVersion(module)
      const zipHash = what === 'zip' ? had.get(name)?.zipHash : items.get(name)?.zipHash
      items.set(name, { module, zipHash })
    }
    return [...items.values()]
  } catch (error) {
    if (!(error instanceof InvalidFileError)) throw error
    throw new CommandError(error.message, { exitCode: exitCodes.failed, cause: error })
  }
}

function seedSite({ mesh, fill, store }: SeedComponents, giver: PeerId): SeedSite {
  const self = mesh.peerId
  /** Go.mod files that members were asked for: nobody tells of those. */
  const mods = new Set<string>()
  const keyOf = (member: PeerId, module: ModuleVersion): string =>
    `${member} ${formatModuleVersion(module)}`
  return {
    self,
    others: () => mesh.siteMembers().filter((member) => member !== giver),
    holds: async (member, { module, zipHash }) => {
      if (member === self) {
        if (zipHash !== undefined) return (await store.findZip(module)) !== undefined
        return (await store.findRecord(module))?.mod !== undefined
      }
      if (zipHash === undefined) return mods.has(keyOf(member, module))
      return mesh.holds(member, zipHash)
    },
    bring: async (member, question, { signal }) => {
      if (member === self) await bringHere(fill, question, signal)
      else await bringThere(mesh, member, question, signal)
      if ('module' in question && question.what === 'mod') mods.add(keyOf(member, question.module))
    },
  }
}

async function bringHere(
  fill: ModuleFill,
  question: OwnerQuestion,
  signal: AbortSignal,
): Promise<void> {
  if (!('module' in question)) return
  const { what, module } = question
  const ask = { signal, asker }
  if (what === 'zip') await fill.zip(module, ask)
  else if (what === 'mod') await fill.mod(module, ask)
  else await Promise.all([fill.info(module, ask), fill.mod(module, ask)])
}

async function bringThere(
  mesh: MeshNode,
  member: PeerId,
  question: OwnerQuestion,
  signal: AbortSignal,
): Promise<void> {
  const answer = await mesh.askOwner(member, question, { signal, onNotice: () => {} })
  if (answer.kind === 'record' || answer.kind === 'bytes') return
  const why = answer.kind === 'nothing' ? 'found nobody that has it' : 'could not bring it'
  throw new PeerError(member, why, { fault: answer.kind === 'refused' ? 'busy' : 'unable' })
}

function namesIn({ mesh, name }: SeedComponents): (member: PeerId) => string {
  const names = new Map(mesh.peers().map((peer) => [peer.peer, peer.name]))
  return (member) => (member === mesh.peerId ? name : names.get(member) || member)
}
