import { isDigit } from './path-rules.ts'
import { buildOf, majorOf } from './semver.ts'

/** A module path cut before its major version. */
export interface SplitPath {
  readonly prefix: string
  /** `/v2`, for gopkg.in `.v1` or `.v2-unstable`, or empty. */
  readonly pathMajor: string
}

/** Cuts `/vN` (gopkg.in: `.vN`) off a path (x/mod module.SplitPathVersion), or returns undefined when it is malformed. */
export function splitPathMajor(path: string): SplitPath | undefined {
  return path.startsWith('gopkg.in/') ? splitGopkgIn(path) : splitSlashMajor(path)
}

function splitSlashMajor(path: string): SplitPath | undefined {
  let start = path.length
  while (start > 0 && (isDigit(path.charCodeAt(start - 1)) || path[start - 1] === '.')) start--
  const isMajor =
    start > 1 && start < path.length && path[start - 1] === 'v' && path[start - 2] === '/'
  if (!isMajor) return { prefix: path, pathMajor: '' }
  const pathMajor = path.slice(start - 2)
  if (pathMajor.includes('.') || pathMajor[2] === '0' || pathMajor === '/v1') return undefined
  return { prefix: path.slice(0, start - 2), pathMajor }
}

function splitGopkgIn(path: string): SplitPath | undefined {
  const end = path.endsWith(unstable) ? path.length - unstable.length : path.length
  let start = end
  while (start > 0 && isDigit(path.charCodeAt(start - 1))) start--
  if (start <= 1 || path[start - 1] !== 'v' || path[start - 2] !== '.') return undefined
  const pathMajor = path.slice(start - 2)
  if (pathMajor.length <= 2 || (pathMajor[2] === '0' && pathMajor !== '.v0')) return undefined
  return { prefix: path.slice(0, start - 2), pathMajor }
}

/** Whether a version may stand under a path's major suffix (x/mod module.MatchPathMajor). */
export function matchesPathMajor(version: string, pathMajor: string): boolean {
  return findPathMajorFault(version, pathMajor) === undefined
}

/** Says which major a version should have under a path's major suffix, or returns undefined when it fits. */
export function findPathMajorFault(version: string, pathMajor: string): string | undefined {
  const suffix =
    pathMajor.startsWith('.v') && pathMajor.endsWith(unstable)
      ? pathMajor.slice(0, -unstable.length)
      : pathMajor
  // Old gopkg.in pseudo-versions of .v1 were made as v0.0.0-…, and stay valid.
  if (version.startsWith('v0.0.0-') && suffix === '.v1') return undefined
  const major = majorOf(version)
  if (suffix === '') {
    if (major === 'v0' || major === 'v1' || buildOf(version) === '+incompatible') return undefined
    return `should be v0 or v1, not ${major}`
  }
  return major === suffix.slice(1) ? undefined : `should be ${suffix.slice(1)}, not ${major}`
}

const unstable = '-unstable'
