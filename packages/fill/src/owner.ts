import { createHash } from 'node:crypto'
import type { ModulePath, Version } from '@modmesh/module'

/**
 * Picks the one of the candidates that asks upstream for a key: the highest of the hashes of name and
 * key (rendezvous hashing, Thaler and Ravishankar 1998). Who sees the same candidates picks the same
 * one, without a message; when one leaves, only its own keys move. Undefined without candidates.
 */
export function pickOwner<T extends string>(key: string, candidates: Iterable<T>): T | undefined {
  let best: T | undefined
  let highest: Buffer | undefined
  for (const candidate of candidates) {
    const score = scoreOf(candidate, key)
    if (highest !== undefined && Buffer.compare(score, highest) <= 0) continue
    best = candidate
    highest = score
  }
  return best
}

/** Orders candidates for a key as `pickOwner` picks: the first is the owner, the next the one should it fail. */
export function rankOwners<T extends string>(key: string, candidates: Iterable<T>): T[] {
  const scored = Array.from(candidates, (candidate) => ({
    candidate,
    score: scoreOf(candidate, key),
  }))
  scored.sort((a, b) => Buffer.compare(b.score, a.score))
  return scored.map(({ candidate }) => candidate)
}

/** What has an owner. */
export interface OwnerSubject {
  readonly path: ModulePath
  /** Absent for the answers that change: all of one path have one owner. */
  readonly version?: Version
}

/** All parts of a module version have one owner: its record answers for them together. */
export function ownerKey({ path, version }: OwnerSubject): string {
  return version === undefined ? path : `${path}@${version}`
}

/** A line feed ends the name: no peer id and no path holds one. */
function scoreOf(candidate: string, key: string): Buffer {
  return createHash('sha256').update(`${candidate}\n${key}`).digest()
}
