import type { ByteSink, PeerId } from '@modmesh/fill'
import type { BodyClient } from '../body/body-client.ts'
import type { PeerLink } from '../control/peer-link.ts'
import { siteLimits } from '../limits.ts'
import type { SiteLinks } from './site-links.ts'

/** What a test of a link measured. */
export interface SiteTest {
  readonly peer: PeerId
  /** Of single round trips. */
  readonly rttMs: { readonly least: number; readonly median: number }
  readonly bytes: number
  /** From the first byte to the last. */
  readonly ms: number
  readonly bytesPerSecond: number
}

/**
 * Measures the link to a member: some round trips, then bytes of no meaning, which count as taken. Throws
 * PeerError where it is of an older version, gives nothing now, or nothing may cross the link.
 */
export async function testSite(
  {
    bodies,
    links,
    link,
  }: {
    readonly bodies: BodyClient
    readonly links: Pick<SiteLinks, 'taking'>
    readonly link: PeerLink
  },
  { bytes, signal }: { readonly bytes: number; readonly signal: AbortSignal },
): Promise<SiteTest> {
  const { peer } = link
  const taking = links.taking(peer)
  try {
    const trips: number[] = []
    for (let n = 0; n < siteLimits.testTrips; n++) trips.push(await roundTripMs(link, signal))
    trips.sort((a, b) => a - b)
    const rttMs = { least: trips[0] ?? 0, median: trips[trips.length >> 1] ?? 0 }
    const counted = new CountedSink(async (count) => await taking?.take(count, { signal }))
    await bodies.fetchProbe(peer, bytes, counted, { signal })
    const ms = Math.max(1, performance.now() - counted.firstMs)
    return { peer, rttMs, bytes: counted.bytes, ms, bytesPerSecond: (counted.bytes / ms) * 1_000 }
  } finally {
    taking?.end()
  }
}

async function roundTripMs({ session }: PeerLink, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now()
  await session.ask<'have-query'>({ kind: 'have-query', keys: new Uint8Array() }, { signal })
  return performance.now() - startedMs
}

/** Counts what comes, and forgets it. */
class CountedSink implements ByteSink {
  bytes = 0
  firstMs: number = performance.now()
  readonly #take: (bytes: number) => Promise<void>

  constructor(take: (bytes: number) => Promise<void>) {
    this.#take = take
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.bytes === 0) this.firstMs = performance.now()
    this.bytes += chunk.byteLength
    await this.#take(chunk.byteLength)
  }
}
