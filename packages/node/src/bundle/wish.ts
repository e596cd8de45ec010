import {
  closeProject,
  type NeededInfo,
  type ProjectClosure,
  type ProjectFile,
  type ProjectFileKind,
} from '@modmesh/fill'
import type { ModuleVersion } from '@modmesh/module'
import type { BundleWish } from '@modmesh/store'
import type { ExportComponents, ExportRequest } from './export-answer.ts'
import type { MissingLine } from './results.ts'

/** A project file as a command sends it. */
export interface WireFile {
  readonly kind: ProjectFileKind
  readonly path: string
  readonly base64: string
  /** Only named by another, such as a local replacement. */
  readonly isLocal: boolean
}

/** Finds what projects need, or everything that is held. */
export async function wishFor(
  components: ExportComponents,
  request: ExportRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly wish: BundleWish; readonly unread: readonly MissingLine[] }> {
  const everything = request.all ? await heldParts(components) : undefined
  const closure = await close(components, request.files, signal)
  const wish = merge([everything, await wishOf(components, closure)])
  const unread = closure.unread.map(({ name, reason }) => ({ what: 'file', name, reason }) as const)
  const allowed = request.publicOnly ? publicOnly(components) : () => true
  return { wish: keep(wish, allowed), unread }
}

async function close(
  { source, store }: ExportComponents,
  files: readonly WireFile[],
  signal: AbortSignal,
): Promise<ProjectClosure> {
  const mod = async (module: ModuleVersion): Promise<Uint8Array> => {
    if (source !== undefined) {
      return (await source.mod(module, { signal, asker: { kind: 'prefetch' } })).value
    }
    const held = (await store.findRecord(module))?.mod?.bytes
    if (held === undefined) throw new Error('its go.mod is not held')
    return held
  }
  const texts = new Map(files.map(({ path, base64 }) => [path, Buffer.from(base64, 'base64')]))
  const local = async (path: string): Promise<Uint8Array | undefined> => texts.get(path)
  const mains = files.filter(({ isLocal }) => !isLocal)
  return await closeProject(mains.map(projectFile), { mod, local }, { signal })
}

function projectFile({ kind, path, base64 }: WireFile): ProjectFile {
  return { kind, path, bytes: Buffer.from(base64, 'base64') }
}

async function heldParts({ store }: ExportComponents): Promise<BundleWish> {
  const zips = [...store.list()].map(({ module }) => module)
  const mods = [...store.mods()]
  const infos: ModuleVersion[] = []
  for (const module of [...mods, ...zips]) {
    if ((await store.findRecord(module))?.info !== undefined) infos.push(module)
  }
  return { zips, mods, infos }
}

/** What `go` asks for now; of what a go.sum names besides, which nobody misses, what is held. */
async function wishOf(
  { store }: ExportComponents,
  { zips, mods, infos }: ProjectClosure,
): Promise<BundleWish> {
  const isHeld = {
    zip: async (module: ModuleVersion) => (await store.findZip(module)) !== undefined,
    mod: async (module: ModuleVersion) => (await store.findRecord(module))?.mod !== undefined,
    info: async (module: ModuleVersion) => (await store.findRecord(module))?.info !== undefined,
  }
  const modules = async (
    what: keyof typeof isHeld,
    needs: readonly NeededInfo[],
  ): Promise<ModuleVersion[]> => {
    const taken: ModuleVersion[] = []
    for (const { module, isOptional } of needs) {
      if (!isOptional || (await isHeld[what](module))) taken.push(module)
    }
    return taken
  }
  return {
    zips: await modules('zip', zips),
    mods: await modules('mod', mods),
    infos: await modules('info', infos),
  }
}

function merge(wishes: readonly (BundleWish | undefined)[]): BundleWish {
  const each = wishes.filter((wish) => wish !== undefined)
  return {
    zips: each.flatMap(({ zips }) => zips),
    mods: each.flatMap(({ mods }) => mods),
    infos: each.flatMap(({ infos }) => infos),
  }
}

function keep(wish: BundleWish, allowed: (module: ModuleVersion) => boolean): BundleWish {
  const { zips, mods, infos } = wish
  return { zips: zips.filter(allowed), mods: mods.filter(allowed), infos: infos.filter(allowed) }
}

function publicOnly({ database, isPrivate }: ExportComponents): (module: ModuleVersion) => boolean {
  return ({ path }) => !isPrivate(path) && database?.client.covers(path) === true
}
