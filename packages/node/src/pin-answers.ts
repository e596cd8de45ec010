import {
  formatModuleVersion,
  InvalidFileError,
  type ModuleVersion,
  parseGoSum,
} from '@modmesh/module'
import {
  type DiskStore,
  InvalidPinError,
  type ListedZip,
  parsePin,
  pinCovers,
} from '@modmesh/store'
import type { StoreRequest } from './control-socket/requests.ts'
import { UsageError } from './errors.ts'

/** A pin, and what of it is held. */
export interface PinLine {
  readonly pin: string
  readonly zips: number
  readonly bytes: number
}

/** A project that is pinned by name, and what of it is held. */
export interface ProjectLine {
  readonly name: string
  /** Module versions that its go.sum names. */
  readonly versions: number
  readonly zips: number
  readonly bytes: number
}

/** Every pin after the change, and what the change was. */
export interface PinReport {
  readonly pins: readonly PinLine[]
  readonly projects: readonly ProjectLine[]
  /** Nobody knows what was pinned: nothing is removed until somebody pins again. */
  readonly lost: boolean
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Asked to be removed, and not there. */
  readonly unknown: readonly string[]
}

/** Pins what is named, and the zips of a project under its name. Throws UsageError. */
export async function pin(
  store: DiskStore,
  { pins: texts, project }: Extract<StoreRequest, { command: 'pin' }>,
): Promise<PinReport> {
  const before = new Set(store.pins())
  for (const text of texts) readPin(text)
  const modules = project && readZips(project.sums)
  if (texts.length > 0) await store.pin(texts)
  if (project !== undefined && modules !== undefined) {
    await store.pinProject({ name: project.name, modules })
  }
  const added = [...new Set(texts)].filter((text) => !before.has(text))
  return { ...allPins(store), added, removed: [], unknown: [] }
}

/** Ends pins. */
export async function unpin(
  store: DiskStore,
  { pins: texts, project }: Extract<StoreRequest, { command: 'unpin' }>,
): Promise<PinReport> {
  const removed = [...(await store.unpin(texts))]
  const unknown = texts.filter((text) => !removed.includes(text))
  if (project !== undefined) {
    const isThere = await store.unpinProject(project)
    ;(isThere ? removed : unknown).push(project)
  }
  return { ...allPins(store), added: [], removed, unknown }
}

/** Reads a pin as people write it. Throws UsageError. */
export function readPin(text: string): ReturnType<typeof parsePin> {
  try {
    return parsePin(text)
  } catch (error) {
    if (!(error instanceof InvalidPinError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}

function readZips(sums: string): readonly ModuleVersion[] {
  try {
    const zips = parseGoSum(Buffer.from(sums)).filter(({ kind }) => kind === 'zip')
    return [...new Map(zips.map(({ module }) => [formatModuleVersion(module), module])).values()]
  } catch (error) {
    if (error instanceof InvalidFileError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

function allPins(store: DiskStore): Pick<PinReport, 'pins' | 'projects' | 'lost'> {
  const pinned = [...store.list()].filter((zip) => zip.isPinned)
  const pins = store.pins().map((text) => {
    const each = parsePin(text)
    return { pin: text, ...held(pinned.filter(({ module }) => pinCovers(each, module))) }
  })
  const byName = new Map(pinned.map((zip) => [formatModuleVersion(zip.module), zip]))
  const projects = store.pinnedProjects().map(({ name, modules }) => {
    const zips = modules.flatMap((module) => byName.get(formatModuleVersion(module)) ?? [])
    return { name, versions: modules.length, ...held(zips) }
  })
  return { pins, projects, lost: store.budget().arePinsLost }
}

function held(zips: readonly ListedZip[]): Pick<PinLine, 'zips' | 'bytes'> {
  return { zips: zips.length, bytes: zips.reduce((sum, { size }) => sum + size, 0) }
}
