import { printableName } from '../printable.ts'
import { plural } from '../status-text.ts'
import type { SeedProgress, SeedReport } from './seed-report.ts'

/** Missing ones shown before the rest is only counted. */
const shownMissing = 50

const doing: Readonly<Record<SeedProgress['state'], string>> = {
  crossing: 'bringing them over the link',
  copying: 'making copies',
  waiting: 'waiting for the giver to come back',
}

/** Writes how far a seed is, on one line. */
export function formatSeedProgress({ here, done, total, state }: SeedProgress): string {
  // Before the giver has told what it has there is nothing to count.
  if (total === 0) return doing[state]
  return `${here} of ${total} here, ${done} with all copies: ${doing[state]}`
}

/** Writes what came of a seed: counts, and what is missing with the reason. */
export function formatSeed(report: SeedReport): string {
  const { total, complete, replicas, wanted, members, crossed, present, copied } = report
  const missing = report.modules.filter((line) => line.missing !== null)
  const times = `${replicas} ${plural(replicas, 'member')}`
  const lines = [
    `${complete} of ${total} module versions are held by ${times} of site ${printableName(report.site)} each (${members.map(printableName).join(', ')})`,
    `${crossed} came from ${printableName(report.from)}, ${present} were there, ${copied} ${copied === 1 ? 'copy' : 'copies'} made inside`,
    ...(replicas < wanted ? [`${wanted} copies were wanted; no more members are connected`] : []),
    ...missing
      .slice(0, shownMissing)
      .map(({ module, held, missing: why }) => `missing ${module} (${held.length}): ${why}`),
  ]
  const hidden = missing.length - shownMissing
  return `${[...lines, ...(hidden > 0 ? [`and ${hidden} more (--json shows all)`] : [])].join('\n')}\n`
}
