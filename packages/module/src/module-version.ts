import type { ModulePath } from './module-path.ts'
import type { Version } from './version.ts'

/** One immutable release of a module. Valid by construction: the version fits the path's major suffix. */
export interface ModuleVersion {
  readonly path: ModulePath
  readonly version: Version
}

/** Parses path and version together (x/mod module.Check). Throws InvalidModulePathError or InvalidVersionError. */
export function parseModuleVersion(path: string, version: string): ModuleVersion {
  throw new Error(`to come: ${path} ${version}`)
}

/** `path@version`, the name used in logs, keys and messages. */
export function formatModuleVersion(module: ModuleVersion): string {
  return `${module.path}@${module.version}`
}
