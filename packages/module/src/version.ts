import { bangEscape, bangUnescape } from './bang-escape.ts'
import { InvalidVersionError } from './errors.ts'
import { findElementFault } from './path-rules.ts'
import { buildOf, canonicalSemver, compareSemver, prereleaseOf } from './semver.ts'

declare const brand: unique symbol

/** A canonical version: semver with leading v, no build metadata but `+incompatible`. */
export type Version = string & { readonly [brand]: 'Version' }

/** Parses a canonical version. Throws InvalidVersionError. */
export function parseVersion(text: string): Version {
  const canonical = canonicalVersion(text)
  if (canonical === undefined) throw new InvalidVersionError(text, 'not a semantic version')
  if (canonical !== text) throw new InvalidVersionError(text, `should be ${canonical}`)
  return canonical
}

/** Fills a short form and drops build metadata but `+incompatible` (x/mod module.CanonicalVersion); undefined when not semver. */
export function canonicalVersion(text: string): Version | undefined {
  const canonical = canonicalSemver(text)
  if (canonical === '') return undefined
  return (buildOf(text) === '+incompatible' ? `${canonical}+incompatible` : canonical) as Version
}

/** Whether a version is a prerelease; a pseudo-version is one too. */
export function isPrerelease(version: string): boolean {
  return prereleaseOf(version) !== ''
}

/** Whether a version stands for a major above 1 without go.mod. */
export function isIncompatible(version: string): boolean {
  return buildOf(version) === '+incompatible'
}

/** Escapes a version or query text for a URL path or file name. Throws InvalidVersionError where Go's EscapeVersion does. */
export function escapeVersion(version: string): string {
  const escaped = findElementFault(version, 'file') === undefined ? bangEscape(version) : undefined
  if (escaped === undefined) throw new InvalidVersionError(version, 'disallowed version string')
  return escaped
}

/** Inverse of escapeVersion; the result may be any query (branch, commit), not only a canonical version. */
export function unescapeVersion(escaped: string): string {
  const version = bangUnescape(escaped)
  if (version === undefined) throw new InvalidVersionError(escaped, 'invalid escape')
  const fault = findElementFault(version, 'file')
  if (fault !== undefined) throw new InvalidVersionError(version, fault)
  return version
}

/** Compares by semver precedence, as x/mod semver.Compare (invalid versions sort first). */
export function compareVersions(a: string, b: string): number {
  return compareSemver(a, b)
}
