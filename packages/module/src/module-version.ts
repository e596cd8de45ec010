import { compareBytes } from './byte-order.ts'
import { InvalidVersionError } from './errors.ts'
import { type ModulePath, parseModulePath } from './module-path.ts'
import { findPathMajorFault, splitPathMajor } from './path-major.ts'
import { compareVersions, parseVersion, type Version } from './version.ts'

/** One immutable release of a module. Valid by construction: the version fits the path's major suffix. */
export interface ModuleVersion {
  readonly path: ModulePath
  readonly version: Version
}

/** Parses path and version together (x/mod module.Check). Throws InvalidModulePathError or InvalidVersionError. */
export function parseModuleVersion(path: string, version: string): ModuleVersion {
  const module = { path: parseModulePath(path), version: parseVersion(version) }
  const fault = findPathMajorFault(version, splitPathMajor(path)?.pathMajor ?? '')
  if (fault !== undefined) throw new InvalidVersionError(version, fault)
  return module
}

/** Parses what formatModuleVersion writes. Throws InvalidModulePathError or InvalidVersionError. */
export function parsePathAtVersion(text: string): ModuleVersion {
  const at = text.lastIndexOf('@')
  return parseModuleVersion(text.slice(0, Math.max(at, 0)), text.slice(at + 1))
}

/** `path@version`, the name used in logs, keys and messages. */
export function formatModuleVersion(module: ModuleVersion): string {
  return `${module.path}@${module.version}`
}

/** Compares by path, then by version precedence (x/mod module.Sort): returns -1, 0 or 1. */
export function compareModuleVersions(a: ModuleVersion, b: ModuleVersion): number {
  return compareBytes(a.path, b.path) || compareVersions(a.version, b.version)
}
