import { closeProject, type NeededInfo, type ProjectClosure } from '@modmesh/fill'
import { InvalidFileError, type ModuleVersion } from '@modmesh/module'
import type { BundleWish } from '@modmesh/store'
import { CommandError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { unpackFiles } from '../prefetch/prefetch-request.ts'
import type { ExportComponents, ExportRequest } from './export-answer.ts'
import type { MissingLine } from './results.ts'

/** Finds what projects need, or everything that is held. */
export async function wishFor(
  components: ExportComponents,
  request: ExportRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly wish: BundleWish; readonly unread: readonly MissingLine[] }> {
  const everything = request.all ? await heldParts(components) : undefined
  const closure = await close(components, request, signal)
  const wish = merge([everything, await wishOf(components, closure)])
  const unread = closure.unread.map(({ name, reason }) => ({ what: 'file', name, reason }) as const)
  const allowed = request.publicOnly ? publicOnly(components) : () => true
  return { wish: keep(wish, allowed), unread }
}

async function close(
  { source, store }: ExportComponents,
  request: ExportRequest,
  signal: AbortSignal,
): Promise<ProjectClosure> {
  const { files, locals } = unpackFiles(request)
  const mod = async (module: ModuleVersion): Promise<Uint8Array> => {
    const held = (await store.findRecord(module))?.mod?.bytes
    if (held !== undefined) return held
    if (source === undefined || request.plan) throw new Error('its go.mod is not held')
    return (await source.mod(module, { signal, asker: { kind: 'prefetch' } })).value
  }
  const local = async (path: string): Promise<Uint8Array | undefined> => locals.get(path)
  const { platforms } = request
  try {
    return await closeProject(files, { mod, local }, { signal, platforms })
  } catch (error) {
    if (!(error instanceof InvalidFileError)) throw error
    throw new CommandError(error.message, { exitCode: exitCodes.failed, cause: error })
  }
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
