import { formatBytes } from './byte-size.ts'
import { printableName } from './printable.ts'
import type { SiteLine } from './sites-report.ts'

/** Writes a link to another site on one line: what may cross, what it carries, what it carried. */
export function siteLinkText(line: SiteLine): string {
  const { site, mode, connected, rttMs, bytesPerSecond, givenBytes, takenBytes, savedBytes } = line
  const parts = [
    printableName(site),
    mode,
    `${connected} connected`,
    rttMs === null ? '' : `${Math.round(rttMs)} ms`,
    bytesPerSecond === null ? '' : `${formatBytes(bytesPerSecond)}/s`,
    takenBytes === 0 ? '' : `gave ${formatBytes(takenBytes)}`,
    givenBytes === 0 ? '' : `took ${formatBytes(givenBytes)}`,
    savedBytes === 0 ? '' : `${formatBytes(savedBytes)} saved`,
  ]
  return parts.filter((part) => part !== '').join('  ')
}
