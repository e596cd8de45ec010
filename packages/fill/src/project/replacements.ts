import { isDirectoryPath, type Replacement, type Version } from '@modmesh/module'
import type { MainModule, Workspace } from './main-modules.ts'
import { joinPath, parentOf } from './paths.ts'

/** A module as the graph knows it: by the name that it is required by. */
export interface GraphModule {
  readonly path: string
  readonly version: Version
}

/** Where the content of a required module comes from. */
export type Target =
  | { readonly kind: 'module'; readonly path: string; readonly version: Version }
  | { readonly kind: 'directory'; readonly folder: string }

/** Says where a required module comes from, by the `replace` lines that count. */
export type Resolve = (module: GraphModule) => Target

/** Makes the resolution of a main module that is worked on alone. */
export function replacementsOf(main: MainModule): Resolve {
  return resolveBy([{ folder: parentOf(main.path), replace: main.mod.replace }])
}

/** Makes that of a workspace: what go.work says counts before what its modules say. */
export function workspaceReplacements({ path, work, mains }: Workspace): Resolve {
  const modules = mains.map((main) => ({
    folder: parentOf(main.path),
    replace: main.mod.replace,
  }))
  return resolveBy([{ folder: parentOf(path), replace: work.replace }, ...modules])
}

interface Source {
  readonly folder: string
  readonly replace: readonly Replacement[]
}

function resolveBy(sources: readonly Source[]): Resolve {
  const maps = sources.map(({ folder, replace }) => ({ folder, map: byName(replace) }))
  return ({ path, version }) => {
    for (const { folder, map } of maps) {
      const found = map.get(keyOf(path, version)) ?? map.get(keyOf(path, undefined))
      if (found !== undefined) return targetOf(found, folder)
    }
    return { kind: 'module', path, version }
  }
}

function byName(replace: readonly Replacement[]): ReadonlyMap<string, Replacement> {
  return new Map(replace.map((each) => [keyOf(each.old.path, each.old.version), each]))
}

/** Paths have no blanks. */
function keyOf(path: string, version: Version | undefined): string {
  return `${path} ${version ?? ''}`
}

function targetOf({ new: { path, version } }: Replacement, folder: string): Target {
  if (version === undefined || isDirectoryPath(path)) {
    return { kind: 'directory', folder: joinPath(folder, path) }
  }
  return { kind: 'module', path, version }
}
