import {
  isIncompatible,
  type ModulePath,
  type ModuleVersion,
  selectLatest,
  type Version,
} from '@modmesh/module'
import type { Clock } from '../clock.ts'
import type { AskOptions } from '../module-source.ts'
import { explainYouth, findTooNew } from './age-check.ts'
import { explainRule, findDenialOfPath, judgeVersion, type Policy } from './policy.ts'
import { PolicyDeniedError } from './policy-errors.ts'
import { maxLatestTries } from './policy-limits.ts'
import type { Validator } from './validator.ts'
import type { VersionTimes } from './version-times.ts'

/** What decides whether something may be answered. */
export interface Judges {
  readonly policy: Policy
  readonly times: VersionTimes
  readonly validator?: Validator | undefined
  readonly clock: Clock
}

/** Throws PolicyDeniedError unless the module version may be answered. */
export async function admit(
  judges: Judges,
  module: ModuleVersion,
  options: AskOptions,
): Promise<void> {
  const verdict = judgeVersion(judges.policy, module)
  if (verdict.kind === 'denied') throw new PolicyDeniedError(module, explainRule(verdict.rule))
  const youth = await explainYouth(judges, module, verdict.minAgeMs, options)
  if (youth !== undefined) throw new PolicyDeniedError(module, youth)
  const word = await judges.validator?.check(module, options)
  if (word?.kind === 'denied') {
    throw new PolicyDeniedError(module, ['the validator says:', ...word.reason.split('\n')])
  }
}

/** Throws PolicyDeniedError where every version of a path is denied. */
export function admitPath({ policy }: Pick<Judges, 'policy'>, path: ModulePath): void {
  const rule = findDenialOfPath(policy, path)
  if (rule !== undefined) throw new PolicyDeniedError(path, explainRule(rule))
}

/**
 * Finds which versions of a list are to be shown: by rules and age all of them are judged, by the validator
 * the newest.
 */
export async function findOffered(
  judges: Judges,
  path: ModulePath,
  listed: readonly Version[],
  options: AskOptions,
): Promise<Set<Version>> {
  const allowed = listed.filter(
    (version) => judgeVersion(judges.policy, { path, version }).kind === 'allowed',
  )
  const tooNew = await findTooNew(allowed, (version) =>
    isTooNew(judges, { path, version }, options),
  )
  const offered = new Set(allowed.filter((version) => !tooNew.has(version)))
  await dropInvalid(judges, path, offered, options)
  return offered
}

/** Picks what `go` would: +incompatible ones only where there is nothing else. */
export function newestOf(versions: ReadonlySet<Version>): Version | undefined {
  const compatible = Array.from(versions).filter((version) => !isIncompatible(version))
  return selectLatest(compatible.length > 0 ? compatible : versions)
}

async function isTooNew(
  judges: Judges,
  module: ModuleVersion,
  options: AskOptions,
): Promise<boolean> {
  const verdict = judgeVersion(judges.policy, module)
  if (verdict.kind === 'denied' || verdict.minAgeMs === 0) return false
  try {
    return (await explainYouth(judges, module, verdict.minAgeMs, options)) !== undefined
  } catch (error) {
    options.signal.throwIfAborted()
    // Its age is not to be had: as a version to choose it would end in an error.
    return error instanceof Error
  }
}

/** Takes out the newest versions that the validator denies, until it allows one. */
async function dropInvalid(
  { validator }: Judges,
  path: ModulePath,
  offered: Set<Version>,
  options: AskOptions,
): Promise<void> {
  if (validator === undefined) return
  for (let tries = 0; tries < maxLatestTries; tries++) {
    const version = newestOf(offered)
    if (version === undefined) return
    const word = await validator.check({ path, version }, options)
    if (word.kind === 'allowed') return
    offered.delete(version)
  }
}
