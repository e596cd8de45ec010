import type { ModulePath, ModuleVersion } from '@modmesh/module'
import { matchesPath, type PolicyRule } from './policy-rule.ts'
import { isInRange } from './version-range.ts'

/** What may be answered, as the operator wrote it. */
export interface Policy {
  /** The first one that matches decides; where none does, everything is allowed. */
  readonly rules: readonly PolicyRule[]
  /** How old a version must be where its rule says nothing else, ms; 0 is any age. */
  readonly minAgeMs: number
}

/** What the rules say of a module version, before its age is known. */
export type RuleVerdict =
  | { readonly kind: 'allowed'; readonly minAgeMs: number }
  | { readonly kind: 'denied'; readonly rule: PolicyRule }

/** Decides by the first rule that matches the module version. */
export function judgeVersion(policy: Policy, module: ModuleVersion): RuleVerdict {
  const rule = policy.rules.find((one) => {
    return (
      matchesPath(one, module.path) &&
      (one.versions === undefined || isInRange(module.version, one.versions))
    )
  })
  if (rule?.effect === 'deny') return { kind: 'denied', rule }
  return { kind: 'allowed', minAgeMs: rule?.minAgeMs ?? policy.minAgeMs }
}

/** Returns the rule that denies every version of a path, where there is one: then nobody needs to be asked. */
export function findDenialOfPath(policy: Policy, path: ModulePath): PolicyRule | undefined {
  for (const rule of policy.rules) {
    if (!matchesPath(rule, path)) continue
    // It may let through a version, whatever comes after it.
    if (rule.effect === 'allow') return undefined
    if (rule.versions === undefined) return rule
  }
  return undefined
}

/** Writes why a rule denies, for people: the rule, and the reason given with it. */
export function explainRule(rule: PolicyRule): readonly string[] {
  return [`rule: ${rule.text}`, ...(rule.reason === undefined ? [] : [`reason: ${rule.reason}`])]
}
