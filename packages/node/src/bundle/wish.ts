import {
  closeProject,
  type NeededInfo,
  type ProjectClosure,
  type ProjectFile,
  type ProjectFileKind,
} from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { BundleWish } from '@modmesh/store'
import type { ExportComponents, ExportRequest } from './export-answer.ts'
import type { MissingLine } from './results.ts'

/** A project file as a command sends it. */
export interface WireFile {
  readonly kind: ProjectFileKind
  readonly path: string
  readonly base64: string
}

/** What an export is to hold. */
interface Wish {
  readonly all: BundleWish
  /** Without what only a go.sum names, for versions that nobody builds with. */
  readonly needed: BundleWish
  /** The others, as `zip PATH@VERSION`: nobody misses them. */
  readonly optional: readonly string[]
}

/** Finds what projects need, or everything that is held. */
export async function wishFor(
  components: ExportComponents,
  request: ExportRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly wish: Wish; readonly unread: readonly MissingLine[] }> {
  const everything = request.all ? await heldParts(components) : undefined
  const closure = await close(components, request.files, signal)
  const all = merge([everything, wishOf(closure, () => true)])
  const needed = merge([everything, wishOf(closure, ({ isOptional }) => !isOptional)])
  const unread = closure.unread.map(({ name, reason }) => ({ what: 'file', name, reason }) as const)
  const allowed = request.publicOnly ? publicOnly(components) : () => true
  return {
    wish: { all: keep(all, allowed), needed: keep(needed, allowed), optional: optionalOf(closure) },
    unread,
  }
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
  return await closeProject(files.map(projectFile), { mod, local }, { signal })
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

function wishOf(
  { zips, mods, infos }: ProjectClosure,
  takes: (need: NeededInfo) => boolean,
): BundleWish {
  const modules = (needs: readonly NeededInfo[]): ModuleVersion[] =>
    needs.filter(takes).map(({ module }) => module)
  return { zips: modules(zips), mods: modules(mods), infos: modules(infos) }
}

function optionalOf({ zips, mods, infos }: ProjectClosure): readonly string[] {
  const names = (what: string, needs: readonly NeededInfo[]): string[] =>
    needs
      .filter(({ isOptional }) => isOptional)
      .map(({ module }) => `${what} ${formatModuleVersion(module)}`)
  return [...names('zip', zips), ...names('mod', mods), ...names('info', infos)]
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
