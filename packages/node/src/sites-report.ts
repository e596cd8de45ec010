import type { SiteStatus } from '@modmesh/peers'
import { formatSiteRules } from './site-rules.ts'

/** One link to another site, as `site list` and `status` show it. Absent is null. */
export interface SiteLine {
  readonly site: string
  /** What may cross now: `open`, `metered`, `paused` or `forbidden`. */
  readonly mode: string
  /** What was said of it, in words of `--site-link`; null when nothing was. */
  readonly rules: string | null
  /** Limits that hold now, bytes per second. */
  readonly upLimit: number | null
  readonly downLimit: number | null
  /** Connected members. */
  readonly connected: number
  readonly rttMs: number | null
  /** As measured of late from zips that came, bytes per second. */
  readonly bytesPerSecond: number | null
  /** Bytes of zips that this node gave to the site and took from it, also in earlier runs. */
  readonly givenBytes: number
  readonly takenBytes: number
  /** That did not need to come: files and bytes that were here already. */
  readonly savedBytes: number
}

/** Shows a link. */
export function siteLine(status: SiteStatus): SiteLine {
  const { site, terms, rules, connected, rttMs, bytesPerSecond } = status
  return {
    site,
    mode: terms.mode,
    rules: rules.length === 0 ? null : formatSiteRules(rules),
    upLimit: terms.upRate ?? null,
    downLimit: terms.downRate ?? null,
    connected,
    rttMs: rttMs ?? null,
    bytesPerSecond: bytesPerSecond === undefined ? null : Math.round(bytesPerSecond),
    givenBytes: status.givenBytes,
    takenBytes: status.takenBytes,
    savedBytes: status.savedBytes,
  }
}
