import { parsePseudoVersion } from './pseudo-version.ts'
import { compareVersions, isPrerelease, type Version } from './version.ts'

/**
 * Picks what `latest` means: the highest release, else the highest prerelease, else the pseudo-version
 * with the newest time (golang.org/ref/mod#version-queries). Whether `+incompatible` releases count is
 * the caller's to decide before, as it takes a go.mod to know. Returns undefined for an empty list.
 */
export function selectLatest(versions: Iterable<Version>): Version | undefined {
  let best: { readonly version: Version; readonly rank: Rank } | undefined
  for (const version of versions) {
    const rank = rankOf(version)
    if (best === undefined || compareRanks(rank, version, best.rank, best.version) > 0) {
      best = { version, rank }
    }
  }
  return best?.version
}

/** Class 2 is a release, 1 a prerelease, 0 a pseudo-version; only the last has a time. */
interface Rank {
  readonly class: 0 | 1 | 2
  readonly timestamp: string
}

function rankOf(version: Version): Rank {
  if (!isPrerelease(version)) return { class: 2, timestamp: '' }
  const pseudo = parsePseudoVersion(version)
  return pseudo ? { class: 0, timestamp: pseudo.timestamp } : { class: 1, timestamp: '' }
}

function compareRanks(a: Rank, aVersion: Version, b: Rank, bVersion: Version): number {
  if (a.class !== b.class) return a.class - b.class
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp ? 1 : -1
  return compareVersions(aVersion, bVersion)
}
