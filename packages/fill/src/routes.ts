import type { Clock } from './clock.ts'
import { clearlyQuicker, quickLink, sampleWeight, staleRouteMs, typicalZipBytes } from './limits.ts'
import { LinkMeter } from './link-meter.ts'
import type { SiteLink } from './peers.ts'

/** What a way to bytes costs, as measured of late; undefined where nothing was. */
export interface RouteCost {
  readonly rttMs: number | undefined
  readonly bytesPerSecond: number | undefined
}

/**
 * Decides whether another site is asked for a zip before upstream (design, section 4, step 7): by the
 * time that one of typical size takes over each. What was not measured is no reason to go to the
 * internet, which the mesh is there to spare.
 */
export function isSiteFirst(site: RouteCost, upstream: RouteCost): boolean {
  const [siteMs, upstreamMs] = [zipMs(site), zipMs(upstream)]
  if (siteMs === undefined || upstreamMs === undefined) return true
  return siteMs <= upstreamMs * clearlyQuicker
}

/** Whether a slow link's rival is not known: then upstream is tried, once in a while. */
export function isWorthTrial(site: RouteCost, upstream: RouteCost): boolean {
  const { bytesPerSecond } = site
  if (bytesPerSecond === undefined || upstream.bytesPerSecond !== undefined) return false
  return bytesPerSecond < quickLink
}

function zipMs({ rttMs = 0, bytesPerSecond }: RouteCost): number | undefined {
  return bytesPerSecond && rttMs + (typicalZipBytes / bytesPerSecond) * 1_000
}

/** What upstream costs, measured from what it sent, and whether it or another site is nearer. */
export class Routes {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #meter: LinkMeter
  #firstByteMs: number | undefined
  #triedMs = Number.NEGATIVE_INFINITY

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
    this.#meter = new LinkMeter(components)
  }

  get upstream(): RouteCost {
    return { rttMs: this.#firstByteMs, bytesPerSecond: this.#meter.bytesPerSecond }
  }

  /** Whether a site answers before upstream does. */
  isNear({ rttMs }: RouteCost): boolean {
    const upstreamMs = this.#firstByteMs
    return rttMs !== undefined && (upstreamMs === undefined || rttMs <= upstreamMs * clearlyQuicker)
  }

  /** Whether upstream is asked before the best of these sites: it is quicker, or it is time to know. */
  isUpstreamFirst(sites: readonly SiteLink[]): boolean {
    const { upstream } = this
    if (sites.length === 0) return true
    if (!sites.some((site) => isSiteFirst(site, upstream))) return true
    const nowMs = this.#clock.monotonicMs()
    const isDue = nowMs - this.#triedMs >= staleRouteMs
    if (!isDue || !sites.every((site) => isWorthTrial(site, upstream))) return false
    this.#triedMs = nowMs
    return true
  }

  /** A body of upstream begins to come, `ms` after it was asked for. */
  began(ms: number): ReturnType<LinkMeter['begin']> {
    const before = this.#firstByteMs ?? ms
    this.#firstByteMs = before + (ms - before) * sampleWeight
    return this.#meter.begin()
  }
}
