import { isDigit, isDigits } from './path-rules.ts'

/** A semantic version taken apart, as x/mod semver does: with leading `v`, and `v1` and `v1.2` as short forms. */
export interface Semver {
  readonly major: string
  readonly minor: string
  readonly patch: string
  /** What a short form lacks: `.0.0`, `.0` or empty. */
  readonly short: string
  /** With its `-`, or empty. */
  readonly prerelease: string
  /** With its `+`, or empty. */
  readonly build: string
}

/** Parses a semantic version, or returns undefined. */
export function parseSemver(text: string): Semver | undefined {
  if (text[0] !== 'v') return undefined
  const core: string[] = []
  let at = 0
  do {
    const end = endOfNumber(text, at + 1)
    if (end === undefined) return undefined
    core.push(text.slice(at + 1, end))
    at = end
  } while (core.length < 3 && text[at] === '.')
  if (core.length < 3 && at < text.length) return undefined
  const [major = '0', minor = '0', patch = '0'] = core
  const tail = parseTail(text, at)
  return tail && { major, minor, patch, short: '.0'.repeat(3 - core.length), ...tail }
}

function parseTail(text: string, at: number): Pick<Semver, 'prerelease' | 'build'> | undefined {
  const plus = text.indexOf('+', at)
  const end = plus < 0 ? text.length : plus
  const prerelease = text.slice(at, end)
  const build = text.slice(end)
  if (prerelease !== '' && (prerelease[0] !== '-' || !isIdentifiers(prerelease, isPrereleaseId))) {
    return undefined
  }
  if (build !== '' && !isIdentifiers(build, isBuildId)) return undefined
  return { prerelease, build }
}

function endOfNumber(text: string, start: number): number | undefined {
  let end = start
  while (end < text.length && isDigit(text.charCodeAt(end))) end++
  if (end === start || (text[start] === '0' && end > start + 1)) return undefined
  return end
}

function isIdentifiers(marked: string, isId: (id: string) => boolean): boolean {
  return marked.slice(1).split('.').every(isId)
}

function isBuildId(id: string): boolean {
  for (let i = 0; i < id.length; i++) if (!isIdChar(id.charCodeAt(i))) return false
  return id !== ''
}

function isPrereleaseId(id: string): boolean {
  return isBuildId(id) && !(id.length > 1 && id[0] === '0' && isDigits(id))
}

function isIdChar(unit: number): boolean {
  if (isDigit(unit) || unit === 0x2d) return true
  const lower = unit | 0x20
  return lower >= 0x61 && lower <= 0x7a
}

/** The major version with its `v`, or empty for an invalid version. */
export function majorOf(version: string): string {
  const parsed = parseSemver(version)
  return parsed === undefined ? '' : `v${parsed.major}`
}

/** `vX.Y`, or empty for an invalid version. */
export function majorMinorOf(version: string): string {
  const parsed = parseSemver(version)
  return parsed === undefined ? '' : `v${parsed.major}.${parsed.minor}`
}

/** The prerelease with its `-`, or empty. */
export function prereleaseOf(version: string): string {
  return parseSemver(version)?.prerelease ?? ''
}

/** The build metadata with its `+`, or empty. */
export function buildOf(version: string): string {
  return parseSemver(version)?.build ?? ''
}

/** The full form without build metadata, or empty for an invalid version. */
export function canonicalSemver(version: string): string {
  const parsed = parseSemver(version)
  if (parsed === undefined) return ''
  return version.slice(0, version.length - parsed.build.length) + parsed.short
}

/** Compares by precedence: returns -1, 0 or 1; invalid versions come first and equal one another. */
export function compareSemver(a: string, b: string): number {
  const x = parseSemver(a)
  const y = parseSemver(b)
  if (x === undefined || y === undefined) return Number(x !== undefined) - Number(y !== undefined)
  return (
    compareNumbers(x.major, y.major) ||
    compareNumbers(x.minor, y.minor) ||
    compareNumbers(x.patch, y.patch) ||
    comparePrereleases(x.prerelease, y.prerelease)
  )
}

/** Numbers have no leading zeros, so the longer one is greater; they may exceed any machine integer. */
function compareNumbers(a: string, b: string): number {
  return Math.sign(a.length - b.length) || compareAscii(a, b)
}

function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0
  if (a === '') return 1
  if (b === '') return -1
  const xs = a.slice(1).split('.')
  const ys = b.slice(1).split('.')
  for (const [i, x] of xs.entries()) {
    const y = ys[i]
    if (y === undefined) return 1
    const order = compareIds(x, y)
    if (order !== 0) return order
  }
  return -1
}

function compareIds(a: string, b: string): number {
  const numbers = Number(isDigits(b)) - Number(isDigits(a))
  if (numbers !== 0) return numbers
  return isDigits(a) ? compareNumbers(a, b) : compareAscii(a, b)
}

function compareAscii(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
