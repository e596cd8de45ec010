import { InvalidVersionError } from './errors.ts'
import { isDigits } from './path-rules.ts'
import { formatTimestamp } from './rfc3339.ts'
import { buildOf, canonicalSemver, parseSemver } from './semver.ts'

/** A pseudo-version taken apart (golang.org/ref/mod#pseudo-versions). */
export interface PseudoVersion {
  /** `vX.0.0`, `vX.Y.(Z+1)-0` or `vX.Y.Z-pre.0`. */
  readonly head: string
  /** 14 digits, UTC: year, month, day, hour, minute, second. */
  readonly timestamp: string
  /** What names the commit: 12 hex digits for git. */
  readonly rev: string
  /** `+incompatible`, other build metadata, or empty. */
  readonly build: string
}

/** Takes a pseudo-version apart, or returns undefined for any other text (x/mod module.IsPseudoVersion). */
export function parsePseudoVersion(version: string): PseudoVersion | undefined {
  const semver = parseSemver(version)
  if (semver === undefined || semver.short !== '') return undefined
  const { build, prerelease } = semver
  const lastDash = prerelease.lastIndexOf('-')
  const rev = prerelease.slice(lastDash + 1)
  const dated = prerelease.slice(1, lastDash)
  const timestamp = dated.slice(-14)
  const before = dated.slice(0, -14)
  if (lastDash < 1 || rev === '' || rev.includes('.') || timestamp.length !== 14) return undefined
  const isFirst = before === '' && semver.minor === '0' && semver.patch === '0'
  if (!isDigits(timestamp) || !(isFirst || before === '0.' || before.endsWith('.0.'))) {
    return undefined
  }
  const core = `v${semver.major}.${semver.minor}.${semver.patch}`
  return { head: isFirst ? core : `${core}-${before.slice(0, -1)}`, timestamp, rev, build }
}

/** Whether a version is a pseudo-version. */
export function isPseudoVersion(version: string): boolean {
  return parsePseudoVersion(version) !== undefined
}

/** The commit time in a pseudo-version, as RFC 3339. Throws InvalidVersionError. */
export function pseudoVersionTime(version: string): string {
  const time = formatTimestamp(parseOrThrow(version).timestamp)
  if (time === undefined) throw new InvalidVersionError(version, 'malformed time')
  return time
}

/** The commit named by a pseudo-version. Throws InvalidVersionError. */
export function pseudoVersionRev(version: string): string {
  return parseOrThrow(version).rev
}

/**
 * The version a pseudo-version was made on, or undefined for the form `vX.0.0-T-R`.
 * Throws InvalidVersionError for what is none, or could come from no version.
 */
export function pseudoVersionBase(version: string): string | undefined {
  const { head, build } = parseOrThrow(version)
  const dash = head.indexOf('-')
  if (dash < 0) {
    if (build === '') return undefined
    throw new InvalidVersionError(version, 'build metadata without a base version')
  }
  if (head.slice(dash) !== '-0') return head.slice(0, -'.0'.length) + build
  const dot = head.lastIndexOf('.')
  const patch = decrement(head.slice(dot + 1, dash))
  if (patch === undefined) throw new InvalidVersionError(version, 'base with a negative patch')
  return `${head.slice(0, dot + 1)}${patch}${build}`
}

/**
 * Makes the pseudo-version of a commit (x/mod module.PseudoVersion). `base` is the version tagged before
 * it, if any; `timestamp` has 14 digits; `major` (`v2`) counts only without a base.
 */
export function formatPseudoVersion(
  major: string,
  base: string | undefined,
  timestamp: string,
  rev: string,
): string {
  const commit = `${timestamp}-${rev}`
  const older = parseSemver(base ?? '')
  if (base === undefined || older === undefined) return `${major || 'v0'}.0.0-${commit}`
  if (older.prerelease !== '') return `${canonicalSemver(base)}.0.${commit}${buildOf(base)}`
  const patch = BigInt(older.patch) + 1n
  return `v${older.major}.${older.minor}.${patch}-0.${commit}${older.build}`
}

function parseOrThrow(version: string): PseudoVersion {
  const parsed = parsePseudoVersion(version)
  if (parsed === undefined) throw new InvalidVersionError(version, 'not a pseudo-version')
  return parsed
}

/** One less, in decimal text of any length; undefined below zero. */
function decrement(decimal: string): string | undefined {
  let zeros = 0
  while (decimal[decimal.length - 1 - zeros] === '0') zeros++
  const at = decimal.length - 1 - zeros
  if (at < 0) return undefined
  const lowered = decimal.slice(0, at) + (Number(decimal[at]) - 1) + '9'.repeat(zeros)
  return lowered.length > 1 && lowered[0] === '0' ? lowered.slice(1) : lowered
}
