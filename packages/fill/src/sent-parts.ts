import { createHash } from 'node:crypto'
import { partPieceBytes } from './limits.ts'
import type { PeerId, ZipBytes } from './peers.ts'
import type { Stretch } from './zip-ranges.ts'
import type { HeldZip } from './zip-store.ts'
import type { ArrivingZip } from './zip-transfer.ts'

/** Which bytes each of several sources sent of a zip that turned out to be wrong. */
export interface SentParts {
  /** What all of them declared. */
  readonly declared: ZipBytes
  /** Whether these are the bytes they declared: then all of them lied of what is in it. */
  readonly isAsDeclared: boolean
  readonly parts: readonly SentPart[]
}

interface SentPart {
  readonly source: PeerId
  readonly start: number
  readonly end: number
  /** SHA-256 of it, hex. */
  readonly hash: string
}

/** What several sources sent together is wrong, and nobody knows yet which of them lied. */
export class MixedBytesError extends Error {
  readonly code = 'MIXED_BYTES'
  readonly sent: SentParts
  constructor(sent: SentParts, options: ErrorOptions) {
    super('what several peers sent together does not verify', options)
    this.name = 'MixedBytesError'
    this.sent = sent
  }
}

/** Hashes what came of each source. */
export async function hashParts(
  zip: ArrivingZip,
  declared: ZipBytes,
  brought: readonly Pick<Stretch, 'source' | 'start' | 'at'>[],
): Promise<SentParts> {
  const seen = await zip.digest()
  const parts: SentPart[] = []
  for (const { source, start, at: end } of brought) {
    const hash = createHash('sha256')
    for (let from = start; from < end; from += partPieceBytes) {
      hash.update(await zip.read(from, Math.min(end, from + partPieceBytes)))
    }
    parts.push({ source, start, end, hash: hash.digest('hex') })
  }
  const isAsDeclared = seen.zipDigest === declared.zipDigest && seen.size === declared.size
  return { declared, isAsDeclared, parts }
}

/** Who sent other bytes than it declared. Nobody, when the true zip is of other bytes than declared. */
export async function findLiars(sent: SentParts, zip: HeldZip): Promise<readonly PeerId[]> {
  if (zip.zipDigest !== sent.declared.zipDigest) return []
  const liars = new Set<PeerId>()
  for (const { source, start, end, hash } of sent.parts) {
    const truth = createHash('sha256')
    for await (const chunk of zip.read({ start, end })) truth.update(chunk)
    if (truth.digest('hex') !== hash) liars.add(source)
  }
  return [...liars]
}
