import {
  isGlob,
  type ModulePath,
  matchesPatterns,
  type Patterns,
  parsePatterns,
} from '@modmesh/module'
import { parseAge } from './age.ts'
import { InvalidPolicyRuleError } from './policy-errors.ts'
import { parseVersionRange, type VersionRange } from './version-range.ts'

/** One line of a policy. */
export interface PolicyRule {
  readonly effect: 'allow' | 'deny'
  readonly patterns: Patterns
  /** Absent: every version, and the module as such. */
  readonly versions: VersionRange | undefined
  /** Instead of the general minimum age, ms. */
  readonly minAgeMs: number | undefined
  /** What people are told, from behind the `#`. */
  readonly reason: string | undefined
  /** The rule as it was written, without its reason. */
  readonly text: string
}

const minAgeKey = 'min-age='

/**
 * Reads `allow|deny GLOBS[@VERSIONS] [min-age=AGE] [# REASON]`: globs as in GOPRIVATE, versions as parseVersionRange reads
 * them. Throws InvalidPolicyRuleError.
 */
export function parsePolicyRule(line: string): PolicyRule {
  const hash = line.indexOf('#')
  const text = (hash < 0 ? line : line.slice(0, hash)).trim()
  const reason = hash < 0 ? '' : line.slice(hash + 1).trim()
  const [effect, ...words] = text.split(' ').filter((word) => word !== '')
  if (effect !== 'allow' && effect !== 'deny') {
    throw new InvalidPolicyRuleError(line, 'a rule begins with allow or deny')
  }
  const age = words.at(-1)?.startsWith(minAgeKey) ? words.pop()?.slice(minAgeKey.length) : undefined
  if (age !== undefined && effect === 'deny') {
    throw new InvalidPolicyRuleError(line, 'min-age goes with allow')
  }
  return {
    effect,
    ...parseSubject(line, words.join(' ')),
    minAgeMs: age === undefined ? undefined : readAge(line, age),
    reason: reason === '' ? undefined : reason,
    text,
  }
}

/** Whether a rule speaks of a module path, of some versions of it at least. */
export function matchesPath(rule: PolicyRule, path: ModulePath): boolean {
  return matchesPatterns(rule.patterns, path)
}

function parseSubject(line: string, subject: string): Pick<PolicyRule, 'patterns' | 'versions'> {
  const at = subject.indexOf('@')
  const globs = at < 0 ? subject : subject.slice(0, at)
  const patterns = parsePatterns(globs)
  if (globs.includes(' ') || patterns.globs.length === 0) {
    throw new InvalidPolicyRuleError(
      line,
      'after allow or deny comes one list of globs, as in GOPRIVATE',
    )
  }
  const malformed = patterns.globs.find((glob) => !isGlob(glob))
  // As in GOPRIVATE it would never match, and the rule would be open in silence.
  if (malformed !== undefined) throw new InvalidPolicyRuleError(line, `malformed glob ${malformed}`)
  const versions = at < 0 ? undefined : parseVersionRange(subject.slice(at + 1))
  if (at >= 0 && versions === undefined) {
    const wanted = 'v1.2.3, v1.2, v1.*, or comparators such as >=v1.2.0 <v1.2.5'
    throw new InvalidPolicyRuleError(line, `after @ come versions: ${wanted}`)
  }
  return { patterns, versions }
}

function readAge(line: string, text: string): number {
  const ms = parseAge(text)
  if (ms !== undefined) return ms
  throw new InvalidPolicyRuleError(line, 'min-age takes a time such as 0, 12h or 7d')
}
