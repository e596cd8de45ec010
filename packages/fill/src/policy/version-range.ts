import {
  canonicalVersion,
  compareVersions,
  isGlob,
  matchesPatterns,
  parsePatterns,
  type Version,
} from '@modmesh/module'

/** Which versions of a module a policy rule speaks of. */
export type VersionRange =
  | { readonly kind: 'glob'; readonly glob: string }
  /** `v1` or `v1.2`: all versions that begin with it. */
  | { readonly kind: 'prefix'; readonly prefix: string }
  /** All of them must hold. */
  | { readonly kind: 'comparators'; readonly comparators: readonly Comparator[] }

interface Comparator {
  readonly operator: Operator
  readonly bound: Version
}

type Operator = '<=' | '>=' | '<' | '>' | '='

/** The longer ones first, so that `<=` is not read as `<`. */
const operators: readonly Operator[] = ['<=', '>=', '<', '>', '=']

/**
 * Reads `v1.2.3`, `v1.2`, `v1.*` or comparators such as `>=v1.2.0 <v1.2.5`; undefined when it is none of them. Order is
 * semver's: `<v1.3.0` takes in `v1.3.0-rc.1` and pseudo-versions before v1.3.0. Build metadata does not count.
 */
export function parseVersionRange(text: string): VersionRange | undefined {
  const words = text.split(' ').filter((word) => word !== '')
  const [first = ''] = words
  if (words.length === 1 && !operators.some((operator) => first.startsWith(operator))) {
    return parseSingle(first)
  }
  const comparators = words.map(parseComparator)
  if (comparators.length === 0 || !comparators.every((one) => one !== undefined)) return undefined
  return { kind: 'comparators', comparators }
}

/** Whether a version is of the range. */
export function isInRange(version: Version, range: VersionRange): boolean {
  switch (range.kind) {
    case 'glob':
      return matchesPatterns(parsePatterns(range.glob), version)
    case 'prefix':
      return version.startsWith(range.prefix)
    case 'comparators':
      return range.comparators.every((comparator) => holds(version, comparator))
  }
}

function parseSingle(text: string): VersionRange | undefined {
  if (!text.startsWith('v')) return undefined
  if (Array.from('*?[').some((c) => text.includes(c))) {
    // A comma would make two globs of it.
    return isGlob(text) && !text.includes(',') ? { kind: 'glob', glob: text } : undefined
  }
  const version = canonicalVersion(text)
  if (version === undefined) return undefined
  if (text.split('.').length < 3) return { kind: 'prefix', prefix: `${text}.` }
  return { kind: 'comparators', comparators: [{ operator: '=', bound: version }] }
}

function parseComparator(word: string): Comparator | undefined {
  const operator = operators.find((text) => word.startsWith(text))
  const bound = operator && canonicalVersion(word.slice(operator.length))
  return operator === undefined || bound === undefined ? undefined : { operator, bound }
}

function holds(version: Version, { operator, bound }: Comparator): boolean {
  const order = compareVersions(version, bound)
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    case '=':
      return order === 0
  }
}
