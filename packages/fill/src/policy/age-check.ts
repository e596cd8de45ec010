import { compareVersions, type ModuleVersion, majorMinorOf, type Version } from '@modmesh/module'
import type { Clock } from '../clock.ts'
import { inParallel } from '../in-parallel.ts'
import type { AskOptions } from '../module-source.ts'
import { formatAge } from './age.ts'
import { maxAgedLines, maxAgedVersions, maxParallelTimes } from './policy-limits.ts'
import type { VersionTime, VersionTimes } from './version-times.ts'

/** Says why a version is too new to be answered, or undefined when it is old enough. */
export async function explainYouth(
  parts: { readonly times: VersionTimes; readonly clock: Clock },
  module: ModuleVersion,
  minAgeMs: number,
  options: AskOptions,
): Promise<readonly string[] | undefined> {
  if (minAgeMs === 0) return undefined
  const time = await parts.times.find(module, options)
  const ageMs = parts.clock.wallMs() - time.ms
  return ageMs >= minAgeMs ? undefined : tooNew(time, ageMs, minAgeMs)
}

function tooNew(time: VersionTime, ageMs: number, minAgeMs: number): readonly string[] {
  const since = time.from === 'upstream' ? 'published' : 'first seen by this node'
  const when = ageMs < 0 ? 'in the future' : `${formatAge(ageMs)} ago`
  return [
    `too new: ${since} ${when}`,
    `the minimum age here is ${formatAge(minAgeMs)}: to be had in ${formatAge(minAgeMs - ageMs, 'up')}`,
  ]
}

/**
 * Finds the versions of a list that are too new to be offered. In each release line (v1.2.x) the newest is looked at, then
 * the next one, until one is old enough: those below it were published before it. What it overlooks is refused when asked for.
 */
export async function findTooNew(
  versions: readonly Version[],
  isTooNew: (version: Version) => Promise<boolean>,
): Promise<ReadonlySet<Version>> {
  const found = new Set<Version>()
  let left = maxAgedVersions
  await inParallel(newestLines(versions), maxParallelTimes, async (line) => {
    for (const version of line) {
      if (left-- <= 0 || !(await isTooNew(version))) return
      found.add(version)
    }
  })
  return found
}

/** The newest release lines, each with its newest version first. */
function newestLines(versions: readonly Version[]): Version[][] {
  const lines = new Map<string, Version[]>()
  for (const version of [...versions].sort((a, b) => compareVersions(b, a))) {
    const name = majorMinorOf(version)
    const line = lines.get(name)
    if (line !== undefined) line.push(version)
    else if (lines.size < maxAgedLines) lines.set(name, [version])
  }
  return [...lines.values()]
}
